"""Connectionist temporal classification: labels of a sequence, not knowing which frames they belong to."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import first_bad, known, number, wide
from funcgd.losses.softmax import log_softmax


def ctc_loss(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -np.inf,
) -> jax.Array:
    """The negative logarithm of the probability of a sequence of labels, summed over all its alignments with frames.

        −log Σ_π Π_t softmax(a_t)_{π_t}

    where π runs over the sequences with one symbol for each frame that are y after merging repeated symbols and then
    dropping blanks. A sequence that fits into no alignment, being too long, has the loss ∞ and the gradient 0.

    Args:
        logits: a, shape (B, T, K): B sequences, T frames, K classes, the blank among them.
        logit_paddings: 0 or 1, shape (B, T); frames of 1 are passed over.
        labels: y, integers in [0, K) that are not the blank, shape (B, N).
        label_paddings: 0 or 1, shape (B, N): zeros, then ones. What is padded may be anything.
        blank_id: the class of the blank.
        log_epsilon: the logarithm to compute with in place of log 0. A finite one makes the loss of impossible
            sequences finite, and errs where a possible one is as unlikely.

    Returns:
        (B,), in at least float32.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes do not match, or, where they are known, a label is no class or the blank, a padding
            is neither 0 nor 1, or labels follow padding.

    Reference: Graves et al., Connectionist temporal classification, ICML 2006.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> one = jnp.zeros((1, 2, 2))  # two frames of two classes; "a", "a blank" and "blank a" are one label: 3 in 4
    >>> fg.ctc_loss(one, jnp.zeros((1, 2)), jnp.array([[1]]), jnp.zeros((1, 1))).tolist()
    [0.287682]
    """
    return _ctc("ctc_loss", logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon)[0]


def ctc_loss_with_forward_probs(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -np.inf,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`ctc_loss` and the logarithms of the forward probabilities it is made of.

    They are the probabilities of all beginnings of an alignment that end, in frame t, in the blank after n labels or
    in label n.

    Args:
        logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon: see `ctc_loss`.

    Returns:
        The losses, (B,); of the blanks (T, B, N + 1); of the labels (T, B, N). In a padded frame they are those before.

    Reference: see `ctc_loss`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> inputs = jnp.zeros((1, 2, 2)), jnp.zeros((1, 2)), jnp.array([[1]]), jnp.zeros((1, 1))
    >>> loss, blanks, labels = fg.ctc_loss_with_forward_probs(*inputs)
    >>> jnp.exp(labels[:, 0, 0]).tolist(), jnp.exp(blanks[-1, 0]).tolist()
    ([0.5, 0.5], [0.25, 0.25])
    """
    who = "ctc_loss_with_forward_probs"
    loss, alphas = _ctc(who, logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon)
    return loss, alphas[..., ::2], alphas[..., 1::2]


def _ctc(who: str, logits: Any, frames: Any, labels: Any, ends: Any, blank: int, zero: Any) -> tuple[Any, Any]:
    """The losses and log α, (T, B, 2N + 1): states 2n are the blank after n labels, states 2n − 1 label n."""
    (a,) = wide(who, logits=logits)
    _check(who, a.shape, frames, labels, ends, blank)
    padded, beyond = jnp.asarray(frames) != 0, jnp.asarray(ends) != 0
    y = jnp.where(beyond, blank, jnp.asarray(labels, jnp.int32))
    zero = number(who, "log_epsilon", zero, a.dtype, high=0)
    log_y = log_softmax(jnp.where(padded[..., None], 0, a))
    states = jnp.full((len(y), 2 * y.shape[1] + 1), blank, jnp.int32).at[:, 1::2].set(y)
    index = jnp.broadcast_to(states[:, None, :], (*a.shape[:2], states.shape[1]))
    log_p = jnp.take_along_axis(log_y, index, axis=-1)
    # A label may follow the one before without a blank between them, unless the two are equal.
    skips = jnp.zeros(states.shape, bool).at[:, 3::2].set(y[:, 1:] != y[:, :-1])
    start = jnp.full(states.shape, zero).at[:, 0].set(0)  # as if a blank had come before the first frame

    def step(alpha: jax.Array, frame: Any) -> tuple[jax.Array, jax.Array]:
        log_p, padded = frame
        by_one = jnp.pad(alpha, ((0, 0), (1, 0)))[:, :-1].at[:, 0].set(zero)
        by_two = jnp.where(skips, jnp.pad(alpha, ((0, 0), (2, 0)))[:, :-2], zero)
        alpha = jnp.where(padded[:, None], alpha, _log_add(alpha, by_one, by_two) + log_p)
        return alpha, alpha

    last, alphas = jax.lax.scan(step, start, (jnp.moveaxis(log_p, 1, 0), padded.T))
    n = jnp.sum(~beyond, axis=-1, keepdims=True, dtype=jnp.int32)
    in_blank = jnp.take_along_axis(last, 2 * n, axis=-1)
    in_label = jnp.where(n > 0, jnp.take_along_axis(last, jnp.maximum(2 * n - 1, 0), axis=-1), -jnp.inf)
    return -_log_add(in_blank, in_label)[:, 0], alphas


def _log_add(*terms: jax.Array) -> jax.Array:
    """log Σ eˣ, −∞ where all terms are, with derivative 0 there."""
    x = jnp.stack(terms)
    largest = jax.lax.stop_gradient(jnp.max(x, axis=0))
    some = largest > -jnp.inf
    total = jnp.sum(jnp.exp(x - jnp.where(some, largest, 0)), axis=0)
    return jnp.where(some, largest + jnp.log(jnp.where(some, total, 1)), -jnp.inf)


def _check(who: str, shape: tuple[int, ...], frames: Any, labels: Any, ends: Any, blank: int) -> None:
    if len(shape) != 3 or not shape[2]:
        raise ValueError(f"{who}: `logits` must have the shape (sequences, frames, classes), got {shape}.")
    if not isinstance(blank, int) or not 0 <= blank < shape[2]:
        raise ValueError(f"{who}: `blank_id` must be a class, an integer in [0, {shape[2]}), got {blank!r}.")
    if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
        raise TypeError(f"{who}: `labels` must be integers, got dtype {jnp.result_type(labels)}.")
    if np.ndim(labels) != 2 or np.shape(labels)[0] != shape[0]:
        raise ValueError(f"{who}: `labels` must have the shape ({shape[0]}, labels), got {np.shape(labels)}.")
    for name, x, wanted in (("logit_paddings", frames, shape[:2]), ("label_paddings", ends, np.shape(labels))):
        if np.shape(x) != wanted:
            raise ValueError(f"{who}: `{name}` must have the shape {wanted}, got {np.shape(x)}.")
        if known(x):
            given = np.asarray(x)
            first_bad(who, given, (given != 0) & (given != 1), "{0, 1}", name)
    if known(labels, ends):
        y, padded = np.asarray(labels), np.asarray(ends) != 0
        after = ~padded & (np.cumsum(padded, axis=1) > 0)
        first_bad(who, np.asarray(ends), after, "{1} after another 1", "label_paddings")
        bad = ~padded & ((y < 0) | (y >= shape[2]) | (y == blank))
        first_bad(who, y, bad, f"[0, {shape[2]}) without the blank, {blank},")
