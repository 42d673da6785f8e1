"""Losses of lists whose items are to be ranked."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import class_axes, first_bad, included_classes, known, same_shape, wide
from funcgd.losses.softmax import minus_log_softmax, relative_to_largest


def ranking_softmax_loss(
    logits: Any,
    labels: Any,
    *,
    where: Any = None,
    weights: Any = None,
    reduce_fn: Callable[..., Any] | None = jnp.mean,
) -> jax.Array:
    """The cross-entropy of the relevance of a list's items and the softmax of their scores, as in ListNet.

        −Σᵢ wᵢyᵢ·log softmax(s)ᵢ

    Args:
        logits: s, shape (…, items).
        labels: y ≥ 0, the relevance of the items, the same shape. They need not sum to 1.
        where: boolean, of the shape of the logits or of the lists: items, or whole lists, to include. The softmax is
            over the included items alone; a list without any has the loss 0, and is left out of the reduction.
        weights: w ≥ 0, of the shape of the logits.
        reduce_fn: a function of all losses, such as `jnp.sum`, called with `where=` the lists to include if there is a
            mask; None returns one loss for each list.

    Returns:
        A number, or the losses, of the shape of the logits without the last axis; in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a label, known while tracing, is negative.
        TypeError: if `where` is not boolean.

    Reference: Cao et al., Learning to rank: from pairwise approach to listwise approach, ICML 2007.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> scores, relevance = jnp.array([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]]), jnp.array([[1.0, 0, 0, 0]] * 2)
    >>> fg.ranking_softmax_loss(scores, relevance, reduce_fn=None).tolist()  # doctest: +NUMBER
    [1.38629, 0.00037]
    """
    who = "ranking_softmax_loss"
    same_shape(who, "labels", labels, "logits", logits)
    s, y = wide(who, logits=logits, labels=labels)
    if known(labels):
        given = np.asarray(labels)
        first_bad(who, given, given < 0, "[0, ∞)")
    if weights is not None:
        same_shape(who, "weights", weights, "logits", logits)
        y = y * jnp.asarray(weights, y.dtype)
    included = included_classes(who, where, s.shape, class_axes(who, -1, s.shape))
    losses = minus_log_softmax(relative_to_largest(s, included), jnp.where(included, y, 0))
    if reduce_fn is None:
        return losses
    if where is None:
        return reduce_fn(losses)
    lists = jnp.any(included, axis=-1)
    return reduce_fn(losses, where=lists | ~jnp.any(lists))  # of no list at all, the mean is 0 like its losses
