"""Eigenvalues and inverse roots against NumPy's eigendecomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode

RNG = np.random.default_rng(0)
Q = np.linalg.qr(RNG.standard_normal((8, 8)))[0]


def symmetric(eigenvalues):
    return (Q * eigenvalues) @ Q.T


inverse_root = jax.jit(fg.matrix_inverse_pth_root, static_argnums=1)


@pytest.mark.parametrize("p", [1, 2, 4])
@pytest.mark.parametrize(
    ("dtype", "condition", "rtol"), [("float32", 1e2, 1e-5), ("float32", 1e4, 1e-3), ("float64", 1e6, 1e-9)]
)
def test_inverse_roots(p, dtype, condition, rtol):
    values = np.geomspace(1, condition, 8)
    with float64_mode(dtype == "float64"):
        matrix = jnp.asarray(3e5 * symmetric(values), dtype)
        found, error = inverse_root(matrix, p, ridge_epsilon=0.0, error_tolerance=1e-12)
    expected = symmetric((3e5 * values) ** (-1 / p))
    assert found.dtype == dtype
    assert np.linalg.norm(np.asarray(found) - expected, 2) < rtol * np.linalg.norm(expected, 2)
    assert float(error) < 1e-2


def test_the_ridge_is_relative_to_the_largest_eigenvalue():
    values = np.array([4.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # of rank 2
    with float64_mode():
        found, _ = inverse_root(jnp.asarray(symmetric(values)), 4, ridge_epsilon=1e-4, error_tolerance=1e-6)
    np.testing.assert_allclose(found, symmetric((values + 4e-4) ** -0.25), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_scale_does_not_matter(scale):
    matrix = jnp.asarray(scale * symmetric(np.geomspace(1, 10, 8)), jnp.float32)
    found, error = inverse_root(matrix, 2)
    np.testing.assert_allclose(found * scale**0.5, symmetric(np.geomspace(1, 10, 8) ** -0.5), rtol=1e-4, atol=1e-5)
    assert error < 1e-5


def test_matrices_at_the_edge():
    found, error = inverse_root(jnp.zeros((8, 8)), 2)
    assert found.tolist() == np.zeros((8, 8)).tolist()
    assert error == 0
    assert jnp.isnan(inverse_root(jnp.full((8, 8), jnp.nan), 2)[0]).all()
    found = inverse_root(jnp.full((8, 8), 300.0, jnp.bfloat16), 2)[0]  # of rank 1
    assert found.dtype == jnp.float32
    assert jnp.isfinite(found).all()
    np.testing.assert_allclose(inverse_root(jnp.array([[16.0]]), 4)[0], [[0.5]], rtol=1e-5)
    with pytest.raises(ValueError, match=r"^matrix_inverse_pth_root: `matrix` must be square, \(n, n\), got.*\(2, 3\)"):
        fg.matrix_inverse_pth_root(jnp.ones((2, 3)), 2)
    with pytest.raises(ValueError, match=r"^matrix_inverse_pth_root: `p`"):
        fg.matrix_inverse_pth_root(jnp.ones((2, 2)), 0)


def test_many_matrices_at_once():
    many = jnp.asarray(np.stack([np.eye(8), symmetric(np.geomspace(1, 100, 8))]), jnp.float32)
    batched = jax.vmap(lambda a: inverse_root(a, 2)[0])(many)
    for a, root in zip(many, batched, strict=True):
        np.testing.assert_allclose(root, inverse_root(a, 2)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("largest", [-5.0, 5.0])
def test_power_iteration(largest):
    values = np.array([largest, 3.0, 2.0, 1.0, 0.5, 0.0, -1.0, -2.0])
    value, vector = fg.power_iteration(jnp.asarray(symmetric(values), jnp.float32))
    np.testing.assert_allclose(value, largest, rtol=1e-5)
    np.testing.assert_allclose(np.abs(vector), np.abs(Q[:, 0]), atol=1e-4)


def test_power_iteration_of_a_function_on_trees():
    def product(v):
        return {"a": 2.0 * v["a"] + v["b"], "b": v["a"] + 2.0 * v["b"]}

    value, vector = fg.power_iteration(product, {"a": jnp.float32(1.0), "b": jnp.float32(0.2)})
    np.testing.assert_allclose(value, 3.0, rtol=1e-5)
    np.testing.assert_allclose([vector["a"], vector["b"]], np.sqrt([0.5, 0.5]), rtol=1e-4)
    with pytest.raises(ValueError, match=r"^power_iteration: `v0` must be given where `matrix` is a function"):
        fg.power_iteration(product)


def test_power_iteration_of_zero_stands_still():
    value, vector = fg.power_iteration(jnp.zeros((3, 3)), key=jax.random.key(1))
    assert value == 0
    np.testing.assert_allclose(fg.tree.norm(vector), 1, rtol=1e-6)
