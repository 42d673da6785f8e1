"""Diagonals against whole matrices, and against gradients of single examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 2)).astype(np.float32), RNG.standard_normal(5).astype(np.float32)
PARAMS = {"b": jnp.float32(0.5), "w": jnp.float32([0.1, -0.2])}


def loss(params, x, y):
    return jnp.mean((jnp.tanh(x @ params["w"]) + params["b"] - y) ** 2)


def test_the_diagonal_of_the_hessian():
    found = fg.hessian_diag(loss, PARAMS, X, Y)
    whole = fg.hessian_matrix(loss, PARAMS, X, Y)
    np.testing.assert_allclose([found["b"], *found["w"]], np.diag(whole), rtol=1e-5)
    many = fg.hessian_diag(lambda x: jnp.sum(x**4) + x[0] * x[1], jnp.arange(100.0))  # more than one chunk
    np.testing.assert_allclose(many, 12 * np.arange(100.0) ** 2, rtol=1e-5)


def test_the_product_under_its_short_name():
    v = {"b": jnp.float32(1), "w": jnp.float32([2, 3])}
    found, expected = fg.hvp(loss, v, PARAMS, X, Y), fg.hessian_matrix(loss, PARAMS, X, Y) @ jnp.float32([1, 2, 3])
    np.testing.assert_allclose([found["b"], *found["w"]], expected, rtol=1e-5)


def test_the_diagonal_of_the_fisher_matrix():
    found = jax.jit(lambda p: fg.fisher_diag(loss, p, X, Y))(PARAMS)
    a = np.tanh(np.float64(X) @ [0.1, -0.2])
    error = 2 * (a + 0.5 - Y)
    slopes = np.stack([error, *(error * (1 - a**2) * X.T)], -1)
    np.testing.assert_allclose([found["b"], *found["w"]], np.mean(slopes**2, 0), rtol=1e-4)


def test_errors():
    with pytest.raises(TypeError, match="hessian_diag: `loss` must return one real floating number"):
        fg.hessian_diag(lambda x: x, jnp.ones(2))
    with pytest.raises(TypeError, match=r"fisher_diag: `x` must be real, got complex64"):
        fg.fisher_diag(loss, jnp.complex64(1), X, Y)
    with pytest.raises(ValueError, match="fisher_diag: all leading axes must agree"):
        fg.fisher_diag(loss, PARAMS, X, Y[:3])
