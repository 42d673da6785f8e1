"""Theorems about descent on a quadratic with κ = 100, as tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import funcgd as fg
from funcgd.testing.fixtures import precision

L, MU = 100.0, 1.0
KAPPA = L / MU
CURVATURES = np.array([MU, 3.0, 30.0, L])


@pytest.fixture(autouse=True)
def float64():
    with precision("float64"):
        yield


def quadratic(x):
    return 0.5 * jnp.sum(jnp.asarray(CURVATURES) * x**2)


def test_gradient_descent_contracts_at_its_rate():
    run = fg.minimize(quadratic, jnp.ones(4), fg.gradient_descent(2 / (L + MU)), max_steps=400, record=True)
    norms = np.linalg.norm(run.history["params"], axis=1)
    assert norms[-1] / norms[-2] == pytest.approx((KAPPA - 1) / (KAPPA + 1), rel=1e-6)  # 0.98020
    assert (norms[1:] / norms[:-1] <= (KAPPA - 1) / (KAPPA + 1) + 1e-12).all()


@pytest.mark.parametrize(("eta", "falls"), [(1.99 / L, True), (2.01 / L, False)])
def test_row_10_full_batch_descent_is_monotone_below_two_over_the_curvature(eta, falls):
    run = fg.minimize(quadratic, jnp.ones(4), fg.gradient_descent(eta), max_steps=300, record=True)
    steps = np.diff(run.history["value"])
    assert (steps < 0).all() == falls


@pytest.mark.parametrize("velocity", [False, True])
def test_heavy_ball_has_the_optimal_spectral_radius(velocity):
    root = np.sqrt(KAPPA)
    beta, eta = ((root - 1) / (root + 1)) ** 2, (2 / (np.sqrt(L) + np.sqrt(MU))) ** 2
    tx = fg.sgd(eta, momentum=beta, velocity=velocity)
    state = tx.init(jnp.zeros(4))
    flat, unravel = ravel_pytree((jnp.zeros(4), state))

    def step(flat):
        x, state = unravel(flat)
        updates, state = tx.update(jax.grad(quadratic)(x), state, x)
        return ravel_pytree((fg.apply_updates(x, updates), state))[0]

    radius = np.max(np.abs(np.linalg.eigvals(jax.jacobian(step)(flat))))
    # The eigenvalues at μ and L are double, so that float64 knows them only to about √ε = 1.5e-8.
    assert radius == pytest.approx((root - 1) / (root + 1), abs=1e-6)  # 9/11


def test_row_23_descent_approaches_the_gradient_flow_in_first_order():
    """For Φ = 9x₁² + x₂² the flow is (x₁e^{−18t}, x₂e^{−2t})."""
    exact = np.array([1.0, 2.0]) * np.exp([-18 * 0.5, -2 * 0.5])
    errors = []
    for steps in (200, 400, 800):
        run = fg.minimize(
            lambda x: 9 * x[0] ** 2 + x[1] ** 2, jnp.array([1.0, 2.0]), fg.sgd(0.5 / steps), max_steps=steps
        )
        errors.append(np.linalg.norm(run.params - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.02)


def test_row_02_steepest_descent_in_one_dimension():
    run = fg.minimize(lambda x: x**2, 2.0, fg.normalized_gradient_descent(0.5), max_steps=8, record=True)
    assert run.history["params"].tolist() == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_row_03_steepest_descent_in_two_dimensions():
    def f(x):
        return x[0] ** 2 / 16 + x[1] ** 2

    alpha = np.sqrt(5) / 4
    run = fg.minimize(f, jnp.array([2.0, 0.25]), fg.normalized_gradient_descent(alpha), max_steps=1)
    assert run.params.tolist() == [7 / 4, -1 / 4]
    assert jax.grad(f)(run.params).tolist() == [7 / 32, -1 / 2]


def test_row_13_momentum_is_the_leaky_sum():
    beta, eta, grads = 0.9, 0.1, [1.0, -2.0, 0.5]
    tx = fg.sgd(eta, momentum=beta)
    theta, state, v, expected = jnp.array(1.0), tx.init(jnp.array(1.0)), 0.0, 1.0
    for g in grads:
        updates, state = tx.update(jnp.array(g), state, theta)
        theta = fg.apply_updates(theta, updates)
        v = beta * v + g
        expected = expected - eta * v
    assert float(theta) == expected


def test_row_16_gradient_of_a_product():
    def f(x, y, z):
        return (x + y) * z

    value, gradient = jax.value_and_grad(f, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    assert value == -12
    assert gradient == (-4, -4, 3)
