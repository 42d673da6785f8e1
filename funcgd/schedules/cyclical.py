"""Cyclical schedules: a triangle wave between two values, with one height, halved or decaying heights."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import number
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.exponential import power
from funcgd.schedules.steps import Segment, Steps, as_step, as_steps, blend, real


class Wave(NamedTuple):
    """Where a step stands in a triangle wave."""

    cycle: jax.Array  # int32, finished cycles
    height: Segment  # from the foot (its beginning) to the top (its end)


def triangle(step: jax.Array, half: Steps) -> Wave:
    """The wave that is at its foot at 0, 2h, 4h, … and at its top at h, 3h, …, for h = `half` ≥ 1."""
    length = jnp.maximum(half.whole, 1)
    halves, elapsed = step // length, step % length
    falling = halves % 2 == 1
    unit, past = real(length) + half.tangent, real(halves) * half.tangent
    gone = (real(elapsed) - past) / unit
    ahead = (real(length - elapsed) + half.tangent + past) / unit
    up, down = jnp.where(falling, ahead, gone), jnp.where(falling, gone, ahead)
    turn = elapsed == 0
    return Wave(halves // 2, Segment(down, up, turn & ~falling, turn & falling))


@value
class triangular_schedule:
    """A triangle wave: up from a foot to a peak along a straight line, and down again, for ever.

        f(t) = a + (b − a) · w(t),   w(t) = 1 − |t/s − 2c − 1|,   c = ⌊t / 2s⌋

    Exactly a at t = 0, 2s, 4s, … and exactly b at t = s, 3s, ….

    Args:
        init_value: a, unit of what is scheduled; Smith's base_lr.
        peak_value: b, same unit; his max_lr.
        half_cycle_steps: s ≥ 1, steps from a to b; his stepsize. 2 to 10 epochs of steps are common. It is a unit of
            time, so zero has no meaning and is an error (where it is traced, it is read as 1).

    Steps are rounded to whole numbers, yet the derivative with respect to s is that of the formula.

    Reference: Smith, Cyclical learning rates for training neural networks, 2015, arXiv:1506.01186 (triangular).

    >>> import funcgd as fg
    >>> rate = fg.triangular_schedule(0.0, 1.0, 2)
    >>> [float(rate(step)) for step in range(9)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0, 0.5, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    half_cycle_steps: Scalar = number("[1, inf)", schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        where = triangle(as_step(step), as_steps(h.half_cycle_steps)).height
        return blend(h.init_value, h.peak_value, where.ahead, where.gone, where)


@value
class triangular2_schedule:
    """A triangle wave whose height halves with every cycle.

        f(t) = a + (b − a) · w(t) · 2⁻ᶜ     with w and c as in `triangular_schedule`

    Exactly a at t = 0, 2s, 4s, …; its peaks are b, (a + b)/2, (3a + b)/4, ….

    Args:
        init_value, peak_value, half_cycle_steps: a, b and s, see `triangular_schedule`.

    Reference: Smith, Cyclical learning rates for training neural networks, 2015, arXiv:1506.01186 (triangular2).

    >>> import funcgd as fg
    >>> rate = fg.triangular2_schedule(0.0, 1.0, 2)
    >>> [float(rate(step)) for step in range(9)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    half_cycle_steps: Scalar = number("[1, inf)", schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        cycle, where = triangle(as_step(step), as_steps(h.half_cycle_steps))
        first = real(h.init_value)
        halved = jnp.ldexp(jnp.ones_like(first), -jnp.minimum(cycle, 1100))  # exact, and 0 long before
        peak = jnp.where(cycle == 0, real(h.peak_value), first + (real(h.peak_value) - first) * halved)
        return blend(first, peak, where.ahead, where.gone, where)


@value
class exp_range_schedule:
    """A triangle wave whose height decays with every step.

        f(t) = a + (b − a) · w(t) · γᵗ     with w as in `triangular_schedule`

    Exactly a at t = 0, 2s, 4s, …; the first peak is a + (b − a)·γˢ.

    Args:
        init_value, peak_value, half_cycle_steps: a, b and s, see `triangular_schedule`.
        decay_rate: γ in (0, 1], no unit, per step. Written as a Python number it is accurate next to 1.

    Reference: Smith, Cyclical learning rates for training neural networks, 2015, arXiv:1506.01186 (exp_range).

    >>> import funcgd as fg
    >>> rate = fg.exp_range_schedule(0.0, 1.0, 2, 0.5)
    >>> [float(rate(step)) for step in range(5)]
    [0.0, 0.25, 0.25, 0.0625, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    half_cycle_steps: Scalar = number("[1, inf)", schedule=False)
    decay_rate: Scalar = number("(0, 1]", schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h, step = at(self, 0), as_step(step)
        where = triangle(step, as_steps(h.half_cycle_steps)).height
        first = real(h.init_value)
        peak = first + (real(h.peak_value) - first) * power(h.decay_rate, real(step))
        return blend(first, peak, where.ahead, where.gone, where)
