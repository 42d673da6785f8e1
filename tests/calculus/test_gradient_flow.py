"""Gradient flow: its exact solution, the orders of its discretisations, and descent as the first of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def phi(x):
    return 9 * x[0] ** 2 + x[1] ** 2


def exact(t):
    """The flow of Φ from (1, 2): (x₁e^{−18t}, x₂e^{−2t})."""
    return np.array([1.0, 2.0]) * np.exp(np.multiply.outer(t, [-18.0, -2.0]))


@pytest.mark.parametrize(("method", "order", "steps"), [("euler", 1, (400, 800, 1600)), ("rk4", 4, (40, 80, 160))])
def test_row_23_the_flow_and_its_orders(method, order, steps, x64):
    errors = []
    for n in steps:
        path = fg.gradient_flow(phi, jnp.array([1.0, 2.0]), 0.5, n, method=method)
        errors.append(np.max(np.abs(path - exact(np.linspace(0, 0.5, n + 1)))))
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), order, atol=0.15)
    assert errors[-1] < {"euler": 6e-3, "rk4": 1e-6}[method]


def test_row_23_descent_is_eulers_method():
    """Step h of the flow is one update of gradient descent with learning rate h, to the last digit but one."""
    x0, t1, n = jnp.array([1.0, 2.0]), 0.5, 16
    path = fg.gradient_flow(phi, x0, t1, n, method="euler")
    run = fg.minimize(phi, x0, fg.gradient_descent(t1 / n), max_steps=n, record=True)
    np.testing.assert_allclose(path, run.history["params"], rtol=3e-7)
    assert path.shape == (17, 2)


def test_the_value_falls_along_the_flow():
    path = fg.gradient_flow(phi, jnp.array([1.0, 2.0]), 1.0, 64)
    assert (np.diff(jax.vmap(phi)(path)) < 0).all()
    still = fg.gradient_flow(phi, jnp.zeros(2), 1.0, 4)
    assert (still == 0).all()


def test_trees_arguments_and_traced_times():
    x0 = {"a": jnp.array([1.0, 2.0], jnp.bfloat16), "z": jnp.array(1 + 1j), "frozen": None}

    def f(x, rate):
        return rate * (jnp.sum(x["a"] ** 2) + jnp.abs(x["z"]) ** 2) / 2, "beside"

    times = jnp.array([1.0, 2.0])
    path = jax.jit(jax.vmap(lambda t: fg.gradient_flow(f, x0, t, 20, 0.5)))(times)
    for i, t in enumerate((1.0, 2.0)):
        decay = np.exp(-0.5 * t * np.linspace(0, 1, 21))
        np.testing.assert_allclose(path["a"][i], np.outer(decay, [1, 2]), rtol=1e-5)
        np.testing.assert_allclose(path["z"][i], decay * (1 + 1j), rtol=1e-5)
    assert path["a"].dtype == jnp.float32
    assert path["frozen"] is None


def test_beyond_the_limits_of_stability():
    """L = 18: Euler grows for h > 2/18, rk4 for h > 2.785/18."""
    x0 = jnp.array([1.0, 0.0])
    for method, limit in (("euler", 2.0), ("rk4", 2.785)):
        for factor, grows in ((0.97, False), (1.03, True)):
            path = fg.gradient_flow(phi, x0, 100 * factor * limit / 18, 100, method=method)
            assert (abs(path[-1, 0]) > 1) == grows


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.0, 2), {}, "`t1` must be a positive number, got 0.0"),
        ((float("inf"), 2), {}, "`t1` must be a positive number, got inf"),
        (("1", 2), {}, "`t1` must be a positive number, got '1'"),
        ((1.0, 0), {}, "`steps`: expected at least 1, got 0"),
        ((1.0, 2.5), {}, "`steps`: "),
        ((1.0, 2), {"method": "rk5"}, "`method` must be 'euler' or 'rk4', got 'rk5'"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises((ValueError, TypeError), match=f"gradient_flow: {message}"):
        fg.gradient_flow(phi, jnp.ones(2), *arguments, **options)
