"""Counts that stay, norms with a least value, and copies that follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

X = jnp.array([[3.0, -4.0], [0.0, 12.0]])


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int8", "float16"])
def test_counts_stay_at_the_largest_number(dtype):
    largest = (jnp.iinfo if "int" in dtype else jnp.finfo)(dtype).max
    for count, expected in ((3, 4), (largest, largest)):
        found = fg.safe_increment(jnp.asarray(count, dtype))
        assert found.dtype == dtype
        assert found == jnp.asarray(expected, dtype)


@pytest.mark.parametrize("ord", [None, 1, 2, np.inf, "fro", "nuc"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_are_those_of_numpy(ord, keepdims):
    found = fg.safe_norm(X, 1.0, ord, keepdims=keepdims)
    np.testing.assert_allclose(found, np.linalg.norm(np.float64(X), ord, keepdims=keepdims), rtol=1e-6)


def test_norms_along_axes_have_a_least_value_each():
    tall = jnp.array([[3e30, 3e-30, 0.0], [4e30, 4e-30, 0.0]])  # the squares of no column are in range
    np.testing.assert_allclose(fg.safe_norm(tall, 1e-32, axis=0), [5e30, 5e-30, 1e-32], rtol=1e-6)
    np.testing.assert_allclose(fg.safe_norm(tall, 1.0, axis=0), [5e30, 1.0, 1.0], rtol=1e-6)
    assert fg.safe_norm(tall, 0.0, axis=0, keepdims=True).shape == (1, 3)
    assert fg.safe_norm(X, 0.0, 0, axis=0).tolist() == [1.0, 2.0]  # how many are not 0
    assert fg.safe_norm(jnp.full(4, 300.0, jnp.float16), 0.0) == 600.0
    assert float(fg.safe_norm(jnp.array(3 + 4j), 0.0)) == 5.0
    assert jnp.isnan(fg.safe_norm(jnp.array([jnp.nan, 1.0]), 0.0))
    assert jnp.isinf(fg.safe_norm(jnp.array([jnp.inf, 1.0]), 0.0))
    assert fg.safe_norm(jnp.zeros(0), 0.5) == 0.5


@pytest.mark.parametrize("ord", [None, 1, np.inf])
def test_derivatives_of_norms(ord):
    x = jnp.array([3e30, -4e30])
    slope = {None: [0.6, -0.8], 1: [1.0, -1.0], np.inf: [0.0, -1.0]}[ord]
    np.testing.assert_allclose(jax.grad(lambda x: fg.safe_norm(x, 0.0, ord))(x), slope, rtol=1e-6)
    for x, least in ((jnp.zeros(2), 0.0), (jnp.array([0.3, 0.4]), 1.0)):
        assert jax.grad(lambda x, least=least: fg.safe_norm(x, least, ord))(x).tolist() == [0.0, 0.0]


def test_root_mean_squares():
    x = jnp.array([1e30, -7e30])
    assert float(fg.safe_root_mean_squares(x, 0.0)) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: fg.safe_root_mean_squares(x, 0.0))(x), [0.1, -0.7], rtol=1e-6)
    assert jax.grad(lambda x: fg.safe_root_mean_squares(x, 0.0))(jnp.zeros(3)).tolist() == [0.0] * 3
    assert fg.safe_root_mean_squares(jnp.full((2, 2), 300.0, jnp.float16), 1.0) == 300.0
    assert fg.safe_root_mean_squares(jnp.zeros(0), 0.5) == 0.5


def test_a_copy_of_low_precision_parameters_follows_in_float32():
    """In bfloat16 it would stay at 1: a step of 1/1000 of the way is less than half a digit."""
    new, old = {"w": jnp.full(2, 2.0, jnp.bfloat16), "frozen": None}, {"w": jnp.ones(2), "frozen": None}
    for _ in range(1000):
        old = fg.incremental_update(new, old, 1e-3)
    assert old["w"].dtype == jnp.float32
    np.testing.assert_allclose(old["w"], 2 - 0.999**1000, rtol=1e-5)
    assert complex(fg.incremental_update(2j, 1 + 0j, 0.25)) == 0.75 + 0.5j


def test_a_copy_from_time_to_time():
    new, old = {"w": jnp.full(2, 2.0, jnp.bfloat16)}, {"w": jnp.ones(2)}
    found = jax.vmap(lambda step: fg.periodic_update(new, old, step, 3))(jnp.arange(7))["w"]
    assert found.dtype == jnp.float32
    assert found[:, 0].tolist() == [2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0]
