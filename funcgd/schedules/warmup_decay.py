"""Linear warmup before a decay: exponential, late, or as the inverse square root."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.exponential import decayed
from funcgd.schedules.interpolate import SHAPES, interpolate, line
from funcgd.schedules.steps import ZERO, as_step, as_steps, blend, real, segment


@value
class warmup_exponential_decay_schedule:
    """A straight line up to a peak, then exponential decay.

        f(t) = a + (b − a) · t/W                     for 0 < t < W
        f(t) = b · r^((t − W − t₀) / T)              for t > W + t₀;   with `staircase` b · r^⌊(t − W − t₀) / T⌋

    Exactly f(0) = a, and b from W to W + t₀ (or the bound, where b is beyond it). With W = 0 there is no warmup.

    Args:
        init_value: a, unit of what is scheduled.
        peak_value: b, same unit.
        warmup_steps: W ≥ 0, steps from a to b.
        transition_steps, decay_rate, transition_begin, staircase, end_value: T, r, t₀ and the bound of the decay, see
            `exponential_decay`; t₀ counts from the end of the warmup.

    Reference: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, arXiv:1706.02677, section
    2.2, on the warmup.

    >>> import funcgd as fg
    >>> rate = fg.warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5, end_value=0.2)
    >>> [float(rate(step)) for step in range(7)]  # doctest: +NUMBER
    [0.0, 0.5, 1.0, 0.5, 0.25, 0.2, 0.2]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    warmup_steps: Scalar = number("[0, inf)", schedule=False)
    transition_steps: Scalar = number("[1, inf)", schedule=False)
    decay_rate: Scalar = number("(0, inf)", schedule=False)
    transition_begin: Scalar = number("[0, inf)", default=0.0, schedule=False)
    staircase: bool = static(default=False, convert=bool)
    end_value: Scalar | None = number(default=None, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h, step = at(self, 0), as_step(step)
        warmup = as_steps(h.warmup_steps)
        up, begin = segment(step, ZERO, warmup), warmup.plus(as_steps(h.transition_begin))
        down = decayed(h.peak_value, step, begin, as_steps(h.transition_steps), h, self.staircase)
        return jnp.where(up.after, down, blend(h.init_value, h.peak_value, up.ahead, up.gone, up))


@value
class warmup_stable_decay_schedule:
    """A straight line up, a plateau, and a decay at the end: where to stop may be decided late.

        f(t) = a + (b − a) · t/W            for 0 < t < W
        f(t) = b                            for W ≤ t ≤ W + S
        f(t) = c + (b − c) · d(x)           for x = (t − W − S)/D in (0, 1),   with d(0) = 1, d(1) = 0

    Exactly f(0) = a, and exactly c from W + S + D on. Stages of length 0 are left out. Each stage has its own length
    here, whereas `decay_steps` of `warmup_cosine_decay_schedule` includes the warmup.

    Args:
        init_value: a, unit of what is scheduled.
        peak_value: b, same unit.
        warmup_steps, stable_steps, decay_steps: W, S and D ≥ 0, the steps of each stage.
        end_value: c, same unit as a.
        decay_type: d: "linear" 1 − x, "1-sqrt" 1 − √x, "cosine" ½(1 + cos(πx)).

    Steps are rounded to whole numbers, yet the derivatives with respect to W, S and D are those of the formulas.

    References: Hu et al., MiniCPM, 2024, arXiv:2404.06395; Hägele et al., Scaling laws and compute-optimal training
    beyond fixed training durations, NeurIPS 2024, arXiv:2405.18392 (1 − √x).

    >>> import funcgd as fg
    >>> rate = fg.warmup_stable_decay_schedule(0.0, 1.0, 2, 3, 4)
    >>> [float(rate(step)) for step in range(11)]
    [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    warmup_steps: Scalar = number("[0, inf)", schedule=False)
    stable_steps: Scalar = number("[0, inf)", schedule=False)
    decay_steps: Scalar = number("[0, inf)", schedule=False)
    end_value: Scalar = number(default=0.0, schedule=False)
    decay_type: str = static(default="linear", one_of=tuple(SHAPES))

    def __call__(self, step: Any) -> jax.Array:
        h = at(self, 0)
        warm = as_steps(h.warmup_steps)
        late = warm.plus(as_steps(h.stable_steps))
        last = late.plus(as_steps(h.decay_steps)), h.end_value, SHAPES[self.decay_type]
        return interpolate(as_step(step), h.init_value, [(warm, h.peak_value, line), (late, h.peak_value, line), last])


@value
class inverse_sqrt_schedule:
    """A straight line up to a peak, then decay as the inverse square root of the step: no end has to be known.

        f(t) = a + (b − a) · t/W                     for 0 < t < W
        f(t) = b · √(s / (t − W + s))                for t ≥ W

    Exactly f(0) = a and f(W) = b; with s = W it is b·√(W/t). With W = 0 there is no warmup.

    Args:
        init_value: a, unit of what is scheduled.
        peak_value: b, same unit.
        warmup_steps: W ≥ 0, steps from a to b.
        timescale: s > 0, in steps; None is W, or 1 where W is less. At t = W + 3s the peak has halved.

    Steps are rounded to whole numbers, yet the derivatives with respect to W and s are those of the formulas.

    Reference: Vaswani et al., Attention is all you need, NeurIPS 2017, arXiv:1706.03762, section 5.3.

    >>> import funcgd as fg
    >>> rate = fg.inverse_sqrt_schedule(0.0, 1.0, 4)
    >>> [float(rate(step)) for step in (0, 2, 4, 16, 64)]
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """

    init_value: Scalar = number(schedule=False)
    peak_value: Scalar = number(schedule=False)
    warmup_steps: Scalar = number("[0, inf)", schedule=False)
    timescale: Scalar | None = number("(0, inf)", default=None, schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        h, step = at(self, 0), as_step(step)
        warmup = as_steps(h.warmup_steps)
        up = segment(step, ZERO, warmup)
        whole = real(warmup.whole) + warmup.tangent if h.timescale is None else real(h.timescale)
        scale = jnp.where(whole >= 1, whole, 1) if h.timescale is None else jnp.where(whole > 0, whole, 1)
        scale = jnp.minimum(scale, 2.0**31)  # finite, so that no ratio is ∞/∞
        since = real(jnp.maximum(step - warmup.whole, 0)) - warmup.tangent
        down = real(h.peak_value) * jnp.sqrt(scale / (since + scale))
        return jnp.where(up.after, down, blend(h.init_value, h.peak_value, up.ahead, up.gone, up))
