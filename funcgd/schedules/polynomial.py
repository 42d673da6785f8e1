"""Polynomial and linear schedules: from one value to another in a given number of steps."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import as_step, as_steps, blend, real, segment


@value
class polynomial_schedule:
    """From one value to another along a power of the steps that are left.

        f(t) = b + (a − b) · (1 − (t − t₀) / T)ᵖ     for t₀ < t < t₀ + T

    Exactly a up to and with t₀, exactly b from t₀ + T on. With T = 0 the end is there at once: b from t₀ on.

    Args:
        init_value: a, unit of what is scheduled.
        end_value: b, same unit.
        power: p ≥ 0, no unit; 1 is linear, larger is faster first.
        transition_steps: T ≥ 0, steps from a to b.
        transition_begin: t₀ ≥ 0, steps before the transition begins.

    Steps are rounded to whole numbers, yet the derivatives with respect to T and t₀ are those of the formula.

    Reference: Chen, Papandreou, Kokkinos, Murphy, Yuille, DeepLab, 2016, arXiv:1606.00915, section 4.1 (p = 0.9).

    >>> import funcgd as fg
    >>> rate = fg.polynomial_schedule(1.0, 0.0, power=2, transition_steps=4, transition_begin=10)
    >>> [float(rate(step)) for step in (0, 10, 11, 12, 14, 99)]
    [1.0, 1.0, 0.5625, 0.25, 0.0, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    end_value: Scalar = number(schedule=False)
    power: Scalar = number("[0, inf)", schedule=False)
    transition_steps: Scalar = number("[0, inf)", schedule=False)
    transition_begin: Scalar = number("[0, inf)", default=0.0, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        where = segment(as_step(step), as_steps(h.transition_begin), as_steps(h.transition_steps))
        weight = jnp.power(where.ahead, real(h.power))
        return blend(h.init_value, h.end_value, weight, 1 - weight, where)


@value
class linear_schedule:
    """From one value to another along a straight line.

        f(t) = b + (a − b) · (1 − (t − t₀) / T)     for t₀ < t < t₀ + T

    Exactly a up to and with t₀, exactly b from t₀ + T on. With T = 0 the end is there at once: b from t₀ on.

    Args:
        init_value, end_value, transition_steps, transition_begin: see `polynomial_schedule`, which this is with p = 1.

    Reference: Defazio, Cutkosky, Mehta, Mishchenko, When, why and how much? Adaptive learning rate scheduling by
    refinement, 2023, arXiv:2310.07831 (linear decay to zero).

    >>> import funcgd as fg
    >>> rate = fg.linear_schedule(1.0, 0.0, 4)
    >>> [float(rate(step)) for step in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    end_value: Scalar = number(schedule=False)
    transition_steps: Scalar = number("[0, inf)", schedule=False)
    transition_begin: Scalar = number("[0, inf)", default=0.0, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        where = segment(as_step(step), as_steps(h.transition_begin), as_steps(h.transition_steps))
        return blend(h.init_value, h.end_value, where.ahead, where.gone, where)
