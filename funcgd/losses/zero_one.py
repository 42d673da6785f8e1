"""The 0–1 loss: what classification is judged by, and no gradient can lower."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import same_shape, wide


def zero_one_loss(predictions: Any, targets: Any) -> jax.Array:
    """1 for each prediction that is not the target, else 0: its sum counts the mistakes, its mean is the error rate.

        [ŷ ≠ y]     gradient 0

    A step function, flat on both sides: gradient descent learns nothing from it. Train with another, count with this.

    Args:
        predictions: ŷ, any shape: labels, such as `jnp.sign(a)` or `jnp.argmax(logits, axis=-1)`, not scores.
        targets: y, the same shape: labels of the same kind, integers, booleans or numbers.

    Returns:
        The losses, of the same shape, in at least float32. NaN differs from everything.

    Raises:
        ValueError: if the shapes differ: nothing is broadcast.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 1.5.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.zero_one_loss(jnp.array([2, 0, 1]), jnp.array([2, 1, 1])).tolist()
    [0.0, 1.0, 0.0]
    """
    same_shape("zero_one_loss", "targets", targets, "predictions", predictions)
    wide_y, wide_t = wide("zero_one_loss", predictions=predictions, targets=targets)
    y, t = jnp.asarray(predictions), jnp.asarray(targets)
    different = y != t if y.dtype == t.dtype else wide_y != wide_t  # integers above 2²⁴ are no float32
    return different.astype(wide_y.dtype)
