"""Labels that are a little less certain."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import class_axes, classes_last, included_classes, number, probabilities, wide


def smooth_labels(labels: Any, alpha: Any, *, axis: int | Sequence[int] | None = -1, where: Any = None) -> jax.Array:
    """Labels mixed with the uniform distribution, so that no logit is asked to be infinite.

        (1 − α)·y + α/K

    Args:
        labels: y in [0, 1], shape (…, K): one-hot or probabilities.
        alpha: α in [0, 1].
        axis: the axis, or axes, of the classes; None is all of them.
        where: boolean, of the shape of the labels or of the examples: the classes that share α, K of them; the others
            get 0.

    Returns:
        The labels, of the same shape, in at least float32.

    Raises:
        ValueError: if a label, known while tracing, or α is not in [0, 1].
        TypeError: if `where` is not boolean.

    Reference: Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016, section 7.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.smooth_labels(jnp.array([0.0, 1.0, 0.0, 0.0]), 0.2).tolist()
    [0.05, 0.85, 0.05, 0.05]
    """
    who = "smooth_labels"
    (y,) = wide(who, labels=labels)
    probabilities(who, labels)
    alpha = number(who, "alpha", alpha, y.dtype, 0, 1)
    axes = class_axes(who, axis, y.shape, "labels")
    included = jnp.broadcast_to(included_classes(who, where, y.shape, axes, "labels"), classes_last(y, axes).shape)
    count = jnp.sum(included, axis=-1, dtype=y.dtype)
    share = jnp.expand_dims(alpha / jnp.maximum(count, 1), axes)
    mixed = (1 - alpha) * y + share
    if where is None:
        return mixed
    full = where if jnp.shape(where) == y.shape else jnp.expand_dims(where, axes)
    return jnp.where(full, mixed, 0)
