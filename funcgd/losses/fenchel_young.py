"""Losses made of a maximum: the family that the cross-entropy and the sparsemax loss belong to."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import describe
from funcgd.losses.check import same_shape, wide


def make_fenchel_young_loss(max_fun: Callable[..., Any]) -> Callable[..., jax.Array]:
    """The loss whose gradient is the prediction that a regularised maximum makes, minus the target.

        L(s, y) = max_μ (⟨s, μ⟩ − Ω(μ)) − ⟨s, y⟩     gradient μ(s) − y

    The maximum is `max_fun(s)`; for the log-sum-exp, whose Ω is the negative entropy, μ is the softmax and L the
    cross-entropy. The term Ω(y), which no score changes, is left out: L need not be 0 at its minimum.

    Args:
        max_fun: s, *args → a scalar, for scores s of shape (n,); convex.

    Returns:
        loss(scores, targets, *args), with scores and targets of one shape (…, n), which returns the losses, of the
        shape without the last axis, in at least float32.

    Raises:
        TypeError: if `max_fun` is not a function.
        ValueError: by the loss, if the shapes differ: nothing is broadcast.

    Reference: Blondel, Martins, Niculae, Learning with Fenchel–Young losses, JMLR 21, 2020.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = fg.make_fenchel_young_loss(jax.nn.logsumexp)
    >>> float(loss(jnp.zeros(4), jnp.array([0.0, 1.0, 0.0, 0.0])))
    1.386294
    """
    who = "make_fenchel_young_loss"
    if not callable(max_fun):
        raise TypeError(f"{who}: `max_fun` must be a function, got {describe(max_fun)}.")

    def fenchel_young_loss(scores: Any, targets: Any, *args: Any, **options: Any) -> jax.Array:
        name = "fenchel_young_loss"
        same_shape(name, "targets", targets, "scores", scores)
        s, y = wide(name, scores=scores, targets=targets)
        if not s.ndim:
            raise ValueError(f"{name}: `scores` must have at least one axis, got a scalar.")
        best = jnp.vectorize(lambda s: max_fun(s, *args, **options), signature="(n)->()")(s)
        return best - jnp.sum(s * y, axis=-1)

    return fenchel_young_loss
