"""CTC against the sum over all alignments."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(7)
A = RNG.standard_normal((5, 5, 3))
LOG_P = A - np.log(np.exp(A).sum(-1, keepdims=True))
FRAMES = np.array([[0] * 5, [0] * 5, [0, 0, 0, 1, 1], [1, 0, 0, 1, 0], [0] * 5])
LABELS = np.array([[0, 2], [0, 0], [2, 9], [2, 0], [-1, -1]])  # the blank is 1; what is padded may be anything
ENDS = np.array([[0, 0], [0, 0], [0, 1], [0, 0], [1, 1]])


def merged(path, blank=1):
    return [s for s, _ in itertools.groupby(path) if s != blank]


def by_hand(log_p, frames, labels, ends):
    log_p, y = log_p[frames == 0], labels[ends == 0].tolist()
    paths = [path for path in itertools.product(range(3), repeat=len(log_p)) if merged(path) == y]
    return -np.log(sum(np.exp(sum(log_p[t, s] for t, s in enumerate(path))) for path in paths))


@jax.jit
def derivative(logits):
    loss, *forward = fg.ctc_loss_with_forward_probs(logits, FRAMES, LABELS, ENDS, blank_id=1)
    return loss.sum(), (loss, *forward)


def test_the_sum_over_all_alignments():
    unknown = np.where(FRAMES[..., None] == 1, np.nan, A).astype(np.float32)
    (_, (found, _, _)), slope = jax.value_and_grad(derivative, has_aux=True)(unknown)
    expected = [by_hand(*row) for row in zip(LOG_P, FRAMES, LABELS, ENDS, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(fg.ctc_loss(unknown, FRAMES, LABELS, ENDS, blank_id=1), expected, rtol=1e-5)
    assert not np.any(slope[FRAMES == 1])
    np.testing.assert_allclose(slope.sum(-1), 0, atol=1e-6)  # the softmax does not see a shift


def test_forward_probabilities():
    """After t frames, the probability of all paths so far that end in the blank, or the label, after n labels."""
    _, (loss, blanks, labels) = derivative(np.float32(A))
    assert (blanks.shape, labels.shape) == ((5, 5, 3), (5, 5, 2))
    y = LABELS[0].tolist()
    for t in range(5):
        sums = {}
        for path in itertools.product(range(3), repeat=t + 1):
            key = (path[-1] == 1, tuple(merged(path)))
            sums[key] = sums.get(key, 0) + np.exp(sum(LOG_P[0, i, s] for i, s in enumerate(path)))
        found = np.exp(blanks[t, 0]), np.exp(labels[t, 0])
        np.testing.assert_allclose(found[0], [sums.get((True, tuple(y[:n])), 0) for n in (0, 1, 2)], rtol=1e-4)
        np.testing.assert_allclose(found[1], [sums.get((False, tuple(y[:n])), 0) for n in (1, 2)], rtol=1e-4)
    np.testing.assert_allclose(loss[0], -np.logaddexp(blanks[-1, 0, -1], labels[-1, 0, -1]), rtol=1e-6)


def test_what_does_not_fit_has_no_probability():
    def loss(a, zero):
        return fg.ctc_loss(a, np.zeros((1, 1)), np.array([[0, 2]]), np.zeros((1, 2)), blank_id=1, log_epsilon=zero)[0]

    loss = jax.jit(jax.value_and_grad(loss))
    value, slope = loss(jnp.float32(A[:1, :1]), -jnp.inf)
    assert float(value) == np.inf
    assert not np.any(slope)
    value, slope = loss(jnp.float32(A[:1, :1]), -1e5)
    np.testing.assert_allclose(value, 1e5, rtol=1e-3)
    assert np.all(np.isfinite(slope))


def test_very_unlikely_sequences():
    """Thirty frames that speak against the label and the blank: less likely than e⁻¹⁰⁰⁰⁰⁰, but not impossible."""
    logits = jnp.broadcast_to(jnp.float32([-1e4, -1e4, 0]), (1, 30, 3))
    loss = jax.jit(lambda a: fg.ctc_loss(a, np.zeros((1, 30)), np.array([[1]]), np.zeros((1, 1))))
    np.testing.assert_allclose(loss(logits), [3e5], rtol=1e-4)
