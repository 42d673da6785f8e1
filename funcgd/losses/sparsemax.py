"""Losses of the sparsemax, a softmax that gives unlikely classes the probability 0."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import first_bad, known, same_shape, wide
from funcgd.losses.multiclass import against_label


def sparsemax_loss(logits: Any, labels: Any) -> jax.Array:
    """The loss of the sparsemax of two classes: a hinge loss with a round corner, 0 from a margin of 1 on.

        ¼(1 − z)²  where |z| < 1,  0 where z ≥ 1,  else −z,   z = (2y − 1)·a

    Args:
        logits: a, any shape.
        labels: y, 0 or 1, the same shape.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a label, known while tracing, is not 0 or 1.

    Reference: Blondel, Martins, Niculae, Learning with Fenchel–Young losses, JMLR 21, 2020, section 4.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.sparsemax_loss(jnp.array([2.0, 0.0, -3.0]), jnp.array([1, 1, 1])).tolist()
    [0.0, 0.25, 3.0]
    """
    who = "sparsemax_loss"
    same_shape(who, "labels", labels, "logits", logits)
    a, y = wide(who, logits=logits, labels=labels)
    if known(labels):
        given = np.asarray(labels)
        first_bad(who, given, (given != 0) & (given != 1), "{0, 1}")
    z = (2 * y - 1) * a
    near = jnp.abs(z) < 1
    return jnp.where(near, 0.25 * (1 - jnp.where(near, z, 0)) ** 2, jnp.where(z > 0, 0, 0 - z))


def multiclass_sparsemax_loss(scores: Any, labels: Any) -> jax.Array:
    """The loss whose gradient is p − y for the sparsemax p of the scores, their projection onto the simplex.

        ½ − s_y + ½ Σ_{j: pⱼ > 0} (sⱼ² − τ²),   pⱼ = max(0, sⱼ − τ),  Σⱼ pⱼ = 1

    It is 0 where the right class is ahead of all others by 1.

    Args:
        scores, labels: see `multiclass_perceptron_loss`.

    Reference: Martins, Astudillo, From softmax to sparsemax, ICML 2016.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> scores = jnp.array([2.0, 1.5, -1.0])
    >>> float(fg.multiclass_sparsemax_loss(scores, jnp.array(0)))
    0.0625
    >>> jax.grad(fg.multiclass_sparsemax_loss)(scores, jnp.array(0)).tolist()
    [-0.25, 0.25, 0.0]
    """
    above, _, valid = against_label("multiclass_sparsemax_loss", scores, labels)
    lead = jax.lax.stop_gradient(jnp.max(above, axis=-1, keepdims=True))  # shifting all scores changes nothing
    s = above - lead
    inside = _support(jax.lax.stop_gradient(s))
    count = jnp.sum(inside, axis=-1, keepdims=True, dtype=s.dtype)
    threshold = (jnp.sum(jnp.where(inside, s, 0), axis=-1, keepdims=True) - 1) / count
    squares = jnp.sum(jnp.where(inside, (s - threshold) * (s + threshold), 0), axis=-1)
    return jnp.where(valid, lead[..., 0] + 0.5 * (1 + squares), jnp.nan)


def _support(s: jax.Array) -> jax.Array:
    """Where the sparsemax of s is positive: in descending order 1 + k·s₍ₖ₎ > Σ_{j ≤ k} s₍ⱼ₎, up to a last k."""
    descending = -jnp.sort(-s, axis=-1)
    k = jnp.arange(1, s.shape[-1] + 1, dtype=s.dtype)
    count = jnp.sum(1 + k * descending > jnp.cumsum(descending, axis=-1), axis=-1, keepdims=True)
    return s >= jnp.take_along_axis(descending, jnp.maximum(count, 1) - 1, axis=-1)
