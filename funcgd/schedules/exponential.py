"""Exponential decay, continuous or as a staircase."""

import math
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import Steps, as_step, as_steps, real


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
        begin = as_steps(h.transition_begin)
        return decayed(h.init_value, as_step(step), begin, as_steps(h.transition_steps), h, self.staircase)


def decayed(first: Any, step: jax.Array, begin: Steps, length: Steps, h: SimpleNamespace, staircase: bool) -> jax.Array:
    """`first` times the power of `h.decay_rate` that `step` has reached, up to the bound `h.end_value`."""
    elapsed, unit = jnp.maximum(step - begin.whole, 0), jnp.maximum(length.whole, 1)
    smooth = (real(elapsed) - begin.tangent) / (real(unit) + length.tangent)
    periods = real(elapsed // unit) if staircase else smooth
    result = real(first) * jnp.where(elapsed > 0, power(h.decay_rate, periods), 1)
    if h.end_value is None:
        return result
    bound = real(h.end_value)
    return jnp.where(real(h.decay_rate) < 1, jnp.maximum(result, bound), jnp.minimum(result, bound))


def power(base: Any, exponent: jax.Array) -> jax.Array:
    """base^exponent for a base > 0, accurate next to 1 if it is a Python number; growth stops short of overflow."""
    rate = real(base)
    # The logarithm of a Python number is taken in float64, before it is rounded.
    log_rate = real(math.log(base)) if isinstance(base, float) else jnp.log(jnp.where(rate > 0, rate, 1))
    limit = math.log(float(jnp.finfo(rate.dtype).max)) - 1  # finite, so that no gradient is 0 · ∞
    return jnp.where(rate > 0, jnp.exp(jnp.minimum(exponent * log_rate, limit)), 0)
