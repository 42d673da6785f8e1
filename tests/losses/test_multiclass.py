"""Losses of several classes: the highest score, and the projection onto the simplex."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(4)
S, Y = RNG.standard_normal((6, 4)), np.array([0, 1, 2, 3, 0, 1])
ONE_HOT = np.eye(4)[Y]


def simplex(s):
    """By bisection on the threshold."""
    low, high = s.max() - 1, s.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(s - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(s - low, 0)


def test_highest_scores():
    own = S[np.arange(6), Y]
    np.testing.assert_allclose(fg.multiclass_perceptron_loss(np.float32(S), Y), S.max(-1) - own, rtol=1e-5)
    np.testing.assert_allclose(fg.multiclass_hinge_loss(np.float32(S), Y), (S + 1 - ONE_HOT).max(-1) - own, rtol=1e-5)
    assert float(fg.multiclass_hinge_loss(jnp.float32([1e8, 1e8]), 0)) == 1  # 10⁸ + 1 is no float32
    assert jax.grad(fg.multiclass_perceptron_loss)(jnp.zeros(4), 1).tolist() == [0.25, -0.75, 0.25, 0.25]
    assert jax.grad(fg.multiclass_hinge_loss)(jnp.float32([3, 1, 0]), 0).tolist() == [0, 0, 0]


def test_sparsemax():
    p = np.array([simplex(s) for s in S])
    expected = np.sum((ONE_HOT - S) ** 2, -1) / 2 - np.sum((p - S) ** 2, -1) / 2
    value, slope = jax.value_and_grad(lambda s: fg.multiclass_sparsemax_loss(s, Y).sum())(np.float32(S))
    np.testing.assert_allclose(fg.multiclass_sparsemax_loss(np.float32(S), Y), expected, rtol=1e-5)
    np.testing.assert_allclose(value, expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(slope, p - ONE_HOT, atol=1e-6)
    np.testing.assert_allclose(
        fg.multiclass_sparsemax_loss(np.float32(S + 1e3), Y), fg.multiclass_sparsemax_loss(np.float32(S), Y), atol=1e-3
    )
    assert float(fg.multiclass_sparsemax_loss(jnp.float32([1e4, 0, 0]), 0)) == 0
    inside = p[0] > 0  # the derivative of a projection onto a face
    hessian = fg.hessian(lambda s: fg.multiclass_sparsemax_loss(s, 0), jnp.float32(S[0]))
    np.testing.assert_allclose(hessian, np.diag(inside) - np.outer(inside, inside) / inside.sum(), atol=1e-6)


def test_sparsemax_of_two_classes_is_that_of_scores_0_and_a():
    a = np.float32([-3, -1, -0.5, 0, 0.3, 1, 2])
    for y in (0, 1):
        two = fg.multiclass_sparsemax_loss(np.stack([0 * a, a], -1), np.full(7, y))
        np.testing.assert_allclose(fg.sparsemax_loss(a, np.full(7, y)), two, atol=1e-6)
    assert jax.vmap(jax.grad(lambda a: fg.sparsemax_loss(a, 1)))(a[:2]).tolist() == [-1, -1]
