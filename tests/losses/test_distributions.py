"""Entropy and the cross-entropy of distributions against sums over what has probability, with their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.losses import cross_entropy, entropy, softmax_cross_entropy

RNG = np.random.default_rng(0)
P, Q = RNG.dirichlet(np.ones(5), size=(2, 3))


def by_hand(p, q):
    return [-sum(a * np.log(b) for a, b in zip(u, v, strict=True) if a) for u, v in zip(p, q, strict=True)]


def test_row_29_the_cross_entropy_of_the_lecture():
    """H(P, Q) = 1.39 = ln 4 for a Q of four equally likely outcomes, and ∞ where Q rules out what P does not."""
    uniform, two = np.full(4, 0.25, np.float32), np.float32([0.5, 0.5, 0, 0])
    for p in (uniform, two, np.eye(4, dtype=np.float32)[2]):
        assert round(float(cross_entropy(uniform, p)), 2) == 1.39
        assert float(cross_entropy(uniform, p)) == pytest.approx(np.log(4), rel=1e-6)
    assert float(cross_entropy(two, uniform)) == np.inf  # not symmetric


def test_row_29_softmax_and_cross_entropy_have_the_derivative_output_minus_label():
    a, y = RNG.standard_normal(4).astype(np.float32), np.float32([0, 0, 1, 0])
    e = np.exp(np.float64(a))
    through_probabilities = jax.grad(lambda a: cross_entropy(jax.nn.softmax(a), y))(a)
    np.testing.assert_allclose(through_probabilities, e / e.sum() - y, atol=1e-6)
    np.testing.assert_allclose(cross_entropy(jax.nn.softmax(a), y), softmax_cross_entropy(a, y), rtol=1e-6)


def test_row_29_entropy():
    """The harder to guess, the higher: nothing to guess, one coin, and the most that four outcomes can have."""
    rows = np.float32([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.7, 0.1, 0.1, 0.1], [0.25] * 4])
    h = entropy(rows)
    np.testing.assert_allclose(h, by_hand(rows, rows), rtol=1e-6)
    assert h.tolist() == sorted(h.tolist())
    assert (h[0], h[1], h[3]) == (0, pytest.approx(np.log(2)), pytest.approx(np.log(4)))
    assert np.all(cross_entropy(Q, P) > entropy(P))  # Gibbs' inequality
    np.testing.assert_allclose(cross_entropy(P, P), entropy(P), rtol=1e-6)


def test_formulas_and_gradients():
    p, q = jnp.float32(P), jnp.float32(Q)
    np.testing.assert_allclose(cross_entropy(q, p), by_hand(P, Q), rtol=1e-5)
    by_q, by_p = jax.grad(lambda q, p: cross_entropy(q, p).sum(), argnums=(0, 1))(q, p)
    np.testing.assert_allclose(by_q, -P / Q, rtol=1e-5)
    np.testing.assert_allclose(by_p, -np.log(Q), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(lambda p: entropy(p).sum())(p), -np.log(P) - 1, rtol=1e-4)


def test_at_the_ends_of_the_interval():
    p, q = np.float32([0, 0, 1, 0.5]), np.float32([0, 1, 0.5, 0])
    loss = lambda q, p: cross_entropy(q[:, None], p[:, None])  # noqa: E731
    np.testing.assert_allclose(loss(q, p), [0, 0, np.log(2), np.inf], rtol=1e-6)
    by_q, by_p = jax.grad(lambda q, p: loss(q, p).sum(), argnums=(0, 1))(q, p)
    np.testing.assert_allclose(by_q, [0, 0, -2, -np.inf])
    np.testing.assert_allclose(by_p, [0, 0, np.log(2), np.inf], rtol=1e-6)
    assert jax.grad(lambda p: entropy(p))(np.float32([0, 1])).tolist() == [np.inf, -1]


def test_rounding_and_precision():
    p = np.float32([-5e-4, 0.5, 0.5])
    assert entropy(p) == entropy(np.float32([0, 0.5, 0.5]))
    assert cross_entropy(p, p) == entropy(p)
    assert entropy(jnp.float16([0.5, 0.5])).dtype == cross_entropy(jnp.bfloat16([1, 0]), [1, 0]).dtype == jnp.float32
    assert np.isneginf(jax.jit(entropy)(np.float32([-0.5, 0.5])))  # where it cannot be looked at, it is not hidden


def test_axes():
    np.testing.assert_allclose(entropy(P.T / 3, axis=0), entropy(P / 3), rtol=1e-6)
    np.testing.assert_allclose(cross_entropy(Q / 3, P / 3, axis=None), np.sum(by_hand(P / 3, Q / 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy([0.5, 1.5]), r"entropy: `probabilities` must be in \[0, 1\], got `probabilities\[1\]` = 1.5"),
        (lambda: entropy(0.5), r"entropy: `axis` must name axes of `probabilities`, which has 0"),
        (lambda: entropy([0.5, 1j]), r"entropy: `probabilities` must be real"),
        (lambda: cross_entropy([0.5, -1], [0, 1]), r"cross_entropy: `predictions` must be in .*\[1\]` = -1.0"),
        (lambda: cross_entropy([0.5, 0.5], [2, 0]), r"cross_entropy: `targets` must be in \[0, 1\], got .*\[0\]` = 2"),
        (lambda: cross_entropy([0.5, 0.5], [[1, 0]]), r"cross_entropy: `targets` must have the shape of `predictions`"),
    ],
)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
