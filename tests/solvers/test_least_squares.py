"""Methods for nonlinear least squares."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

T = np.linspace(0.0, 2.0, 9)


def decay(x, y):
    return x["a"] * jnp.exp(-x["b"] * jnp.asarray(T, x["a"].dtype)) - y


FIT = fg.least_squares(decay)
X0 = {"a": jnp.ones(()), "b": jnp.zeros(())}
Y = jnp.asarray(3 * np.exp(-1.5 * T), jnp.float32)


def test_the_value_is_half_the_sum_of_squares():
    x = {"a": jnp.float32(2.0), "b": jnp.float32(0.5)}
    r = 2 * np.exp(-0.5 * T) - np.asarray(Y)
    np.testing.assert_allclose(FIT(x, Y), r @ r / 2, rtol=1e-6)
    nested = fg.least_squares(lambda x: {"re": x, "z": (jnp.full((2, 1), 3 + 4j), None)})
    np.testing.assert_allclose(nested(jnp.float32(2.0)), (4 + 2 * 25) / 2)


def test_residuals_are_traced_once():
    traces = []

    def counted(x, y):
        traces.append(1)
        return decay(x, y)

    for damping, factor in ((1e-3, 1.0), (1.0, 2.0)):
        run = fg.minimize(
            fg.least_squares(counted), X0, fg.LevenbergMarquardt(damping), args=(factor * Y,), max_steps=30
        )
        np.testing.assert_allclose([run.params["a"], run.params["b"]], [3 * factor, 1.5], rtol=1e-5)
    assert len(traces) == 1


def test_a_scalar_is_refused():
    with pytest.raises(TypeError, match=r"LevenbergMarquardt: `fun` must be fg.least_squares\(residuals\)"):
        fg.minimize(lambda x: x**2, 1.0, fg.LevenbergMarquardt(), max_steps=3)
