"""One cycle: up to a peak, and down far below the beginning, over a run whose length is known."""

from typing import Any

import jax

from funcgd.core.fields import number
from funcgd.core.schedule import at, is_concrete
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.interpolate import interpolate, line, wave
from funcgd.schedules.steps import as_step, as_steps, real


@value
class cosine_onecycle_schedule:
    """Half a wave of the cosine up to a peak, and half a wave down to nearly nothing.

        f(0) = b/d,   f(pT) = b,   f(t) = b/(d·e) for t ≥ T

    Exact at the three, where pT is rounded to a whole step.

    Args:
        transition_steps: T ≥ 0, steps of the whole run.
        peak_value: b, unit of what is scheduled.
        pct_start: p in [0, 1], the share of the run before the peak.
        div_factor: d > 0, the peak as a multiple of the beginning.
        final_div_factor: e > 0, the beginning as a multiple of the end.

    Reference: Smith, Topin, Super-convergence: very fast training of neural networks using large learning rates, 2017,
    arXiv:1708.07120.

    >>> import funcgd as fg
    >>> rate = fg.cosine_onecycle_schedule(8, 1.0, pct_start=0.5, div_factor=10, final_div_factor=100)
    >>> [float(rate(step)) for step in (0, 2, 4, 6, 8)]  # doctest: +NUMBER
    [0.1, 0.55, 1.0, 0.5005, 0.001]
    """

    transition_steps: Scalar = number("[0, inf)", schedule=False)
    peak_value: Scalar = number(schedule=False)
    pct_start: Scalar = number("[0, 1]", default=0.3, schedule=False)
    div_factor: Scalar = number("(0, inf)", default=25.0, schedule=False)
    final_div_factor: Scalar = number("(0, inf)", default=1e4, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        peak, first = real(h.peak_value), real(h.peak_value) / real(h.div_factor)
        top, end = as_steps(h.pct_start * h.transition_steps), as_steps(h.transition_steps)
        return interpolate(as_step(step), first, [(top, peak, wave), (end, first / real(h.final_div_factor), wave)])


@value
class linear_onecycle_schedule:
    """A straight line up to a peak, one down to the beginning again, and one to nearly nothing.

        f(0) = b/d,   f(pT) = b,   f(qT) = b/d,   f(t) = b/(d·e) for t ≥ T

    Exact at the four, where pT and qT are rounded to whole steps.

    Args:
        transition_steps, peak_value, pct_start, div_factor, final_div_factor: T, b, p, d and e, see
            `cosine_onecycle_schedule`.
        pct_final: q in [p, 1], the share of the run before the last line.

    Raises:
        ValueError: if `pct_final` is less than `pct_start`.

    Reference: Smith, Topin, Super-convergence, 2017, arXiv:1708.07120.

    >>> import funcgd as fg
    >>> rate = fg.linear_onecycle_schedule(10, 1.0, 0.4, 0.8, div_factor=10, final_div_factor=100)
    >>> [float(rate(step)) for step in (0, 2, 4, 6, 8, 9, 10)]  # doctest: +NUMBER
    [0.1, 0.55, 1.0, 0.55, 0.1, 0.0505, 0.001]
    """

    transition_steps: Scalar = number("[0, inf)", schedule=False)
    peak_value: Scalar = number(schedule=False)
    pct_start: Scalar = number("[0, 1]", default=0.3, schedule=False)
    pct_final: Scalar = number("[0, 1]", default=0.85, schedule=False)
    div_factor: Scalar = number("(0, inf)", default=25.0, schedule=False)
    final_div_factor: Scalar = number("(0, inf)", default=1e4, schedule=False)

    def __post_init__(self) -> None:
        if is_concrete(self.pct_start, self.pct_final) and self.pct_final < self.pct_start:
            raise ValueError(
                f"{type(self).__name__}: `pct_final` must be at least `pct_start`, {self.pct_start!r}; "
                f"got {self.pct_final!r}."
            )

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        peak, first = real(h.peak_value), real(h.peak_value) / real(h.div_factor)
        top, bottom = (as_steps(share * h.transition_steps) for share in (h.pct_start, h.pct_final))
        last = as_steps(h.transition_steps), first / real(h.final_div_factor), line
        return interpolate(as_step(step), first, [(top, peak, line), (bottom, first, line), last])
