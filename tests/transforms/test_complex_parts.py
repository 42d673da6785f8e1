"""Real and imaginary parts as arrays of their own."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.testing import check_transform

PARAMS = {"z": jnp.array([1 + 2j, 3 - 1j]), "x": jnp.ones(2), "frozen": None}


def test_contract():
    check_transform(fg.split_real_and_imaginary(fg.sgd(0.1)), dtypes=("float32",))


def test_complex_leaves_are_two_real_ones():
    tx = fg.split_real_and_imaginary(fg.adam(0.1))
    apart = {"re": PARAMS["z"].real, "im": PARAMS["z"].imag, "x": PARAMS["x"]}
    state, other = tx.init(PARAMS), fg.adam(0.1).init(apart)
    assert {x.dtype.name for x in jax.tree.leaves(state)} == {"float32", "int32"}
    for i in range(3):
        grads = {"z": PARAMS["z"] * (i + 0.5j), "x": jnp.array([1.0, -1.0]) * i, "frozen": None}
        updates, state = tx.update(grads, state, PARAMS)
        expected, other = fg.adam(0.1).update(
            {"re": grads["z"].real, "im": grads["z"].imag, "x": grads["x"]}, other, apart
        )
        np.testing.assert_allclose(updates["z"].real, expected["re"], rtol=1e-6)
        np.testing.assert_allclose(updates["z"].imag, expected["im"], rtol=1e-6)
        np.testing.assert_allclose(updates["x"], expected["x"], rtol=1e-6)


def test_searches_along_complex_directions():
    target = jnp.array([1 + 2j, -3 + 0.5j])
    tx = fg.split_real_and_imaginary(fg.lbfgs())
    found = fg.minimize(lambda z: jnp.sum(jnp.abs(z - target) ** 2), jnp.zeros(2, complex), tx, max_steps=5)
    np.testing.assert_allclose(found.params, target, atol=1e-5)
