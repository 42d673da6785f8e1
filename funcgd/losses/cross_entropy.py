"""Cross-entropies: binary, and of the softmax with labels that are probabilities or class numbers."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import (
    class_axes,
    class_numbers,
    classes_last,
    included_classes,
    probabilities,
    same_shape,
    wide,
)


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    """The cross-entropy of each entry between a label and the sigmoid of a logit, in nats.

        −y·log σ(a) − (1 − y)·log(1 − σ(a)),   σ(a) = 1/(1 + e⁻ᵃ)     gradient σ(a) − y

    Neither overflows nor loses digits at any logit. At a = ±∞ it is 0 where the label says the same, else ∞ (0·∞ = 0).

    Args:
        logits: a, any shape.
        labels: y in [0, 1], the same shape: the probability of the class whose logit is a.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a label, known while tracing, is not in [0, 1].

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 4.3.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> logits = jnp.array([0.0, -1e4, 1e4])
    >>> fg.sigmoid_binary_cross_entropy(logits, jnp.ones(3)).tolist()  # doctest: +NUMBER
    [0.6931, 10000.0, 0.0]
    """
    who = "sigmoid_binary_cross_entropy"
    same_shape(who, "labels", labels, "logits", logits)
    a, y = wide(who, logits=logits, labels=labels)
    probabilities(who, labels)
    return _weighted(y, jax.nn.softplus(-a)) + _weighted(1 - y, jax.nn.softplus(a))


def softmax_cross_entropy(
    logits: Any, labels: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """The cross-entropy between label probabilities and the softmax of the logits, one per example, in nats.

        −Σⱼ yⱼ·log ŷⱼ,   ŷⱼ = e^aⱼ / Σₖ e^aₖ     gradient ŷ − y, where Σⱼ yⱼ = 1

    Small losses keep their digits. A logit of −∞ is an impossible class: it costs nothing where its label is 0, else ∞;
    a logit of +∞ is a certain one. Where all logits are −∞ there is no softmax: NaN.

    Args:
        logits: a, shape (…, classes).
        labels: y in [0, 1], the same shape: one-hot or probabilities. A row should sum to 1; this is not checked.
        axis: the axis, or axes, of the classes; None is all of them.
        where: boolean, of the shape of the logits or of the result: classes, or whole examples, to include. The softmax
            is over the included classes alone, and so is the sum over j; an example without any has the loss 0.

    Returns:
        The losses, of the shape of the logits without `axis`, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a label, known while tracing, is not in [0, 1].
        TypeError: if `where` is not boolean.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 4.3.4.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> logits, labels = jnp.array([[0.0, 0.0, 0.0, 0.0], [1e4, 0.0, 0.0, 0.0]]), jnp.array([[0.0, 1.0, 0.0, 0.0]] * 2)
    >>> fg.softmax_cross_entropy(logits, labels).tolist()  # doctest: +NUMBER
    [1.3863, 10000.0]
    >>> jax.grad(fg.softmax_cross_entropy)(logits[0], labels[0]).tolist()
    [0.25, -0.75, 0.25, 0.25]
    """
    who = "softmax_cross_entropy"
    same_shape(who, "labels", labels, "logits", logits)
    a, y = wide(who, logits=logits, labels=labels)
    probabilities(who, labels)
    axes = class_axes(who, axis, a.shape)
    included = included_classes(who, where, a.shape, axes)
    relative, log_normaliser = _log_softmax(classes_last(a, axes), included)
    terms = _weighted(classes_last(y, axes), jnp.where(included, log_normaliser - relative, 0))
    return jnp.sum(jnp.where(included, terms, 0), axis=-1)


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """`softmax_cross_entropy` with class numbers for labels.

        −log ŷᵧ,   ŷⱼ = e^aⱼ / Σₖ e^aₖ     gradient ŷⱼ − [j = y]

    Args:
        logits: a, shape (…, classes).
        labels: y, integers in [0, classes), of the shape of the logits without `axis`. Over several axes it is the flat
            index into them, in the order given.
        axis, where: see `softmax_cross_entropy`. The label of an example that is left out may be anything.

    Returns:
        The losses, of the shape of the labels, in at least float32.

    Raises:
        TypeError: if the labels are not integers, or `where` is not boolean.
        ValueError: if the shapes do not match, or a label, known while tracing, is out of range or belongs to a class
            that `where` leaves out; where it is traced the loss is NaN instead.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 4.3.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.softmax_cross_entropy_with_integer_labels(jnp.array([[0.0, 0.0], [5.0, 0.0]]), jnp.array([1, 0])).tolist()
    [0.6931, 0.00672]
    """
    who = "softmax_cross_entropy_with_integer_labels"
    if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
        raise TypeError(
            f"{who}: `labels` must be integers, got dtype {jnp.result_type(labels)}. "
            f"For one-hot labels or probabilities use softmax_cross_entropy."
        )
    (a,) = wide(who, logits=logits)
    axes = class_axes(who, axis, a.shape)
    examples = tuple(n for i, n in enumerate(a.shape) if i not in axes)
    if np.shape(labels) != examples:
        raise ValueError(
            f"{who}: `labels` must have the shape of `logits` without the axis of the classes, {examples}, "
            f"got {np.shape(labels)}."
        )
    included = included_classes(who, where, a.shape, axes)
    a = classes_last(a, axes)
    classes = a.shape[-1]
    class_numbers(who, labels, classes, included, where)
    relative, log_normaliser = _log_softmax(a, included)
    y = jnp.asarray(labels, jnp.int32)
    in_range = (y >= 0) & (y < classes)
    index = jnp.where(in_range, y, 0)[..., None]
    allowed = in_range & jnp.take_along_axis(jnp.asarray(included), index, axis=-1)[..., 0]
    loss = (log_normaliser - jnp.take_along_axis(relative, index, axis=-1))[..., 0]
    return jnp.where(jnp.any(included, axis=-1), jnp.where(allowed, loss, jnp.nan), 0)


def _weighted(weight: jax.Array, x: jax.Array) -> jax.Array:
    """weight · x with 0 · ∞ = 0, also in its derivatives."""
    return weight * jnp.where((weight == 0) & jnp.isinf(x), 0, x)


def _log_softmax(a: jax.Array, included: Any) -> tuple[jax.Array, jax.Array]:
    """(r, l) with log softmax(a) = r − l over the last axis, where r = a − max a and l = log Σ e^r, shape (…, 1).

    The term of the largest logit is 1 exactly, so l = log1p(Σ of the others): where one class is almost certain, its
    loss and its gradient are small numbers with all their digits. What is not included has r = −∞.
    """
    a = jnp.where(included, a, -jnp.inf)
    a = jnp.where(jnp.any(included, axis=-1, keepdims=True), a, 0)  # an example without classes: any finite number
    certain = a == jnp.inf
    a = jnp.where(jnp.any(certain, axis=-1, keepdims=True), jnp.where(certain, 0, -jnp.inf), a)
    largest = jnp.arange(a.shape[-1]) == jnp.argmax(a, axis=-1, keepdims=True)
    r = a - jnp.sum(jnp.where(largest, a, 0), axis=-1, keepdims=True)
    r = jnp.where(largest, jax.lax.stop_gradient(r), r)  # a − a, whose derivative is 0: left in, it would cost digits
    others = jnp.sum(jnp.where(largest, 0, jnp.exp(r)), axis=-1, keepdims=True)
    return r, jnp.log1p(others)
