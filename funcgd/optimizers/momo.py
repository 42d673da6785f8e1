"""MoMo: momentum whose step length comes from a model of the loss that momentum makes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, cast, resolve
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.polyak import as_loss, polyak_length
from funcgd.transforms.slots import moment, scalar, second_moment


class MomoState(NamedTuple):
    """The state of `momo`.

    >>> import funcgd as fg
    >>> float(fg.momo(lower_bound=0.5).init(2.0).lb)
    0.5
    """

    exp_avg: Updates  # like the parameters, at least float32: d, unit of the gradient
    barf: jax.Array  # (), at least float32: f̄, unit of the loss
    gamma: jax.Array  # (), at least float32: γ, unit of the loss
    lb: jax.Array  # (), at least float32: f*, unit of the loss
    count: jax.Array  # (), int32: finished updates


class MomoAdamState(NamedTuple):
    """The state of `momo_adam`.

    >>> import funcgd as fg
    >>> float(fg.momo_adam(lower_bound=0.5).init(2.0).lb)
    0.5
    """

    exp_avg: Updates  # like the parameters, at least float32: d, unit of the gradient
    exp_avg_sq: Updates  # like the parameters, real, at least float32: v, unit of the gradient squared
    barf: jax.Array  # (), at least float32: f̄, unit of the loss
    gamma: jax.Array  # (), at least float32: γ, unit of the loss
    lb: jax.Array  # (), at least float32: f*, unit of the loss
    count: jax.Array  # (), int32: finished updates


def length(
    tx: Any, h: Any, lb: jax.Array, f: jax.Array, gamma: jax.Array, along: jax.Array, square: jax.Array
) -> tuple:
    """(τ, f*): the step length, and the lower bound for the next one; h.rho is the weight that the averages have."""
    shrink, alpha = 1 + h.learning_rate * h.weight_decay, h.learning_rate / h.rho
    model = shrink * (f - gamma) + along
    if tx.adapt_lower_bound:
        too_high = model < shrink * h.rho * lb
        lb = jnp.where(too_high, jnp.maximum(model / (2 * shrink * h.rho), h.lower_bound), lb)
    else:
        lb = jnp.asarray(h.lower_bound, lb.dtype)
    tau = polyak_length(jnp.maximum(model - shrink * h.rho * lb, 0), square, alpha)
    if tx.adapt_lower_bound:
        lb = jnp.maximum((f + along - gamma - tau * square / 2) / h.rho, h.lower_bound)
    return tau, lb


@value
class momo(Transform):
    """MoMo: momentum, at most as far as its model of the loss reaches its lower bound.

        d ← βd + (1 − β)g,   f̄ ← βf̄ + (1 − β)f,   γ ← βγ + (1 − β)⟨g, θ⟩,   from d = g, f̄ = f, γ = ⟨g, θ⟩
        τ = min(η, [(1 + ηλ)(f̄ − γ − f*) + ⟨d, θ⟩]₊ / ‖d‖²)
        θ ← (θ − τd) / (1 + ηλ)

    f is the loss, which update needs as `value`. f̄ + ⟨d, x⟩ − γ is the average of the tangents so far at x, and the
    step minimises the larger of it and f*, plus ‖x − θ‖²/2η + λ‖x‖²/2. With β = 0 it is Polyak's step.

    With `adapt_lower_bound`, f* is estimated: before the step, where [·] would be negative, f* becomes half of what
    makes it 0; after it, f* ← f̄ + ⟨d, θ⟩ − γ − τ‖d‖²/2; never below `lower_bound`.

    Args:
        learning_rate: η in [0, ∞), [param]²/[loss], the longest step; large, since τ is smaller where it should be.
        beta: β in [0, 1).
        lower_bound: f*, at most the least value of the loss; 0 suits most losses.
        weight_decay: λ in [0, ∞), as η one over it; it enters the step as above, not only by shrinking θ.
        adapt_lower_bound: estimate f*.

    Raises:
        ValueError: at update, if `params` or `value` are missing, or `value` is no scalar.

    Reference: Schaipp, Ohana, Eickenberg, Defazio, Gower, MoMo: momentum models for adaptive learning rates, ICML 2024,
    arXiv:2305.07583.

    >>> import funcgd as fg
    >>> tx = fg.momo()
    >>> float(tx.update(4.0, tx.init(2.0), 2.0, value=4.0)[0])  # of x² at 2: −4 · 4 / 16
    -1.0
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    beta: ScalarOrSchedule = number("[0, 1)", default=0.9)
    lower_bound: ScalarOrSchedule = number(default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    adapt_lower_bound: bool = static(default=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params", "value"})

    def init(self, params: Params) -> MomoState:
        f, gamma, lb = scalar(params), scalar(params), scalar(params, resolve(self.lower_bound, 0))
        return MomoState(moment(params), f, gamma, lb, jnp.zeros((), jnp.int32))

    def update(
        self, grads: Updates, state: MomoState, params: Params | None = None, *, value: Any = None, **extra: Any
    ) -> tuple[Updates, MomoState]:
        dtype = state.barf.dtype
        h = cast(at(self, state.count), dtype)
        h.keep, h.rho = jnp.where(state.count == 0, 0, jnp.asarray(h.beta, dtype)), 1.0
        g = jax.tree.map(lambda g: numerics.saturate(numerics.widen(g)), grads)
        f = numerics.ema(state.barf, as_loss("momo", value, dtype), h.keep)
        gamma = numerics.ema(state.gamma, jnp.asarray(tree.real_vdot(g, params), dtype), h.keep)
        _, d = lift(lambda h, g, d: (g, numerics.ema(d, g, h.keep)), h, g, state.exp_avg)
        along, square = (jnp.asarray(tree.real_vdot(d, x), dtype) for x in (params, d))
        h.tau, lb = length(self, h, state.lb, f, gamma, along, square)
        h.decay = h.learning_rate * h.weight_decay

        def rule(h: Any, d: jax.Array, p: jax.Array) -> jax.Array:
            return -(h.tau * d + h.decay * p) / (1 + h.decay)

        updates = lift(rule, h, d, read=(params,))
        return updates, MomoState(d, f, gamma, lb, numerics.increment(state.count))


@value
class momo_adam(Transform):
    """MoMo-Adam: Adam, at most as far as its model of the loss reaches its lower bound.

        d ← β₁d + (1 − β₁)g,   v ← β₂v + (1 − β₂)|g|²,   D = ε + √(v / (1 − β₂ᵗ)),   ρ = 1 − β₁ᵗ
        f̄ ← β₁f̄ + (1 − β₁)f,   γ ← β₁γ + (1 − β₁)⟨g, θ⟩
        τ = min(η/ρ, [(1 + ηλ)(f̄ − γ − ρf*) + ⟨d, θ⟩]₊ / ⟨d, d/D⟩)
        θ ← (θ − τd/D) / (1 + ηλ)

    f is the loss, which update needs as `value`. Where τ = η/ρ this is a step of AdamW (but for where λ enters).

    Args:
        learning_rate: η in [0, ∞), unit of the parameters, the longest step.
        b1, b2: β₁, β₂ in [0, 1).
        eps: ε ≥ 0, unit of the gradient.
        lower_bound, weight_decay, adapt_lower_bound: see `momo`; λ is one over the unit of the parameters.

    Raises:
        ValueError: at update, if `params` or `value` are missing, or `value` is no scalar.

    Reference: Schaipp, Ohana, Eickenberg, Defazio, Gower, ICML 2024 (see `momo`).

    >>> import funcgd as fg
    >>> tx = fg.momo_adam(10.0)
    >>> float(tx.update(4.0, tx.init(2.0), 2.0, value=4.0)[0])  # of x² at 2: f/|g|
    -1.0
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1e-2)
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    lower_bound: ScalarOrSchedule = number(default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    adapt_lower_bound: bool = static(default=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params", "value"})

    def init(self, params: Params) -> MomoAdamState:
        f, gamma, lb = scalar(params), scalar(params), scalar(params, resolve(self.lower_bound, 0))
        return MomoAdamState(moment(params), second_moment(params), f, gamma, lb, jnp.zeros((), jnp.int32))

    def update(
        self, grads: Updates, state: MomoAdamState, params: Params | None = None, *, value: Any = None, **extra: Any
    ) -> tuple[Updates, MomoAdamState]:
        dtype, t = state.barf.dtype, numerics.increment(state.count)
        h = at(self, state.count)
        h.rho, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
        h = cast(h, dtype)
        g = jax.tree.map(lambda g: numerics.saturate(numerics.widen(g)), grads)
        f = numerics.ema(state.barf, as_loss("momo_adam", value, dtype), h.b1)
        gamma = numerics.ema(state.gamma, jnp.asarray(tree.real_vdot(g, params), dtype), h.b1)

        def average(h: Any, g: jax.Array, d: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            d = numerics.ema(d, g, h.b1)
            v = numerics.ema(v, numerics.square(g), h.b2)
            return d / (h.eps + numerics.root(v / h.c2)), d, v

        scaled, d, v = lift(average, h, g, state.exp_avg, state.exp_avg_sq)
        along, square = (jnp.asarray(tree.real_vdot(d, x), dtype) for x in (params, scaled))
        h.tau, lb = length(self, h, state.lb, f, gamma, along, square)
        h.decay = h.learning_rate * h.weight_decay

        def rule(h: Any, u: jax.Array, p: jax.Array) -> jax.Array:
            return -(h.tau * u + h.decay * p) / (1 + h.decay)

        updates = lift(rule, h, scaled, read=(params,))
        return updates, MomoAdamState(d, v, f, gamma, lb, t)
