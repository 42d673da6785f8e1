"""Cosine decay."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import ZERO, as_step, as_steps, blend, real, segment


def half_wave(ahead: jax.Array, exponent: Any) -> jax.Array:
    """(½(1 + cos(π·(1 − ahead))))^exponent, written sin²(π/2·ahead), which keeps its digits where it is nearly 0."""
    return jnp.power(jnp.sin(jnp.pi / 2 * ahead) ** 2, real(exponent))


@value
class cosine_decay_schedule:
    """From a value down to a fraction of it along half a wave of the cosine.

        f(t) = a · ((1 − α) · (½(1 + cos(πt/T)))ᵖ + α)     for 0 < t < T

    Exactly f(0) = a, and exactly f(t) = a·α from T on. With T = 0 the end is there at once: f(0) = a·α.

    Args:
        init_value: a, unit of what is scheduled.
        decay_steps: T ≥ 0, steps from a to a·α.
        alpha: α, the end as a fraction of the beginning, no unit.
        exponent: p ≥ 0, no unit; larger is faster first.

    Steps are rounded to whole numbers, yet the derivative with respect to T is that of the formula.

    Reference: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, arXiv:1608.03983.

    >>> import funcgd as fg
    >>> rate = fg.cosine_decay_schedule(1.0, 4, alpha=0.1)
    >>> [float(rate(step)) for step in range(6)]  # doctest: +NUMBER
    [1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """

    init_value: Scalar = number(schedule=False)
    decay_steps: Scalar = number("[0, inf)", schedule=False)
    alpha: Scalar = number(default=0.0, schedule=False)
    exponent: Scalar = number("[0, inf)", default=1.0, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        first = real(h.init_value)
        where = segment(as_step(step), ZERO, as_steps(h.decay_steps))
        weight = half_wave(where.ahead, h.exponent)
        return blend(first, first * real(h.alpha), weight, 1 - weight, where)
