"""From value to value at given steps, along lines or waves."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import field, number, static
from funcgd.core.numerics import sqrt
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.cosine import half_wave
from funcgd.schedules.piecewise import as_pair
from funcgd.schedules.steps import ZERO, Segment, Steps, as_step, blend, boundary_steps, real, segment


def line(where: Segment) -> tuple[jax.Array, jax.Array]:
    """The weights of the first and the last value of a segment, along a straight line."""
    return where.ahead, where.gone


def wave(where: Segment) -> tuple[jax.Array, jax.Array]:
    """The same along half a wave of the cosine."""
    return half_wave(where.ahead, 1.0), half_wave(where.gone, 1.0)


def root(where: Segment) -> tuple[jax.Array, jax.Array]:
    """The same along 1 − √x: fast first."""
    gone = sqrt(jnp.maximum(where.gone, 0))
    return 1 - gone, gone


SHAPES = {"linear": line, "cosine": wave, "1-sqrt": root}


def interpolate(step: jax.Array, first: Any, knots: Iterable[tuple[Steps, Any, Callable]]) -> jax.Array:
    """`first` at 0, then from knot to knot, (boundary, value, shape of the way there): exact at each boundary.

    The last value stays. Where boundaries are equal, the later knot counts.
    """
    result, begin = real(first), ZERO
    for boundary, last, shape in knots:
        where = segment(step, begin, boundary.minus(begin))
        weight, rest = shape(where)
        result = jnp.where(step >= begin.whole, blend(first, last, weight, rest, where), result)
        first, begin = last, boundary
    return jnp.broadcast_to(result, step.shape)


@value
class piecewise_interpolate_schedule:
    """A value that is multiplied by a scale at each boundary, and goes there along a line or half a wave.

        f(0) = a,   f(bᵢ) = a · s₁⋯sᵢ,   and between them interpolated; after the last boundary it stays

    Exact at the boundaries. A boundary at 0 acts at once.

    Args:
        interpolate_type: "linear" or "cosine".
        init_value: a, unit of what is scheduled.
        boundaries_and_scales: a dict {bᵢ: sᵢ} in any order, or the pair (boundaries, scales) of sequences, with
            boundaries b ≥ 0 ascending, in steps, and scales s in [0, ∞) without unit. None has no boundary.

    Raises:
        ValueError: if the boundaries are not ascending, or there is not one scale for each.

    Boundaries are rounded to whole steps, yet the derivatives with respect to them are those of the formula.

    Reference: Smith, Topin, Super-convergence, 2017, arXiv:1708.07120, whose one-cycle policy is such a schedule.

    >>> import funcgd as fg
    >>> rate = fg.piecewise_interpolate_schedule("linear", 1.0, {2: 2.0, 4: 0.5})
    >>> [float(rate(step)) for step in range(6)]
    [1.0, 1.5, 2.0, 1.5, 1.0, 1.0]
    """

    interpolate_type: str = static(one_of=("linear", "cosine"))
    init_value: Scalar = number(schedule=False)
    boundaries_and_scales: Any = field("pair", as_pair, default=None)

    def __call__(self, step: Any) -> jax.Array:
        boundaries, scales = self.boundaries_and_scales
        ends = boundary_steps(type(self).__name__, boundaries)
        first, shape = real(at(self, 0).init_value), SHAPES[self.interpolate_type]
        values, tangents = first * jnp.cumprod(real(scales)), jnp.broadcast_to(ends.tangent, ends.whole.shape)
        knots = [(Steps(ends.whole[i], tangents[i]), values[i], shape) for i in range(len(boundaries))]
        return interpolate(as_step(step), first, knots)
