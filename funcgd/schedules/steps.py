"""Steps and segments: what all schedules share, so that they are exact at their boundaries and finite everywhere.

Steps, boundaries and lengths are whole numbers from 0 to 2³¹ − 1. They are rounded, compared and subtracted as int32,
and only their differences become floats, so float32 loses no step beyond 2²⁴.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.numerics import MAX_COUNT


class Steps(NamedTuple):
    """A number of steps: a whole number, and the derivative that rounding took from it."""

    whole: Any  # int32, in [0, 2³¹ − 1]
    tangent: Any  # a float that is 0, and has the derivative of the number before it was rounded

    def minus(self, other: "Steps") -> "Steps":
        """The difference, but at least 0."""
        return Steps(jnp.maximum(self.whole - other.whole, 0), self.tangent - other.tangent)

    def plus(self, other: "Steps") -> "Steps":
        """The sum, but at most 2³¹ − 1."""
        room = np.int32(MAX_COUNT) - self.whole  # NumPy 1 takes a plain number for an int64
        return Steps(self.whole + jnp.minimum(other.whole, room), self.tangent + other.tangent)


ZERO = Steps(np.int32(0), 0.0)


class Segment(NamedTuple):
    """Where a step stands in a segment."""

    ahead: jax.Array  # the share of the segment that is still ahead, in (0, 1] strictly inside it, else 1
    gone: jax.Array  # 1 − ahead, with all its digits
    before: jax.Array  # whether the step is at most the first of the segment
    after: jax.Array  # whether the segment is over


def real(x: Any) -> jax.Array:
    """`x` as float32, or as float64 if that is enabled."""
    return jnp.asarray(x, jnp.result_type(float))


def as_step(step: Any) -> jax.Array:
    """`step` as int32 in [0, 2³¹ − 1]; what is outside is clipped, a fraction is dropped."""
    if isinstance(step, (int, np.integer)):
        return jnp.asarray(min(max(int(step), 0), MAX_COUNT), jnp.int32)
    step = jnp.asarray(step)
    if jnp.issubdtype(step.dtype, jnp.floating):
        return _to_int32(step)
    wide = step.dtype.itemsize > 4 or step.dtype == jnp.uint32
    return jnp.maximum((jnp.minimum(step, MAX_COUNT) if wide else step).astype(jnp.int32), 0)


def as_steps(x: Any) -> Steps:
    """`x`, a number or a vector, rounded to whole steps; what is outside [0, 2³¹ − 1], also ∞, is clipped."""
    if isinstance(x, (float, int, np.number, np.ndarray)):
        return Steps(np.clip(np.rint(np.asarray(x, np.float64)), 0, MAX_COUNT).astype(np.int32), 0.0)
    x = real(x)
    finite = jnp.where(jnp.isfinite(x), x, 0)
    return Steps(_to_int32(jnp.round(x)), finite - jax.lax.stop_gradient(finite))


def _to_int32(x: jax.Array) -> jax.Array:
    huge = x >= MAX_COUNT  # in float32 this reads x ≥ 2³¹, and the next number below is in range
    return jnp.where(huge, MAX_COUNT, jnp.where(huge, 0, jnp.maximum(x, 0)).astype(jnp.int32))


def boundary_steps(owner: str, boundaries: Any) -> Steps:
    """The boundaries as whole steps, in vectors.

    Raises:
        ValueError: if they have not one dimension, which is what a stacked schedule looks like outside `vmap`.
    """
    if np.ndim(boundaries) != 1:
        raise ValueError(
            f"{owner}: the boundaries have shape {np.shape(boundaries)}, so this is a stack of schedules (fg.stack, "
            f"fg.grid). Use it under jax.vmap, or take one member with fg.unstack."
        )
    return as_steps(boundaries)


def segment(step: jax.Array, begin: Steps, length: Steps) -> Segment:
    """Where `step` stands in the segment from `begin` to `begin + length`."""
    elapsed = step - begin.whole
    before, after = elapsed <= 0, elapsed >= length.whole
    inside = ~(before | after)
    unit = real(jnp.where(inside, length.whole, 1)) + length.tangent
    ahead = real(jnp.where(inside, length.whole - elapsed, 1)) + (begin.tangent + length.tangent)
    gone = real(jnp.where(inside, elapsed, 0)) - begin.tangent
    return Segment(ahead / unit, gone / unit, before, after)


def blend(first: Any, last: Any, weight: jax.Array, rest: jax.Array, where: Segment) -> jax.Array:
    """`first` up to the segment, `last` from its end on, both exactly, and weight·first + rest·last inside.

    `rest` is 1 − weight. The sum is formed from the nearer end, so the first steps of a long warmup from 0 keep their
    digits. Where neither end is negative nothing inside is: in floating point, too, (last − first)·weight ≤ last. A
    segment of no length has only its end.
    """
    first, last = real(first), real(last)
    inside = jnp.where(weight < 0.5, last + (first - last) * weight, first + (last - first) * rest)
    return jnp.where(where.after, last, jnp.where(where.before, first, inside))
