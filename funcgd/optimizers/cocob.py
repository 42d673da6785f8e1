"""COCOB: the parameters as what a gambler bets on coins that the gradients toss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import copied, moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class COCOBState(NamedTuple):
    """The state of `scale_by_cocob`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_cocob().init(2.0).init_particles)
    2.0
    """

    init_particles: Params  # w₁, the first parameters, at least float32
    cumulative_gradients: Updates  # like the parameters, at least float32: θ, unit of the gradient
    scale: Updates  # like the parameters, real, at least float32: L, unit of the gradient
    subgradients: Updates  # like the parameters, real, at least float32: G, unit of the gradient
    reward: Updates  # like the parameters, real, at least float32: unit of the loss
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_cocob(Transform):
    """The step of COCOB-Backprop, for each entry by itself; its sign is that of a step, not of a gradient.

        L ← max(L, |g|),   G ← G + |g|,   θ ← θ − g
        R ← max(R − ⟨g, w − w₁⟩, 0)
        u = w₁ + (1 + R/L) · θ / max(G + L, αL) − w

    R is what was won so far, the first capital is L, and the fraction that is bet grows with the coins' agreement θ/G.
    The first step is 1/α long; u does not depend on the scale of g. Where L = 0, u = 0. A finite |g| saturates.

    Args:
        alpha: α in (0, ∞), one over the unit of the parameters.
        eps: the first L, in [0, ∞), unit of the gradient.

    Reference: Orabona, Tommasi, Training deep networks without learning rates through coin betting, NeurIPS 2017,
    arXiv:1705.07795, algorithm 2.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_cocob(alpha=4.0)
    >>> float(tx.update(-3.0, tx.init(2.0), 2.0)[0])
    0.25
    """

    alpha: ScalarOrSchedule = number("(0, inf)", default=100.0)
    eps: Scalar = number("[0, inf)", default=1e-8, schedule=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> COCOBState:
        largest, total, reward = second_moment(params, self.eps), second_moment(params), second_moment(params)
        return COCOBState(copied(params), moment(params), largest, total, reward, init_count(self))

    def update(
        self, grads: Updates, state: COCOBState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, COCOBState]:
        def rule(h: Any, g: Any, theta: Any, largest: Any, total: Any, reward: Any, w1: Any, w: Any) -> tuple:
            g = numerics.saturate(g)
            size = numerics.sqrt(numerics.square(g))
            largest, total, theta = jnp.maximum(largest, size), total + size, theta - g
            reward = jnp.maximum(reward - jnp.real(jnp.conj(g) * (w - w1)), 0)
            bet = numerics.divide(theta, jnp.maximum(total + largest, h.alpha * largest))
            return w1 - w + (1 + numerics.divide(reward, largest)) * bet, theta, largest, total, reward

        slots = state.cumulative_gradients, state.scale, state.subgradients, state.reward
        updates, theta, largest, total, reward = lift(
            rule, at(self, state.count), grads, *slots, read=(state.init_particles, params)
        )
        return updates, COCOBState(state.init_particles, theta, largest, total, reward, next_count(state.count))


@value
class cocob(Composed):
    """COCOB: no rate, but bets on coins that the gradients toss, for each entry by itself.

        w ← w₁ + (1 + R/L) · θ / max(G + L, αL)

    Args:
        learning_rate: η in [0, ∞), a weight of the gradient: a constant changes nothing, since the scale of g does not
            matter; where it falls, late gradients count less and w comes to rest.
        alpha, eps: see `scale_by_cocob`.
        weight_decay: λ in [0, ∞) of an L2 penalty: λw is added to g.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Orabona, Tommasi, NeurIPS 2017 (see `scale_by_cocob`).

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.cocob(), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    alpha: ScalarOrSchedule = number("(0, inf)", default=100.0)
    eps: Scalar = number("[0, inf)", default=1e-8, schedule=False)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate, flip_sign=False),
            scale_by_cocob(self.alpha, self.eps),
        )
