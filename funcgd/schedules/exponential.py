"""Exponential decay, continuous or as a staircase."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import as_step, as_steps, real


@value
class exponential_decay:
    """A value that is multiplied by the same factor in every stretch of `transition_steps`.

        f(t) = a                            for t ≤ t₀
        f(t) = a · r^((t − t₀) / T)         for t > t₀;   with `staircase` a · r^⌊(t − t₀) / T⌋

    So f(t₀ + kT) = a·rᵏ up to rounding. With `end_value`, f is at every step bounded by it: from below where r < 1,
    from above otherwise. Without it, growth stops short of overflow, at a factor of e⁸⁷ in float32.

    Args:
        init_value: a, unit of what is scheduled.
        transition_steps: T ≥ 1, steps in which the value changes by the factor r. It is a unit of time, not the length
            of a segment, so zero has no meaning and is an error (where it is traced, it is read as 1).
        decay_rate: r > 0, no unit. Written as a Python number it is accurate next to 1.
        transition_begin: t₀ ≥ 0, steps before the decay begins.
        staircase: change the value only every T steps.
        end_value: the bound, unit of what is scheduled; None has none.

    Reference: Bengio, Practical recommendations for gradient-based training of deep architectures, 2012,
    arXiv:1206.5533.

    >>> import funcgd as fg
    >>> rate = fg.exponential_decay(1.0, 10, 0.5, end_value=0.2)
    >>> [float(rate(step)) for step in (0, 5, 10, 20, 30)]  # doctest: +NUMBER
    [1.0, 0.7071, 0.5, 0.25, 0.2]
    """

    init_value: Scalar = number(schedule=False)
    transition_steps: Scalar = number("[1, inf)", schedule=False)
    decay_rate: Scalar = number("(0, inf)", schedule=False)
    transition_begin: Scalar = number("[0, inf)", default=0.0, schedule=False)
    staircase: bool = static(default=False, convert=bool)
    end_value: Scalar | None = number(default=None, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        begin, length = as_steps(h.transition_begin), as_steps(h.transition_steps)
        elapsed = jnp.maximum(as_step(step) - begin.whole, 0)
        unit = jnp.maximum(length.whole, 1)
        if self.staircase:
            periods = real(elapsed // unit)
        else:
            periods = (real(elapsed) - begin.tangent) / (real(unit) + length.tangent)

        rate = real(h.decay_rate)
        if isinstance(h.decay_rate, float):
            log_rate = real(math.log(h.decay_rate))  # in float64, before it is rounded
        else:
            log_rate = jnp.log(jnp.where(rate > 0, rate, 1))
        limit = math.log(float(jnp.finfo(rate.dtype).max)) - 1  # finite, so that no gradient is 0 · ∞
        factor = jnp.where(rate > 0, jnp.exp(jnp.minimum(periods * log_rate, limit)), 0)
        result = real(h.init_value) * jnp.where(elapsed > 0, factor, 1)
        if h.end_value is None:
            return result
        bound = real(h.end_value)
        return jnp.where(rate < 1, jnp.maximum(result, bound), jnp.minimum(result, bound))
