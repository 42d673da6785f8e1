"""Weighed cross-entropies, smooth labels, rankings and Fenchel–Young losses against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(5)
A, P = RNG.standard_normal((4, 5)), RNG.dirichlet(np.ones(5), 4)
SOFT = np.exp(A) / np.exp(A).sum(-1, keepdims=True)
WHERE = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 0, 0]], bool)


def test_focal():
    p, a = 1 / (1 + np.exp(-A)), np.float32(A)
    right = p * P + (1 - p) * (1 - P)
    expected = -((1 - right) ** 1.5) * (P * np.log(p) + (1 - P) * np.log(1 - p))
    np.testing.assert_allclose(fg.sigmoid_focal_loss(a, np.float32(P), gamma=1.5), expected, rtol=1e-5)
    weighed = fg.sigmoid_focal_loss(a, np.float32(P), gamma=1.5, alpha=0.25)
    np.testing.assert_allclose(weighed, (0.25 * P + 0.75 * (1 - P)) * expected, rtol=1e-5)
    plain = fg.sigmoid_binary_cross_entropy(a, np.float32(P))
    np.testing.assert_allclose(fg.sigmoid_focal_loss(a, np.float32(P), gamma=0), plain, rtol=1e-6)
    small = float(fg.sigmoid_focal_loss(jnp.float32(10), 1.0))  # (1 − σ(10))²·CE, where float32 rounds 1 − σ
    np.testing.assert_allclose(small, np.log1p(np.exp(-10)) / (1 + np.exp(10)) ** 2, rtol=1e-5)
    for gamma in (0.0, 0.5, 2.0):
        assert jax.grad(lambda a, g=gamma: fg.sigmoid_focal_loss(a, 1.0, gamma=g))(1e4) == 0


def test_poly():
    one_hot = np.eye(5, dtype=np.float32)[[0, 1, 2, 3]]
    right = SOFT[np.arange(4), np.arange(4)]
    found = fg.poly_loss_cross_entropy(np.float32(A), one_hot, epsilon=1.5)
    np.testing.assert_allclose(found, -np.log(right) + 1.5 * (1 - right), rtol=1e-5)
    masked = fg.poly_loss_cross_entropy(np.float32(A), one_hot, epsilon=0, where=WHERE)
    np.testing.assert_allclose(masked, fg.softmax_cross_entropy(np.float32(A), one_hot, where=WHERE), rtol=1e-6)
    certain = fg.poly_loss_cross_entropy(np.float32([20, 0]), np.float32([1, 0]))
    np.testing.assert_allclose(certain, 3 * np.exp(-20), rtol=1e-5)


def test_smooth_labels():
    found = fg.smooth_labels(np.float32(P), 0.3)
    np.testing.assert_allclose(found, 0.7 * P + 0.06, rtol=1e-5)
    np.testing.assert_allclose(fg.smooth_labels(np.float32(P).T, 0.3, axis=0).T, found)
    expected = [w * (0.7 * p + 0.3 / max(w.sum(), 1)) for p, w in zip(P, WHERE, strict=True)]
    np.testing.assert_allclose(fg.smooth_labels(np.float32(P), 0.3, where=WHERE), expected, rtol=1e-5)
    rows = fg.smooth_labels(np.float32(P), 0.3, where=WHERE[:, 0])
    np.testing.assert_allclose(rows, np.asarray(found) * WHERE[:, :1], rtol=1e-6)


def test_rankings():
    relevance, weights = np.floor(4 * P), RNG.random((4, 5))
    arguments = [np.float32(x) for x in (A, relevance)]
    each = -np.sum(weights * relevance * np.log(SOFT), -1)
    plain = {"weights": np.float32(weights)}
    np.testing.assert_allclose(fg.ranking_softmax_loss(*arguments, **plain, reduce_fn=None), each, rtol=1e-5)
    np.testing.assert_allclose(fg.ranking_softmax_loss(*arguments, **plain), each.mean(), rtol=1e-5)
    lists = [-(r[w] * np.log(s[w] / s[w].sum())).sum() for r, s, w in zip(relevance, SOFT, WHERE, strict=True)]
    found = fg.ranking_softmax_loss(*arguments, where=WHERE, reduce_fn=None)
    np.testing.assert_allclose(found, lists, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fg.ranking_softmax_loss(*arguments, where=WHERE), np.sum(lists) / 3, rtol=1e-5)
    assert float(fg.ranking_softmax_loss(*arguments, where=np.zeros(4, bool))) == 0


def test_fenchel_young():
    loss = fg.make_fenchel_young_loss(jax.nn.logsumexp)
    np.testing.assert_allclose(loss(np.float32(A), np.float32(P)), -np.sum(P * np.log(SOFT), -1), rtol=1e-5)
    slope = jax.grad(lambda s: loss(s, np.float32(P)).sum())(np.float32(A))
    np.testing.assert_allclose(slope, SOFT - P, atol=1e-6)
    scaled = fg.make_fenchel_young_loss(lambda s, t: t * jax.nn.logsumexp(s / t))
    cold = scaled(np.float32(A), np.float32(P), 1e-3)
    np.testing.assert_allclose(cold, A.max(-1) - np.sum(A * P, -1), rtol=1e-3)  # the perceptron's
