"""The angle between vectors, as a similarity and as a distance."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.losses.check import class_axes, classes_last, included_classes, number, same_shape, wide


def cosine_similarity(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """The cosine of the angle between prediction and target: 1 if they point the same way, −1 if opposite ways.

        ŷ·y / (‖ŷ‖‖y‖)     where ‖·‖² is at least ε

    With a zero vector it is 0, and so is its gradient. Lengths of 10³⁰ or 10⁻³⁰ neither overflow nor underflow.

    Args:
        predictions: ŷ, shape (…, n).
        targets: y, the same shape.
        epsilon: ε ≥ 0, in the squared unit of the vectors: shorter ones count as less similar.
        axis: the axis, or axes, of the vectors; None is all of them.
        where: boolean, of the shape of the predictions or of the result: entries, or whole examples, to include; an
            example without any is a zero vector.

    Returns:
        The cosines, of the shape of the predictions without `axis`, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or ε is negative.
        TypeError: if `where` is not boolean.

    Reference: Manning, Raghavan, Schütze, Introduction to information retrieval, 2008, section 6.3.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.cosine_similarity(jnp.array([[3.0, 4.0], [1.0, 0.0]]), jnp.array([[6.0, 8.0], [0.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    (u, _), (v, _) = _directions("cosine_similarity", predictions, targets, epsilon, axis, where)
    return jnp.sum(u * v, axis=-1)


def cosine_distance(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """1 − `cosine_similarity`: 0 if both point the same way, 2 if opposite ways. Small distances keep their digits.

        1 − û·v̂ = ½‖û − v̂‖²     of the unit vectors û, v̂

    Args:
        predictions, targets, epsilon, axis, where: see `cosine_similarity`. With a zero vector the distance is 1.

    Reference: see `cosine_similarity`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.cosine_distance(jnp.array([1.0, 1e-4]), jnp.array([1.0, 0.0])))  # doctest: +NUMBER
    5.0e-09
    """
    (u, a), (v, b) = _directions("cosine_distance", predictions, targets, epsilon, axis, where)
    return 0.5 * (jnp.sum((u - v) ** 2, axis=-1) + a + b)


def direction(x: jax.Array, floor: Any = 0.0) -> tuple[jax.Array, jax.Array]:
    """(u, 1 − ‖u‖²) with u = x/√max(‖x‖², floor) over the last axis; 0 for the zero vector, also its derivative."""
    largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True, initial=0)
    # Dividing by it first changes no direction, so its derivative is not needed.
    scale = jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
    x = x / scale
    squares, floor = jnp.sum(x * x, axis=-1, keepdims=True), floor / scale / scale
    short = squares < floor
    length = jnp.where(short, numerics.sqrt(floor), numerics.sqrt(squares))
    missing = jnp.where(short, 1 - numerics.divide(squares, jnp.where(short, floor, 1)), jnp.where(squares == 0, 1, 0))
    return numerics.divide(x, length), missing[..., 0]


def _directions(who: str, predictions: Any, targets: Any, epsilon: Any, axis: Any, where: Any) -> list[Any]:
    same_shape(who, "targets", targets, "predictions", predictions)
    pair = wide(who, predictions=predictions, targets=targets)
    floor = number(who, "epsilon", epsilon, pair[0].dtype, 0)
    shape = pair[0].shape
    axes = class_axes(who, axis, shape, "predictions")
    included = included_classes(who, where, shape, axes, "predictions")
    return [direction(jnp.where(included, classes_last(x, axes), 0), floor) for x in pair]
