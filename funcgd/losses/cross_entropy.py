"""Cross-entropies: binary, and of the softmax with labels that are probabilities or class numbers."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import (
    class_axes,
    class_numbers,
    classes_last,
    included_classes,
    integer_labels,
    probabilities,
    same_shape,
    wide,
)
from funcgd.losses.softmax import minus_log_softmax, minus_log_softmax_at, relative_to_largest, weighted


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
    return weighted(y, jax.nn.softplus(-a)) + weighted(1 - y, jax.nn.softplus(a))


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
    r = relative_to_largest(classes_last(a, axes), included)
    return minus_log_softmax(r, jnp.where(included, classes_last(y, axes), 0))


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    """`softmax_cross_entropy`, which is safe: a logit of −∞ costs nothing where its label is 0.

    Args:
        logits, labels: see `softmax_cross_entropy`; the classes are on the last axis.

    Reference: see `softmax_cross_entropy`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.safe_softmax_cross_entropy(jnp.array([0.0, 0.0, -jnp.inf]), jnp.array([1.0, 0.0, 0.0])))
    0.693147
    """
    return softmax_cross_entropy(logits, labels)


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
    (a,) = wide(who, logits=logits)
    axes = class_axes(who, axis, a.shape)
    integer_labels(who, labels, a.shape, axes, "For one-hot labels or probabilities use softmax_cross_entropy.")
    included = included_classes(who, where, a.shape, axes)
    a = classes_last(a, axes)
    classes = a.shape[-1]
    class_numbers(who, labels, classes, included, where)
    y = jnp.asarray(labels, jnp.int32)
    allowed = (y >= 0) & (y < classes)
    y = jnp.where(allowed, y, 0)
    if where is not None:
        allowed &= jnp.take_along_axis(jnp.asarray(included), y[..., None], axis=-1, mode="promise_in_bounds")[..., 0]
    loss = minus_log_softmax_at(relative_to_largest(a, included), y)
    return jnp.where(jnp.any(included, axis=-1), jnp.where(allowed, loss, jnp.nan), 0)
