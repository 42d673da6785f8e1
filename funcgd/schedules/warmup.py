"""Linear warmup, alone and before a cosine decay."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number
from funcgd.core.schedule import at, is_concrete
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.cosine import half_wave
from funcgd.schedules.steps import ZERO, as_step, as_steps, blend, segment


@value
class warmup_constant_schedule:
    """A straight line up to a value that then stays.

        f(t) = a + (b − a) · t/W     for 0 < t < W

    Exactly f(0) = a, and exactly f(t) = b from W on. With W = 0 there is no warmup: f(0) = b.

    Args:
        init_value: a, unit of what is scheduled.
        peak_value: b, same unit.
        warmup_steps: W ≥ 0, steps from a to b.

    Reference: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, arXiv:1706.02677, section
    2.2.

    >>> import funcgd as fg
    >>> rate = fg.warmup_constant_schedule(0.0, 1.0, 4)
    >>> [float(rate(step)) for step in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    warmup_steps: Scalar = number("[0, inf)", schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        where = segment(as_step(step), ZERO, as_steps(h.warmup_steps))
        return blend(h.init_value, h.peak_value, where.ahead, where.gone, where)


@value
class warmup_cosine_decay_schedule:
    """A straight line up to a peak, then half a wave of the cosine down.

        f(t) = a + (b − a) · t/W                                      for 0 < t < W
        f(t) = c + (b − c) · (½(1 + cos(π(t − W)/(T − W))))ᵖ          for W < t < T

    Exactly f(0) = a, f(W) = b, and f(t) = c from T on. Note that T counts from step 0: `decay_steps` *includes* the
    warmup, and the decay itself takes T − W steps. With W = 0 < T there is no warmup: f(0) = b. With W = T there is no
    decay: the peak is not reached, f(T − 1) is the last step of the warmup and f(T) = c.

    Args:
        init_value: a, unit of what is scheduled.
        peak_value: b, same unit.
        warmup_steps: W ≥ 0, steps from a to b.
        decay_steps: T ≥ W, steps from a to c, warmup included.
        end_value: c, same unit as a.
        exponent: p ≥ 0 of the decay, no unit.

    Raises:
        ValueError: if `decay_steps` is less than `warmup_steps`.

    Steps are rounded to whole numbers, yet the derivatives with respect to W and T are those of the formulas.

    References: Loshchilov, Hutter, SGDR, ICLR 2017, arXiv:1608.03983; Goyal et al., Accurate, large minibatch SGD,
    2017, arXiv:1706.02677.

    >>> import funcgd as fg
    >>> rate = fg.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=6, end_value=0.1)
    >>> [float(rate(step)) for step in range(8)]  # doctest: +NUMBER
    [0.0, 0.5, 1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    warmup_steps: Scalar = number("[0, inf)", schedule=False)
    decay_steps: Scalar = number("[0, inf)", schedule=False)
    end_value: Scalar = number(default=0.0, schedule=False)
    exponent: Scalar = number("[0, inf)", default=1.0, schedule=False)

    def __post_init__(self) -> None:
        if is_concrete(self.warmup_steps, self.decay_steps) and self.decay_steps < self.warmup_steps:
            raise ValueError(
                f"{type(self).__name__}: `decay_steps` includes the warmup, so it must be at least "
                f"`warmup_steps`, {self.warmup_steps!r}; got {self.decay_steps!r}."
            )

    def __call__(self, step: Any) -> jax.Array:
        h, step = at(self, 0), as_step(step)
        warmup, total = as_steps(h.warmup_steps), as_steps(h.decay_steps)
        up, down = segment(step, ZERO, warmup), segment(step, warmup, total.minus(warmup))
        rise, weight = blend(h.init_value, h.peak_value, up.ahead, up.gone, up), half_wave(down.ahead, h.exponent)
        return jnp.where(up.after, blend(h.peak_value, h.end_value, weight, 1 - weight, down), rise)
