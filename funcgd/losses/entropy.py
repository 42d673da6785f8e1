"""Entropy, and the cross-entropy of two distributions that are given as probabilities."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import ROUNDING, class_axes, same_shape, wide
from funcgd.losses.check import probabilities as check_probabilities


def entropy(probabilities: Any, axis: int | Sequence[int] | None = -1) -> jax.Array:
    """The entropy of a distribution, in nats: how hard it is to guess what is drawn from it.

        H(P) = −Σⱼ pⱼ·log pⱼ     where 0·log 0 = 0;   gradient −log pⱼ − 1, at pⱼ = 0 it is ∞

    It is 0 where one outcome is certain, and at most log n, where all n are equally likely.

    Args:
        probabilities: p in [0, 1], shape (…, outcomes). They should sum to 1; this is not checked.
        axis: the axis, or axes, of the outcomes; None is all of them.

    Returns:
        The entropies, of the shape of p without `axis`, in at least float32.

    Raises:
        ValueError: if a probability, known while tracing, is not in [0, 1].

    Reference: Shannon, A mathematical theory of communication, Bell System Technical Journal 27, 1948.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.entropy(jnp.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])).tolist()
    [1.3863, 0.6931, 0.0]
    """
    (p,) = wide("entropy", probabilities=probabilities)
    check_probabilities("entropy", probabilities, "probabilities")
    axes = class_axes("entropy", axis, p.shape, "probabilities")
    return jnp.sum(jax.scipy.special.entr(_rounded_up(p)), axis=axes)


def cross_entropy(predictions: Any, targets: Any, axis: int | Sequence[int] | None = -1) -> jax.Array:
    """The cross-entropy H(P, Q) of a distribution P, the targets, and a predicted one, Q, in nats.

        H(P, Q) = −Σⱼ pⱼ·log qⱼ     where 0·log 0 = 0;   gradient −pⱼ/qⱼ

    It is ∞ where Q rules out what P does not (qⱼ = 0 < pⱼ). It is not symmetric, and at least `entropy` of P, which it
    is for Q = P. With logits at hand take `softmax_cross_entropy`, which keeps the digits that a softmax rounds away.

    Args:
        predictions: q in [0, 1], shape (…, outcomes), such as the output of a softmax layer.
        targets: p in [0, 1], the same shape: one-hot or probabilities.
        axis: see `entropy`.

    Returns:
        The cross-entropies, of the shape of q without `axis`, in at least float32.

    Raises:
        ValueError: if the shapes differ: nothing is broadcast; if a probability, known while tracing, is not in [0, 1].

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 4.3.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> uniform, two = jnp.full(4, 0.25), jnp.array([0.5, 0.5, 0.0, 0.0])
    >>> [float(fg.cross_entropy(q, p)) for p, q in [(two, uniform), (uniform, two)]]  # H(P, Q) = log 4, H(Q, P) = ∞
    [1.3863, inf]
    """
    who = "cross_entropy"
    same_shape(who, "targets", targets, "predictions", predictions)
    q, p = wide(who, predictions=predictions, targets=targets)
    check_probabilities(who, predictions, "predictions")
    check_probabilities(who, targets, "targets")
    axes = class_axes(who, axis, q.shape, "predictions")
    q, p = _rounded_up(q), _rounded_up(p)
    q = jnp.where((p == 0) & (q == 0), 1, q)  # 0·log 0 = 0, and so are its derivatives
    return jnp.sum(-p * jnp.log(q), axis=axes)


def _rounded_up(p: jax.Array) -> jax.Array:
    """p with 0 in place of what rounding has made a little less than that."""
    return jnp.where((p < 0) & (p >= -ROUNDING), 0, p)
