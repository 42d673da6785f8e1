"""Averages of the parameters that an optimizer visits: exponential, and of every so many steps (SWA)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps, real
from funcgd.transforms.slots import copied, from_slot
from funcgd.transforms.wrapper import Follower


class ParamsAverageState(NamedTuple):
    """The state of `params_ema` and `swa`.

    >>> import funcgd as fg
    >>> float(fg.swa(fg.sgd(0.1), start=10).init(2.0).average)
    2.0
    """

    inner_state: OptState  # that of the optimizer inside
    count: jax.Array  # (), int32: finished updates
    average: Params  # like the parameters, at least float32


class _ParamsAverage(Follower):
    """The base of both: θ̄ ← θ̄ + w(θ − θ̄), with a weight that depends on the step."""

    def init(self, params: Params) -> ParamsAverageState:
        return ParamsAverageState(self.inside.init(params), jnp.zeros((), jnp.int32), copied(params))

    def update(
        self, grads: Updates, state: ParamsAverageState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ParamsAverageState]:
        updates, inner_state = self.inside.update(grads, state.inner_state, params, **extra)
        count, h = numerics.increment(state.count), at(self, state.count)
        h.weight = self._weight(h, count)

        def rule(h: Any, p: jax.Array, average: jax.Array) -> tuple[jax.Array, jax.Array]:
            average = average + jnp.where(h.weight > 0, h.weight * (p - average), 0)
            return average, average

        _, average = lift(rule, h, apply_updates(params, updates), state.average)
        return updates, ParamsAverageState(inner_state, count, average)

    def _weight(self, h: Any, count: jax.Array) -> jax.Array:
        raise NotImplementedError


@value
class params_ema(_ParamsAverage):
    """Averaged parameters: evaluate with the exponential moving average of those that `inner` visits.

        θ̄ₜ = θ̄ₜ₋₁ + w(θₜ − θ̄ₜ₋₁),   w = (1 − β) / (1 − βᵗ)   (w = 1 − β without `debias`),   θ̄₀ = θ₀

    Training goes on as without it; `eval_params` gives θ̄, so that `fg.fit` validates with it. With `debias` this is the
    mean of θ₁ … θₜ in which the weight falls by β for each step back; without, θ₀ keeps the weight βᵗ. Put nothing
    behind it that changes updates. Statistics that a model keeps of its layers (batch normalisation) are not averaged.

    Args:
        inner: the optimizer inside, of funcgd or any library with `init` and `update`.
        decay: β in [0, 1); the average reaches back about 1/(1 − β) steps. A scheduled β enters w as it is at the step.
        debias: forget where the run began.

    Reference: Polyak, Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30, 1992;
    exponential, and the correction by 1 − βᵗ: Kingma, Ba, Adam, ICLR 2015, arXiv:1412.6980, section 7.2.

    >>> import funcgd as fg
    >>> tx = fg.params_ema(fg.sgd(1.0), decay=0.5)
    >>> params, state = 0.0, tx.init(0.0)
    >>> for _ in range(2):
    ...     update, state = tx.update(-1.0, state, params)
    ...     params = params + update
    >>> float(params), round(float(fg.eval_params(tx, state, params)), 3)  # (½·1 + 1·2) / (½ + 1)
    (2.0, 1.667)
    """

    inner: Any
    decay: ScalarOrSchedule = number("[0, 1)", default=0.999)
    debias: bool = static(default=True)

    def _weight(self, h: Any, count: jax.Array) -> jax.Array:
        rate = 1 - h.decay
        if not self.debias:
            return jnp.asarray(rate)
        weight = rate / numerics.bias_correction(h.decay, count)
        return jnp.where(count == 1, jnp.ones_like(weight), jnp.minimum(weight, 1))

    def eval_params(self, state: ParamsAverageState, params: Params) -> Params:
        return from_slot(state.average, params)


@value
class swa(_ParamsAverage):
    """Stochastic weight averaging: evaluate with the mean of the parameters that the tail of a run visits.

        θ̄ = mean of θₜ over t = s, s + c, s + 2c, …     θ̄ = θ until t = s

    Training goes on as without it; `eval_params` gives θ̄, so that `fg.fit` validates with it. Let the learning rate of
    `inner` be high and constant from s on, or cycle with period c and be lowest where the mean looks. With c = 1 this
    is Polyak–Ruppert averaging. Put nothing behind it that changes updates. Statistics that a model keeps of its layers
    (batch normalisation) are not averaged: compute them anew for θ̄.

    Args:
        inner: the optimizer inside, of funcgd or any library with `init` and `update`.
        start: s in [0, ∞), finished updates before the first one that counts; three quarters of a run in the paper.
        period: c in [1, ∞), updates from one to the next; the steps of an epoch in the paper. Both are rounded.

    Reference: Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, Averaging weights leads to wider optima and better
    generalization, UAI 2018, arXiv:1803.05407.

    >>> import funcgd as fg
    >>> tx = fg.swa(fg.sgd(1.0), start=2)
    >>> params, state = 0.0, tx.init(0.0)
    >>> for _ in range(4):
    ...     update, state = tx.update(-1.0, state, params)
    ...     params = params + update
    ...     print(float(fg.eval_params(tx, state, params)), end=" ")
    1.0 2.0 2.5 3.0
    """

    inner: Any
    start: float = number("[0, inf)", schedule=False)
    period: float = number("[1, inf)", default=1, schedule=False)

    def _weight(self, h: Any, count: jax.Array) -> jax.Array:
        since, period = count - as_steps(h.start).whole, jnp.maximum(as_steps(h.period).whole, 1)
        entered = jnp.maximum(since // period + 1, 1)  # with the one of now
        return jnp.where((since >= 0) & (since % period == 0), 1 / real(entered), 0)

    def eval_params(self, state: ParamsAverageState, params: Params) -> Params:
        begun = state.count >= as_steps(self.start).whole
        return from_slot(state.average, params, lambda average, p: jnp.where(begun, average, p))
