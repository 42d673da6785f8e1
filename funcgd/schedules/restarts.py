"""Warm restarts: cosine decay again and again."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import as_count, describe, number, static
from funcgd.core.numerics import MAX_COUNT
from funcgd.core.schedule import at, is_concrete
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.cosine import half_wave
from funcgd.schedules.exponential import power
from funcgd.schedules.join import join_schedules
from funcgd.schedules.steps import Segment, as_step, as_steps, blend, real
from funcgd.schedules.warmup import warmup_cosine_decay_schedule


@value
class cosine_decay_restarts_schedule:
    """Cosine decay that starts again, each time for longer and from another height, for ever.

        f(t) = a·hⁱ · ((1 − α) · ½(1 + cos(πτ/Tᵢ)) + α),   Tᵢ = T·kⁱ,   τ = t − (T₀ + … + Tᵢ₋₁) < Tᵢ

    Exactly a·hⁱ at every restart; a·hⁱ·α is approached, not reached.

    Args:
        init_value: a, unit of what is scheduled.
        first_decay_steps: T ≥ 1, steps of the first cycle. It is a unit of time, so zero has no meaning and is an error
            (where it is traced, it is read as 1).
        t_mul: k, an integer ≥ 1: a cycle's length in those of the cycle before it. Static.
        m_mul: h > 0: a cycle's height in those of the cycle before it.
        alpha: α, the end of a cycle as a fraction of its beginning.

    Steps are rounded to whole numbers, yet the derivative with respect to T is that of the formula.

    Reference: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, arXiv:1608.03983.

    >>> import funcgd as fg
    >>> rate = fg.cosine_decay_restarts_schedule(1.0, 2)
    >>> [float(rate(step)) for step in range(7)]  # doctest: +NUMBER
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    init_value: Scalar = number(schedule=False)
    first_decay_steps: Scalar = number("[1, inf)", schedule=False)
    t_mul: int = static(default=2, convert=as_count)
    m_mul: Scalar = number("(0, inf)", default=1.0, schedule=False)
    alpha: Scalar = number(default=0.0, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h, step = at(self, 0), as_step(step)
        first = as_steps(h.first_decay_steps)
        length = jnp.maximum(first.whole, 1)
        units, rest = step // length, step % length  # counted in first cycles, so that nothing overflows
        if self.t_mul == 1:
            cycle, begin, factor = units, units, real(1)
        else:
            begins, factors = _cycles(self.t_mul)
            cycle = jnp.searchsorted(begins, units, side="right").astype(jnp.int32) - 1
            begin, factor = begins[cycle], factors[cycle]
        passed, unit, shift = real(units - begin), real(length), first.tangent
        whole = factor * (unit + shift)
        gone = (passed * unit + real(rest) - real(begin) * shift) / whole
        ahead = ((factor - passed - 1) * unit + real(length - rest) + (factor + real(begin)) * shift) / whole
        begins_now = (units == begin) & (rest == 0)
        where = Segment(ahead, gone, begins_now, jnp.zeros_like(begins_now))
        high = real(h.init_value) * power(h.m_mul, real(cycle))
        return blend(high, high * real(h.alpha), half_wave(ahead, 1.0), half_wave(gone, 1.0), where)


def _cycles(t_mul: int) -> tuple[jax.Array, jax.Array]:
    """Where the cycles begin, and how long they are, in first cycles."""
    begins, length = [0], 1
    while begins[-1] + length <= MAX_COUNT:
        begins.append(begins[-1] + length)
        length *= t_mul
    return jnp.asarray(begins, jnp.int32), real([float(t_mul) ** i for i in range(len(begins))])


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> join_schedules:
    """Warm restarts with cycles of any kind: `warmup_cosine_decay_schedule`s one after another.

    Args:
        cosine_kwargs: for each cycle its arguments, as a dict; its length is their `decay_steps`, rounded to whole
            steps, and the next cycle begins where it ends. The last one stays at its end value.

    Returns:
        The `join_schedules` of them, whose numbers are those of its parts.

    Raises:
        ValueError: if there is no cycle.
        TypeError: if a cycle is no dict with `decay_steps`.

    Reference: Loshchilov, Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, arXiv:1608.03983.

    >>> import funcgd as fg
    >>> cycle = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "decay_steps": 3}
    >>> rate = fg.sgdr_schedule([cycle, {**cycle, "peak_value": 0.5}])
    >>> [float(rate(step)) for step in range(7)]
    [0.0, 1.0, 0.5, 0.0, 0.5, 0.25, 0.0]
    """
    cycles = list(cosine_kwargs)
    if not cycles:
        raise ValueError("sgdr_schedule: `cosine_kwargs` must have at least one cycle, got none.")
    for i, cycle in enumerate(cycles):
        if not isinstance(cycle, Mapping) or "decay_steps" not in cycle:
            raise TypeError(
                f"sgdr_schedule: `cosine_kwargs[{i}]` must be a dict of arguments of warmup_cosine_decay_schedule "
                f"with `decay_steps`, got {describe(cycle)}."
            )
    parts = [warmup_cosine_decay_schedule(**cycle) for cycle in cycles]
    ends: list[Any] = [0.0]
    for part in parts[:-1]:
        length = part.decay_steps
        ends.append(ends[-1] + (np.rint(length) if is_concrete(length) else jnp.round(length)))
    return join_schedules(parts, ends[1:])
