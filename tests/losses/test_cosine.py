"""Cosines against NumPy, at any length, with masks; and losses of embeddings."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(2)
A, B, C = RNG.standard_normal((3, 5, 4))


def cosine(a, b, epsilon=0.0):
    return np.sum(a * b, -1) / np.sqrt(np.maximum(np.sum(a * a, -1), epsilon) * np.maximum(np.sum(b * b, -1), epsilon))


def test_formulas():
    a, b = np.float32(A), np.float32(B)
    np.testing.assert_allclose(fg.cosine_similarity(a, b), cosine(A, B), rtol=1e-5, atol=1e-6)
    for epsilon in (0.0, 3.0):  # some are longer than √3, some shorter
        np.testing.assert_allclose(fg.cosine_distance(a, b, epsilon=epsilon), 1 - cosine(A, B, epsilon), rtol=1e-5)
    np.testing.assert_allclose(fg.cosine_similarity(a.T, b.T, axis=0), cosine(A, B), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fg.cosine_similarity(a, b, axis=None), cosine(A.ravel(), B.ravel()), rtol=1e-5)


def test_masks():
    where = RNG.random((5, 4)) < 0.6
    where[2] = False
    found = fg.cosine_similarity(np.float32(A), np.float32(B), where=where)
    expected = [cosine(a[w], b[w]) if w.any() else 0 for a, b, w in zip(A, B, where, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    rows = np.array([True, False, True, True, True])
    assert np.nonzero(fg.cosine_distance(np.float32(A), np.float32(B), where=rows) == 1)[0].tolist() == [1]


def test_lengths_do_not_matter():
    a, b = np.float32(A), np.float32(B)
    for scale in (1e30, 1e-30):
        np.testing.assert_allclose(fg.cosine_similarity(a * np.float32(scale), b), cosine(A, B), rtol=1e-5, atol=1e-6)
        slope = jax.grad(lambda x: fg.cosine_similarity(x, b).sum())(a * np.float32(scale))
        np.testing.assert_allclose(slope * scale, jax.grad(lambda x: fg.cosine_similarity(x, b).sum())(a), rtol=1e-3)


def test_the_zero_vector():
    zero = jnp.zeros(3)
    for loss, expected in ((fg.cosine_similarity, 0), (fg.cosine_distance, 1)):
        value, slopes = jax.value_and_grad(loss, argnums=(0, 1))(zero, jnp.ones(3))
        assert float(value) == float(loss(zero, zero)) == expected
        assert np.all(np.isfinite(slopes))


def test_small_distances_keep_their_digits():
    angles = np.array([1e-5, 1e-3, 1.0])
    found = fg.cosine_distance(np.float32([np.cos(angles), np.sin(angles)]).T, np.float32([[1, 0]] * 3))
    np.testing.assert_allclose(found, 2 * np.sin(angles / 2) ** 2, rtol=1e-5)


def test_ntxent():
    labels, s = np.array([0, 0, 1, 1, 1]), cosine(A[:, None], A[None]) / 0.3
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j and labels[i] == labels[j]]
    others = [np.exp(s[i][labels != labels[i]]).sum() for i in range(5)]
    expected = np.mean([-np.log(np.exp(s[i, j]) / (np.exp(s[i, j]) + others[i])) for i, j in pairs])
    np.testing.assert_allclose(fg.ntxent(np.float32(A), labels, 0.3), expected, rtol=1e-5)
    for alone in (np.arange(5), np.zeros(5, int)):  # no pair, no negative
        value, slope = jax.value_and_grad(fg.ntxent)(jnp.float32(A), alone)
        assert float(value) == 0
        assert not np.any(slope)
    assert np.isfinite(fg.ntxent(np.float32(A), labels, 1e-6))


def test_triplets():
    a, b, c = (np.float32(x) for x in (A, B, C))
    for q in (1, 2, 3):
        distance = lambda x, q=q: (np.sum(abs(x) ** q, -1) + 0.1) ** (1 / q)  # noqa: E731
        expected = np.maximum(distance(A - B) - distance(A - C) + 0.1, 0)
        assert 0 < np.sum(expected == 0) < 5
        found = fg.triplet_margin_loss(a, b, c, norm_degree=q, margin=0.1, eps=0.1)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    found = fg.triplet_margin_loss(a.T, b.T, c.T, 0)
    np.testing.assert_allclose(found, fg.triplet_margin_loss(a, b, c), rtol=1e-5)
    far = np.float32(1e25)
    excess = np.linalg.norm(A - B, axis=-1) - np.linalg.norm(A - C, axis=-1)
    found = fg.triplet_margin_loss(far * a, far * b, far * c) / far
    np.testing.assert_allclose(found, np.maximum(excess, 0), rtol=1e-4)
    for q in (1, 2, 3):
        slope = jax.grad(lambda x, q=q: fg.triplet_margin_loss(x, a, c, norm_degree=q, eps=0).sum())(a)
        assert np.all(np.isfinite(slope))
