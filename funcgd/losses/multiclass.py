"""Losses of scores, one for each class: how far the right class is from being the highest."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import class_axes, class_numbers, integer_labels, wide


def multiclass_perceptron_loss(scores: Any, labels: Any) -> jax.Array:
    """The perceptron's loss with several classes: how far the highest score is above that of the right class.

        maxⱼ sⱼ − s_y     gradient eⱼ − e_y of the highest j; classes that tie share it

    Args:
        scores: s, shape (…, classes).
        labels: y, integers in [0, classes), of the shape of the scores without the last axis.

    Returns:
        The losses, of the shape of the labels, in at least float32.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes do not match, or a label, known while tracing, is out of range; where it is traced the
            loss is NaN instead.

    Reference: Collins, Discriminative training methods for hidden Markov models, EMNLP 2002.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.multiclass_perceptron_loss(jnp.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5]]), jnp.array([0, 2])).tolist()
    [0.0, 0.5]
    """
    above, right, valid = against_label("multiclass_perceptron_loss", scores, labels)
    return jnp.where(valid, jnp.max(jnp.where(right, 0, above), axis=-1), jnp.nan)


def multiclass_hinge_loss(scores: Any, labels: Any) -> jax.Array:
    """The loss of multiclass support vector machines: the right class is to be ahead of all others by a margin of 1.

        maxⱼ (sⱼ + [j ≠ y]) − s_y     gradient eⱼ − e_y of the j that is highest so

    Args:
        scores, labels: see `multiclass_perceptron_loss`.

    Reference: Crammer, Singer, On the algorithmic implementation of multiclass kernel-based vector machines, JMLR 2,
    2001.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.multiclass_hinge_loss(jnp.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5]]), jnp.array([0, 2])).tolist()
    [0.5, 1.5]
    """
    above, right, valid = against_label("multiclass_hinge_loss", scores, labels)
    return jnp.where(valid, jnp.max(jnp.where(right, 0, above + 1), axis=-1), jnp.nan)


def against_label(who: str, scores: Any, labels: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(sⱼ − s_y, j = y, whether y is a class): scores against that of the label, where it stands, if it does."""
    (s,) = wide(who, scores=scores)
    axes = class_axes(who, -1, s.shape, "scores")
    integer_labels(who, labels, s.shape, axes, name="scores")
    classes = s.shape[-1]
    class_numbers(who, labels, classes, np.ones(1, bool), None)
    right = jnp.arange(classes, dtype=jnp.int32) == jnp.asarray(labels, jnp.int32)[..., None]
    own = jnp.sum(jnp.where(right, s, 0), axis=-1, keepdims=True)
    return s - own, right, jnp.any(right, axis=-1)
