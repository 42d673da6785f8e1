"""MADGRAD: dual averaging with adaptive scaling and momentum."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.slots import copied, moment, second_moment
from funcgd.transforms.weight_decay import add_decayed_weights


class MadgradState(NamedTuple):
    """The state of `scale_by_madgrad`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_madgrad(0.1).init(2.0).x0)
    2.0
    """

    count: jax.Array  # (), int32: finished updates
    grad_sum_sq: Updates  # like the parameters, real, at least float32: Σλ|g|²
    s: Updates  # like the parameters, at least float32: Σλg
    x0: Params  # the first parameters, at least float32


@value
class scale_by_madgrad(Transform):
    """The step of MADGRAD; its sign is that of a step, not of a gradient.

        λ = η√t
        s ← s + λg,   ν ← ν + λ|g|²
        z = θ₀ − s / (∛ν + ε),   θ₀ where the denominator is 0
        u = (1 − β)(z − θ)

    Args:
        learning_rate: η in [0, ∞).
        momentum: β in [0, 1).
        eps: ε ≥ 0.

    Reference: Defazio, Jelassi, Adaptivity without compromise: a momentumized, adaptive, dual averaged gradient method
    for stochastic optimization, JMLR 23, 2022, arXiv:2101.11075.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_madgrad(1.0, momentum=0.5, eps=0.0)
    >>> float(tx.update(8.0, tx.init(1.0), 1.0)[0])  # −½ · 8 / ∛64
    -1.0
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    momentum: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> MadgradState:
        return MadgradState(jnp.zeros((), jnp.int32), second_moment(params), moment(params), copied(params))

    def update(
        self, grads: Updates, state: MadgradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MadgradState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.t = t

        def rule(h: Any, g: jax.Array, v: jax.Array, s: jax.Array, x0: jax.Array, p: jax.Array) -> tuple:
            g = numerics.saturate(g)
            weight = h.learning_rate * jnp.sqrt(h.t)
            largest = float(jnp.finfo(v.dtype).max)
            v = jnp.minimum(v + weight * numerics.square(g), largest)
            s = s + weight * g
            z = x0 - numerics.divide(s, _cube_root(v) + h.eps)
            return (1 - h.momentum) * (z - p), v, s

        updates, grad_sum_sq, s = lift(rule, h, grads, state.grad_sum_sq, state.s, read=(state.x0, params))
        return updates, MadgradState(t, grad_sum_sq, s, state.x0)


def _cube_root(x: jax.Array) -> jax.Array:
    positive = x > 0  # its derivative at 0 is infinite; that of the step is 0 there
    return jnp.where(positive, jnp.cbrt(jnp.where(positive, x, 1)), 0)


@value
class madgrad(Composed):
    """MADGRAD: an average towards dual averaging, scaled by the cube root of summed squares.

        θ ← βθ + (1 − β)·(θ₀ − s / (∛ν + ε))

    It wants far less weight decay than others, often none.

    Args:
        learning_rate: η in [0, ∞).
        momentum: β in [0, 1).
        weight_decay: λ in [0, ∞) of an L2 penalty: λθ is added to g.
        eps: ε ≥ 0.

    Reference: Defazio, Jelassi, JMLR 23, 2022 (see `scale_by_madgrad`).

    >>> import funcgd as fg
    >>> fg.madgrad(1e-2)
    madgrad(learning_rate=0.01, momentum=0.9, weight_decay=0.0, eps=1e-06)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    momentum: ScalarOrSchedule = number("[0, 1)", default=0.9)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)

    def compose(self) -> Transform:
        return chain(
            add_decayed_weights(self.weight_decay), scale_by_madgrad(self.learning_rate, self.momentum, self.eps)
        )
