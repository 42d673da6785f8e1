"""The identity with another derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


@pytest.mark.parametrize("scale", [-0.5, 0.0, 1, jnp.float32(3.0)])
def test_values_stay_and_derivatives_are_scaled(scale):
    x = {"w": jnp.array([1.0, 2.0]), "low": jnp.array(3.0, jnp.bfloat16), "n": jnp.arange(2), "none": None}
    same = fg.scale_gradient(x, scale)
    jax.tree.map(np.testing.assert_array_equal, same, x)

    def f(w, low):
        y = fg.scale_gradient({"w": w, "low": low, "n": jnp.arange(2)}, scale)
        return jnp.sum(y["w"] ** 3) + y["low"].astype(jnp.float32) ** 2

    slopes = jax.jit(jax.grad(f, (0, 1)))(x["w"], x["low"])
    np.testing.assert_allclose(slopes[0], scale * 3 * x["w"] ** 2, rtol=1e-6)
    np.testing.assert_allclose(slopes[1], scale * 6, rtol=1e-2)
    assert slopes[1].dtype == jnp.bfloat16
    _, tangent = jax.jvp(lambda w: f(w, x["low"]), (x["w"],), (jnp.ones(2),))
    np.testing.assert_allclose(tangent, scale * 15, rtol=1e-6)


def test_complex_and_second_derivatives():
    z = jnp.array(1 + 2j)
    slope = jax.grad(lambda z: jnp.abs(fg.scale_gradient(z, 0.5)) ** 2)(z)
    np.testing.assert_allclose(slope, 0.5 * jax.grad(lambda z: jnp.abs(z) ** 2)(z))
    second = jax.grad(jax.grad(lambda x: fg.scale_gradient(x, 0.5) ** 3))(2.0)
    np.testing.assert_allclose(second, 0.5 * 0.5 * 6 * 2.0)  # each derivative passes it once


def test_an_adversary_climbs_where_the_model_descends():
    """min over x, max over y of xy + x²/2 − y²/2, by plain descent with the gradient of y reversed."""

    def loss(p):
        y = fg.scale_gradient(p["y"], -1.0)
        return p["x"] * y + p["x"] ** 2 / 2 - y**2 / 2

    found = fg.minimize(loss, {"x": 1.0, "y": 1.0}, fg.sgd(0.1), max_steps=200)
    np.testing.assert_allclose([found.params["x"], found.params["y"]], 0, atol=1e-6)
