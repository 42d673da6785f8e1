"""Divergences against sums over what has probability, with masks and at the ends."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(3)
P, Q = RNG.dirichlet(np.ones(5), size=(2, 3))
P[0, 2] = 0
LOG_Q = np.log(np.float32(Q))


def by_hand(p, q):
    return np.array([sum(a * np.log(a / b) for a, b in zip(u, v, strict=True) if a) for u, v in zip(p, q, strict=True)])


def test_formulas():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.float32(P))
    np.testing.assert_allclose(fg.kl_divergence(LOG_Q, np.float32(P)), by_hand(P, Q), rtol=1e-5)
    np.testing.assert_allclose(fg.kl_divergence_with_log_targets(LOG_Q, log_p), by_hand(P, Q), rtol=1e-5)
    for loss in (fg.generalized_kl_divergence, fg.convex_kl_divergence):
        np.testing.assert_allclose(loss(LOG_Q, np.float32(3 * P)), by_hand(3 * P, Q) - 3 * P.sum(-1) + 1, rtol=1e-4)
    difference = fg.cross_entropy(np.float32(Q), np.float32(P)) - fg.entropy(np.float32(P))
    np.testing.assert_allclose(fg.kl_divergence(LOG_Q, np.float32(P)), difference, rtol=1e-5)


def test_gradients():
    slope = jax.grad(lambda x: fg.kl_divergence(x, np.float32(P)).sum())(LOG_Q)
    np.testing.assert_allclose(slope, -P, rtol=1e-6)
    slope = jax.grad(lambda x: fg.generalized_kl_divergence(x, np.float32(3 * P)).sum())(LOG_Q)
    np.testing.assert_allclose(slope, Q - 3 * P, rtol=1e-5)


def test_masks_and_axes():
    where = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    expected = [by_hand([p[w]], [q[w]])[0] for p, q, w in zip(P, Q, where, strict=True)]
    bad = np.where(where, LOG_Q, np.nan)
    np.testing.assert_allclose(fg.kl_divergence(bad, np.float32(P), where=where), expected, rtol=1e-5)
    np.testing.assert_allclose(fg.kl_divergence(LOG_Q.T, np.float32(P).T, axis=0), by_hand(P, Q), rtol=1e-5)
    rows = jax.jit(fg.kl_divergence, static_argnums=2)(LOG_Q, np.float32(P), -1, np.array([True, False, True]))
    np.testing.assert_allclose(rows, by_hand(P, Q) * [1, 0, 1], rtol=1e-5)


def test_at_the_ends():
    impossible, certain = jnp.float32([-jnp.inf, 0]), jnp.float32([0, 1])
    for loss, p in ((fg.kl_divergence, certain), (fg.kl_divergence_with_log_targets, impossible)):
        value, slope = jax.value_and_grad(loss)(impossible, p)
        assert float(value) == 0
        assert slope.tolist() == [0, -1]
        assert float(loss(impossible[::-1], p)) == np.inf
