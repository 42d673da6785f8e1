"""RMSProp: each coordinate's step is scaled by a running root mean square of its gradient."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.momentum import trace
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


class ScaleByRmsState(NamedTuple):
    """The state of `scale_by_rms`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_rms(initial_scale=1.0).init(1.0).nu)
    1.0
    """

    nu: Updates  # like the parameters, real, at least float32: average of |g|², unit of the gradient squared
    count: jax.Array | None = None  # (), int32: finished updates, with bias correction or a schedule


class ScaleByRStdDevState(NamedTuple):
    """The state of `scale_by_stddev`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_stddev().init(1.0).mu)
    0.0
    """

    mu: Updates  # like the parameters, at least float32: average of g, unit of the gradient
    nu: Updates  # like the parameters, real, at least float32: average of |g|², unit of the gradient squared
    count: jax.Array | None = None  # (), int32: finished updates, with bias correction or a schedule


class _Averaged(Transform):
    """What both directions share: when to count, the correction, and where ε stands."""

    eps_in_sqrt: bool
    bias_correction: bool

    def _init_count(self) -> jax.Array | None:
        return jnp.zeros((), jnp.int32) if self.bias_correction else init_count(self)

    def _numbers(self, count: jax.Array | None) -> Any:
        h = at(self, count)
        h.correction = numerics.bias_correction(h.decay, next_count(count)) if self.bias_correction else 1.0
        return h

    def _scaled(self, h: Any, g: jax.Array, variance: jax.Array) -> jax.Array:
        if self.eps_in_sqrt:
            return g / numerics.root(variance + h.eps)
        return g / (numerics.root(variance) + h.eps)


@value
class scale_by_rms(_Averaged):
    """Divide by the root of a running mean of squares, the direction of RMSProp.

        v ← ρv + (1 − ρ)|g|²
        u = g / √(v + ε)        or g / (√v + ε) with `eps_in_sqrt=False`;  0 where the denominator is 0

    Args:
        decay: ρ in [0, 1).
        eps: ε ≥ 0, unit of the gradient squared inside the root, of the gradient outside.
        initial_scale: v at the start, in [0, ∞), unit of the gradient squared.
        eps_in_sqrt: whether ε stands inside the root.
        bias_correction: divide v by 1 − ρᵗ, as Adam does.

    Reference: Tieleman, Hinton, Lecture 6.5 – RMSProp, Neural networks for machine learning, 2012.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_rms(decay=0.75, eps=0.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # −3 / √(¼·9)
    -2.0
    """

    decay: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    initial_scale: ScalarOrSchedule = number("[0, inf)", default=0.0, schedule=False)
    eps_in_sqrt: bool = static(default=True)
    bias_correction: bool = static(default=False)

    def init(self, params: Params) -> ScaleByRmsState:
        return ScaleByRmsState(second_moment(params, self.initial_scale), self._init_count())

    def update(
        self, grads: Updates, state: ScaleByRmsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByRmsState]:
        def rule(h: Any, g: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = numerics.saturate(g)
            v = numerics.ema(v, numerics.square(g), h.decay)
            return self._scaled(h, g, v / h.correction), v

        updates, nu = lift(rule, self._numbers(state.count), grads, state.nu)
        return updates, ScaleByRmsState(nu, next_count(state.count))


@value
class scale_by_stddev(_Averaged):
    """Divide by a running standard deviation, the direction of centred RMSProp.

        m ← ρm + (1 − ρ)g,   v ← ρv + (1 − ρ)|g|²
        u = g / √(v − |m|² + ε)      or g / (√(v − |m|²) + ε) with `eps_in_sqrt=False`

    A constant gradient has no deviation: then v − |m|² falls towards 0, where rounding rules it, and steps grow up to
    |g|/√ε. With `bias_correction` that is so at the first step. Choose ε well above the dtype's precision times |g|².

    Args:
        decay, eps, initial_scale, eps_in_sqrt, bias_correction: see `scale_by_rms`; the correction applies to m too.

    Reference: Graves, Generating sequences with recurrent neural networks, 2013, arXiv:1308.0850, equations 38–45.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_stddev(decay=0.5, eps=0.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # −3 / √(½·9 − (½·3)²)
    -2.0
    """

    decay: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    initial_scale: ScalarOrSchedule = number("[0, inf)", default=0.0, schedule=False)
    eps_in_sqrt: bool = static(default=True)
    bias_correction: bool = static(default=False)

    def init(self, params: Params) -> ScaleByRStdDevState:
        return ScaleByRStdDevState(moment(params), second_moment(params, self.initial_scale), self._init_count())

    def update(
        self, grads: Updates, state: ScaleByRStdDevState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByRStdDevState]:
        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.decay)
            v = numerics.ema(v, numerics.square(g), h.decay)
            # Rounding may push the difference below zero, where it has no root.
            variance = jnp.maximum(v / h.correction - numerics.square(m / h.correction), 0)
            return self._scaled(h, g, variance), m, v

        updates, mu, nu = lift(rule, self._numbers(state.count), grads, state.mu, state.nu)
        return updates, ScaleByRStdDevState(mu, nu, next_count(state.count))


@value
class rmsprop(Composed):
    """RMSProp: steps scaled by a running root mean square of the gradient; plain, centred, and with momentum.

        θ ← θ − η·g / √(v + ε)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        decay, eps, initial_scale, eps_in_sqrt, bias_correction: see `scale_by_rms`.
        centered: divide by the standard deviation (`scale_by_stddev`) in place of the root mean square.
        momentum: β in [0, 1) of a leaky sum of the steps; None is without.
        nesterov: Nesterov's form of it.

    The sum is taken after the multiplication by η, so that with a schedule past steps keep their length.

    References: Tieleman, Hinton 2012; Graves 2013 (see `scale_by_rms`, `scale_by_stddev`).

    >>> import funcgd as fg
    >>> fg.rmsprop(1e-3, centered=True)
    rmsprop(learning_rate=0.001, decay=0.9, eps=1e-08, initial_scale=0.0, centered=True)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    decay: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    initial_scale: ScalarOrSchedule = number("[0, inf)", default=0.0, schedule=False)
    eps_in_sqrt: bool = static(default=True)
    centered: bool = static(default=False)
    momentum: ScalarOrSchedule | None = number("[0, 1)", default=None)
    nesterov: bool = static(default=False)
    bias_correction: bool = static(default=False)

    def __post_init__(self) -> None:
        if self.momentum is None and self.nesterov:
            raise ValueError("rmsprop: `nesterov` needs a `momentum`, such as 0.9; got None.")

    def compose(self) -> Transform:
        direction = scale_by_stddev if self.centered else scale_by_rms
        parts: list[Transform] = [
            direction(self.decay, self.eps, self.initial_scale, self.eps_in_sqrt, self.bias_correction),
            scale_by_learning_rate(self.learning_rate),
        ]
        if self.momentum is not None:
            parts.append(trace(self.momentum, self.nesterov))
        return chain(*parts)
