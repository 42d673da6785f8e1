"""Methods for nonlinear least squares."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import funcgd as fg

METHODS = [fg.GaussNewton(), fg.LevenbergMarquardt(), fg.DoglegLeastSquares()]
by_name = pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
T = np.linspace(0.0, 2.0, 9)
Y = 3 * np.exp(-1.5 * T) + 0.05 * np.cos(40 * T)  # a sum of squares that is not 0
traces = []


def decay(x, y):
    traces.append(1)
    return x["a"] * jnp.exp(-x["b"] * jnp.asarray(T, x["a"].dtype)) - y


FIT = fg.least_squares(decay)


def solve(method, dtype=jnp.float64, factor=1.0, **options):
    x0 = {"a": jnp.asarray(factor, dtype), "b": jnp.asarray([0.5], dtype), "kind": "decay", "none": None}
    return fg.minimize(FIT, x0, method, args=(jnp.asarray(factor * Y, dtype),), max_steps=30, **options)


def test_the_value_is_half_the_sum_of_squares():
    x = {"a": jnp.float32(2.0), "b": jnp.float32(0.5)}
    r = 2 * np.exp(-0.5 * T) - Y
    np.testing.assert_allclose(FIT(x, jnp.asarray(Y, jnp.float32)), r @ r / 2, rtol=1e-6)
    nested = fg.least_squares(lambda x: {"re": x, "z": (jnp.full((2, 1), 3 + 4j), None)})
    np.testing.assert_allclose(nested(jnp.float32(2.0)), (4 + 2 * 25) / 2)


@by_name
def test_scipy_agrees_and_residuals_are_traced_once(method, x64):
    oracle = scipy.optimize.least_squares(
        lambda x: x[0] * np.exp(-x[1] * T) - Y, [1.0, 0.5], method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    traces.clear()
    run = solve(method)
    np.testing.assert_allclose([run.params["a"], run.params["b"][0]], oracle.x, rtol=1e-8)
    np.testing.assert_allclose(run.value, oracle.cost, rtol=1e-12)
    assert run.params["kind"] == "decay"
    assert len(traces) == 1
    # Units of the residuals and of a change nothing but those of the answer; the same program runs.
    scaled = solve(method, factor=1e6)
    np.testing.assert_allclose([scaled.params["a"] / 1e6, scaled.params["b"][0]], oracle.x, rtol=1e-7)
    assert len(traces) == 1


def test_the_damped_step_solves_the_normal_equations(x64):
    a, b, damping = 1.0, 0.5, 0.3
    e = np.exp(-b * T)
    r, j = a * e - Y, np.stack([e, -a * T * e], 1)
    d = np.diag((j**2).sum(0))
    p = -np.linalg.solve(j.T @ j + damping * d, j.T @ r)
    run = solve(fg.LevenbergMarquardt(damping), record=True)
    first = run.history["params"]
    np.testing.assert_allclose([first["a"][1] - a, first["b"][1, 0] - b], p, rtol=1e-10)


def test_convergence_is_of_order_2_where_residuals_vanish(x64):
    y = jnp.asarray(3 * np.exp(-1.5 * T))
    x0 = {"a": jnp.asarray(1.0), "b": jnp.asarray([0.5])}
    stop = fg.stop.gradient_norm(1e-13)
    run = fg.minimize(FIT, x0, fg.GaussNewton(), args=(y,), max_steps=30, stop=stop, record=True)
    errors = np.hypot(run.history["params"]["a"] - 3, run.history["params"]["b"][:, 0] - 1.5)
    near = [(a, b) for a, b in pairwise(errors) if 1e-6 < a < 0.1]
    assert len(near) >= 2
    assert all(b <= 2 * a**2 for a, b in near)
    assert run.reason.converged


@by_name
def test_float32_and_vmap(method):
    def run(factor):
        found = solve(method, jnp.float32, factor)
        return found.best["a"], found.best["b"], found.value

    together, alone = jax.vmap(run)(jnp.array([1.0, 2.0])), run(2.0)
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(many[1], one, rtol=1e-4)
    np.testing.assert_allclose(together[0][0], alone[0] / 2, rtol=1e-4)


def linear_residuals(x, a, b):
    return {"r": a @ jnp.concatenate([x["u"], x["v"].ravel()]) - b}


LINEAR = fg.least_squares(linear_residuals)
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("m", [6, 3, 2], ids=["tall", "square", "wide"])
def test_gauss_newton_solves_linear_problems_in_one_step(m, x64):
    a, b = RANDOM.normal(size=(m, 3)) * [1, 1e-3, 1e3], RANDOM.normal(size=m)
    x0 = {"u": jnp.ones(1), "v": jnp.ones((2, 1))}
    run = fg.minimize(LINEAR, x0, fg.GaussNewton(), args=(jnp.asarray(a), jnp.asarray(b)), max_steps=1)
    x = np.concatenate([run.params["u"], run.params["v"].ravel()])
    if m < 3:  # the shortest step in the norms of the columns
        d = np.linalg.norm(a, axis=0)
        expected = 1 + np.linalg.lstsq(a / d, b - a.sum(1))[0] / d
    else:
        expected = np.linalg.lstsq(a, b)[0]
    np.testing.assert_allclose(x, expected, rtol=1e-7)


@by_name
def test_a_singular_jacobian_does_no_harm(method):
    a = np.stack([np.ones(5), np.ones(5), np.zeros(5)], 1)  # x₁ + x₂ alone matters
    b = np.arange(5.0)
    x0 = {"u": jnp.ones(1), "v": jnp.ones((2, 1))}
    run = fg.minimize(LINEAR, x0, method, args=(jnp.float32(a), jnp.float32(b)), max_steps=30)
    np.testing.assert_allclose(run.params["u"][0] + run.params["v"][0, 0], 2, rtol=1e-5)
    assert float(run.params["v"][1, 0]) == 1
    assert np.isfinite(run.value)


def test_complex_numbers():
    a = RANDOM.normal(size=(5, 2)) + 1j * RANDOM.normal(size=(5, 2))
    b = RANDOM.normal(size=5) + 1j * RANDOM.normal(size=5)
    fit = fg.least_squares(lambda z: jnp.complex64(a) @ z - jnp.complex64(b))
    run = fg.minimize(fit, jnp.zeros(2, jnp.complex64), fg.LevenbergMarquardt(), max_steps=20)
    np.testing.assert_allclose(run.best, np.linalg.lstsq(a, b)[0], rtol=1e-4, atol=1e-5)


def odd(x):
    return {"log": jnp.log(x[0]) + 2, "root": x[1] ** 2 - 1}


@by_name
def test_ends_are_honest(method):
    fit = fg.least_squares(odd)
    run = fg.minimize(fit, jnp.array([3.0, 2.0]), method, max_steps=60)  # a full step makes x₀ negative
    np.testing.assert_allclose(run.best, [np.exp(-2), 1], rtol=1e-4)
    start = fg.minimize(fit, jnp.array([-1.0, 2.0]), method, max_steps=60)
    assert (start.reason, int(start.evaluations)) == (fg.StopReason.NON_FINITE, 1)
    assert start.params.tolist() == [-1, 2]
    flat = fg.minimize(fit, jnp.array([float(np.exp(-2)), 0.0]), method, max_steps=60)  # J = 0 in x₁
    assert np.isfinite(flat.params).all()
    assert flat.reason in (fg.StopReason.NO_DECREASE, fg.StopReason.GRADIENT_NORM, fg.StopReason.MAX_STEPS)


def test_aux_and_errors():
    both = fg.least_squares(lambda x: (x - 3, {"x": x}), has_aux=True)
    run = fg.minimize(both, jnp.zeros(2), fg.LevenbergMarquardt(), max_steps=20, has_aux=True)
    np.testing.assert_allclose(run.aux["x"], 3, rtol=1e-6)
    with pytest.raises(ValueError, match="minimize: `has_aux` must be that of `fun`, got False"):
        fg.minimize(both, jnp.zeros(2), fg.LevenbergMarquardt(), max_steps=3)
    for method in METHODS:
        name = type(method).__name__
        with pytest.raises(TypeError, match=rf"{name}: `fun` must be fg.least_squares\(residuals\)"):
            fg.minimize(lambda x: x**2, 1.0, method, max_steps=3)
    with pytest.raises(TypeError, match="least_squares: `residuals` must be a function"):
        fg.least_squares(3.0)
    with pytest.raises(TypeError, match="must return floating or complex arrays, got no array"):
        fg.minimize(fg.least_squares(lambda x: ()), 1.0, fg.LevenbergMarquardt(), max_steps=3)
    with pytest.raises(TypeError, match="must return floating or complex arrays"):
        fg.minimize(fg.least_squares(lambda x: jnp.arange(2)), 1.0, fg.SteepestDescent(), max_steps=3)


def test_every_method_can_minimise_it():
    fit = fg.least_squares(lambda x: jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]))
    run = fg.minimize(fit, jnp.array([-1.2, 1.0]), fg.LBFGS(), max_steps=200, stop=fg.stop.gradient_norm(1e-4))
    np.testing.assert_allclose(run.params, 1, rtol=1e-3)
