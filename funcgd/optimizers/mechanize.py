"""Mechanic: a wrapper that learns by which factor the steps of an optimizer should be multiplied."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, cast
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.slots import copied, moment, scalar


class MechanicState(NamedTuple):
    """The state of `mechanize`.

    >>> import funcgd as fg
    >>> float(fg.mechanize(fg.sgd(1.0)).init(2.0).s.sum())  # doctest: +NUMBER
    1e-06
    """

    base_optimizer_state: OptState  # that of the optimizer inside
    count: jax.Array  # (), int32: finished updates
    r: jax.Array  # (num_betas,), at least float32: what each bet has won, unit of h
    m: jax.Array  # (num_betas,): largest |h| of late
    v: jax.Array  # (num_betas,): sum of h² of late
    s: jax.Array  # (num_betas,): the bets, whose sum is the factor; no unit
    x0: Params  # the first parameters, at least float32
    delta: Updates  # like the parameters, at least float32: Δ, the sum of the steps of the optimizer inside


@value
class mechanize(Transform):
    """Mechanic: learn the factor by which the steps of an optimizer should be multiplied.

        h = ⟨Δ, g + λ‖g‖(Σs)θ/‖θ‖⟩
        r ← βr − s·clip(h, −m, m),   m ← max(βm, |h| + ε),   v ← β²v + h²
        s ← (s₀m/n + max(r, 0)) / (√v + ε)
        Δ ← Δ + u,   θ ← θ₀ + (Σs)Δ    with u of `base_optimizer`

    for n bets s at once, βᵢ = 1 − 10⁻ⁱ: each wins where Δ leads downhill, and forgets at its own rate. What remains to
    be chosen is the shape of a schedule, not its height: give the optimizer a learning rate of 1, or one that falls
    from 1. Optimizers that divide their steps by ‖θ‖ (LARS, LAMB) are not meant.

    This is the program of the authors, with which the paper's experiments were made. Departure from it: Δ is stored,
    not computed as (θ − θ₀)/Σs, which loses most digits while s is small. A finite |h| saturates.

    Args:
        base_optimizer: the optimizer inside, of funcgd or any library with `init` and `update`.
        weight_decay: λ in [0, ∞), no unit; it pulls the factor down, and is not the decay of the optimizer inside.
        eps: ε ≥ 0, unit of h, that is of the loss.
        s_init: s₀ in (0, ∞), the first factor: smaller than any sensible one, but not lost by rounding in θ.
        num_betas: n, at least 1.

    Raises:
        TypeError: if `base_optimizer` is no transform.

    Reference: Cutkosky, Defazio, Mehta, Mechanic: a learning rate tuner, NeurIPS 2023, arXiv:2306.00144.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.mechanize(fg.sgd(1.0)), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    base_optimizer: Any
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=1e-2)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    s_init: Scalar = number("(0, inf)", default=1e-6, schedule=False)
    num_betas: int = static(default=6, convert=as_count)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_optimizer", as_transform("mechanize", self.base_optimizer))

    @property
    def needs(self) -> frozenset[str]:
        return self.base_optimizer.needs | {"params"}

    @property
    def guards(self) -> bool:
        return self.base_optimizer.guards

    @property
    def watches(self) -> frozenset[str]:
        return self.base_optimizer.watches

    def observe(self, state: MechanicState, metrics: dict[str, Any]) -> MechanicState:
        return state._replace(base_optimizer_state=self.base_optimizer.observe(state.base_optimizer_state, metrics))

    def eval_params(self, state: MechanicState, params: Params) -> Params:
        return self.base_optimizer.eval_params(state.base_optimizer_state, params)

    def init(self, params: Params) -> MechanicState:
        r, m, v, s = (jnp.full(self.num_betas, scalar(params, x)) for x in (0, 0, 0, self.s_init / self.num_betas))
        inner = self.base_optimizer.init(params)
        return MechanicState(inner, jnp.zeros((), jnp.int32), r, m, v, s, copied(params), moment(params))

    def update(
        self, grads: Updates, state: MechanicState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MechanicState]:
        dtype = state.s.dtype
        h = cast(at(self, state.count), dtype)
        forget = jnp.asarray([10.0**-i for i in range(1, self.num_betas + 1)], dtype)  # 1 − β
        slope = self._slope(h, grads, state, params)
        largest = float(jnp.finfo(dtype).max)

        def kept(x: jax.Array) -> jax.Array:
            return x - forget * x

        r = kept(state.r) - state.s * jnp.clip(slope, -state.m, state.m)
        m = jnp.maximum(kept(state.m), jnp.abs(slope) + h.eps)
        v = jnp.minimum(kept(kept(state.v)) + slope**2, largest)
        s = numerics.divide(h.s_init / self.num_betas * m + jnp.maximum(r, 0), numerics.sqrt(v) + h.eps)
        h.factor = jnp.sum(s)

        def rule(h: Any, u: jax.Array, delta: jax.Array, x0: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
            delta = numerics.saturate(delta + numerics.saturate(u))
            return x0 - x + h.factor * delta, delta

        u, inner = self.base_optimizer.update(grads, state.base_optimizer_state, params, **extra)
        updates, delta = lift(rule, h, u, state.delta, read=(state.x0, params))
        return updates, MechanicState(inner, numerics.increment(state.count), r, m, v, s, state.x0, delta)

    def _slope(self, h: Any, grads: Updates, state: MechanicState, params: Params) -> jax.Array:
        """h of the equations, saturated; 0 where it is NaN, since bets are not to be lost on that."""
        g = jax.tree.map(lambda g: numerics.saturate(numerics.widen(g)), grads)
        outward = numerics.divide(tree.real_vdot(state.delta, params), tree.norm(params))
        dtype, factor = state.s.dtype, h.weight_decay * jnp.sum(state.s)
        along, size, outward = (jnp.asarray(x, dtype) for x in (tree.real_vdot(state.delta, g), tree.norm(g), outward))
        slope = numerics.saturate(jnp.clip(along + factor * size * outward, -1e37, 1e37))
        return jnp.where(jnp.isnan(slope), 0, slope)
