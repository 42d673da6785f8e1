"""AdEMAMix and its simplified form: a fast and a slow average of gradients together."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByAdemamixState(NamedTuple):
    """The state of `scale_by_ademamix`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_ademamix().init(1.0).m2)
    0.0
    """

    count: jax.Array  # (), int32: finished updates
    m1: Updates  # like the parameters, at least float32 or `mu_dtype`: fast average, unit of the gradient
    m2: Updates  # like m1: slow average
    nu: Updates  # like the parameters, real, at least float32: second moment, unit of the gradient squared


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """The state of `scale_by_simplified_ademamix`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_simplified_ademamix().init(1.0).m)
    0.0
    """

    t: jax.Array  # (), int32: finished updates
    m: Updates  # like the parameters, at least float32: leaky sum of gradients, unit of the gradient
    n: Updates  # like the parameters, real, at least float32: second moment, unit of the gradient squared


@value
class scale_by_ademamix(Transform):
    """Scale a fast plus α times a slow average of gradients by their second moment, the direction of AdEMAMix.

        m₁ ← β₁m₁ + (1 − β₁)g      m̂₁ = m₁ / (1 − β₁ᵗ)
        m₂ ← β₃m₂ + (1 − β₃)g
        v ← β₂v + (1 − β₂)|g|²     v̂ = v / (1 − β₂ᵗ)
        u = (m̂₁ + αm₂) / (√(v̂ + ε̄) + ε),   0 where the denominator is 0

    The paper lets α rise linearly, and β₃ from β₁, over the whole run: pass schedules.

    Args:
        b1, b2, eps, eps_root: see `scale_by_adam`.
        b3: β₃ in [0, 1), decay of the slow average.
        alpha: α ≥ 0, weight of the slow average.
        mu_dtype: dtype that stores m₁ and m₂; None is at least float32. A low precision loses (1 − β₃)g.

    Reference: Pagliardini, Ablin, Grangier, The AdEMAMix optimizer: better, faster, older, 2024, arXiv:2409.03137.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_ademamix(b3=0.5, alpha=2.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # (−3 + 2 · ½ · −3) / 3
    -2.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    b3: ScalarOrSchedule = number("[0, 1)", default=0.9999)
    alpha: ScalarOrSchedule = number("[0, inf)", default=6.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> ScaleByAdemamixState:
        fast, slow = moment(params, self.mu_dtype), moment(params, self.mu_dtype)
        return ScaleByAdemamixState(jnp.zeros((), jnp.int32), fast, slow, second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAdemamixState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdemamixState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)

        def rule(h: Any, g: jax.Array, m1: jax.Array, m2: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m1, m2 = numerics.ema(m1, g, h.b1), numerics.ema(m2, g, h.b3)
            v = numerics.ema(v, numerics.square(g), h.b2)
            return (m1 / h.c1 + h.alpha * m2) / (numerics.root(v / h.c2 + h.eps_root) + h.eps), m1, m2, v

        updates, *slots = lift(rule, h, grads, state.m1, state.m2, state.nu)
        return updates, ScaleByAdemamixState(t, *slots)


@value
class scale_by_simplified_ademamix(Transform):
    """Scale a leaky sum of gradients plus α times the present one, the direction of simplified AdEMAMix.

        m ← β₁m + g
        n ← β₂n + (1 − β₂)|g|²     n̂ = n / (1 − β₂ᵗ)
        u = (m + αg) / (√(n̂ + ε̄) + ε),   0 where the denominator is 0

    Args:
        b1: β₁ in [0, 1), decay of the sum; it makes steps up to 1/(1 − β₁) times as long as Adam's.
        b2, eps, eps_root: see `scale_by_adam`.
        alpha: α ≥ 0, weight of the present gradient.

    Reference: Morwani, Vyas, Zhang, Kakade, Connections between schedule-free optimizers, AdEMAMix, and accelerated SGD
    variants, 2025, arXiv:2502.02431.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_simplified_ademamix(alpha=2.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -3.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.99)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.95)
    alpha: ScalarOrSchedule = number("[0, inf)", default=0.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)

    def init(self, params: Params) -> ScaleBySimplifiedAdEMAMixState:
        return ScaleBySimplifiedAdEMAMixState(jnp.zeros((), jnp.int32), moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleBySimplifiedAdEMAMixState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleBySimplifiedAdEMAMixState]:
        h, t = at(self, state.t), numerics.increment(state.t)
        h.c2 = numerics.bias_correction(h.b2, t)

        def rule(h: Any, g: jax.Array, m: jax.Array, n: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m, n = h.b1 * m + g, numerics.ema(n, numerics.square(g), h.b2)
            return (m + h.alpha * g) / (numerics.root(n / h.c2 + h.eps_root) + h.eps), m, n

        updates, m, n = lift(rule, h, grads, state.m, state.n)
        return updates, ScaleBySimplifiedAdEMAMixState(t, m, n)


@value
class ademamix(Composed):
    """AdEMAMix: Adam with a second, slow average of gradients, which remembers thousands of steps.

        θ ← θ − η·((m̂₁ + αm₂) / (√(v̂ + ε̄) + ε) + λθ)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, b3, alpha, eps, eps_root, mu_dtype: see `scale_by_ademamix`.
        weight_decay, mask: see `adamw`.

    Reference: Pagliardini, Ablin, Grangier, 2024, arXiv:2409.03137.

    >>> import funcgd as fg
    >>> fg.ademamix(1e-3, alpha=fg.linear_schedule(0.0, 5.0, 10_000)).b3
    0.9999
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    b3: ScalarOrSchedule = number("[0, 1)", default=0.9999)
    alpha: ScalarOrSchedule = number("[0, inf)", default=5.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_ademamix(self.b1, self.b2, self.b3, self.alpha, self.eps, self.eps_root, self.mu_dtype),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )


@value
class simplified_ademamix(Composed):
    """Simplified AdEMAMix: one leaky sum of gradients, and the present one weighed by itself.

        θ ← θ − η·((m + αg) / (√(n̂ + ε̄) + ε) + λθ)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters; about 1 − β₁ times that of Adam.
        b1, b2, alpha, eps, eps_root: see `scale_by_simplified_ademamix`.
        weight_decay, mask: see `adamw`.

    Reference: Morwani, Vyas, Zhang, Kakade, 2025, arXiv:2502.02431.

    >>> import funcgd as fg
    >>> fg.simplified_ademamix(1e-5).b1
    0.99
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.99)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.95)
    alpha: ScalarOrSchedule = number("[0, inf)", default=0.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_simplified_ademamix(self.b1, self.b2, self.alpha, self.eps, self.eps_root),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
