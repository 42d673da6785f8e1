"""Adadelta: each coordinate's step is as long as its recent steps, in proportion to its recent gradients."""

from typing import Any, NamedTuple

import jax

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByAdaDeltaState(NamedTuple):
    """The state of `scale_by_adadelta`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_adadelta().init(1.0).e_x)
    0.0
    """

    e_g: Updates  # like the parameters, real, at least float32: average of |g|², unit of the gradient squared
    e_x: Updates  # like the parameters, real, at least float32: average of |u|², unit of the parameters squared
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_adadelta(Transform):
    """Scale by the ratio of the running roots of mean squares of updates and gradients, the direction of Adadelta.

        G ← ρG + (1 − ρ)|g|²
        u = √(X + ε) / √(G + ε) · g
        X ← ρX + (1 − ρ)|u|²

    Steps begin at about √ε and grow from there. As both ε have the same value, the unit is right up to ε only.

    Args:
        rho: ρ in [0, 1).
        eps: ε ≥ 0; with 0 nothing ever moves.

    Reference: Zeiler, ADADELTA: an adaptive learning rate method, 2012, arXiv:1212.5701.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_adadelta(rho=0.75, eps=1e-4)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -0.02
    """

    rho: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)

    def init(self, params: Params) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(second_moment(params), second_moment(params), init_count(self))

    def update(
        self, grads: Updates, state: ScaleByAdaDeltaState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdaDeltaState]:
        def rule(h: Any, g: jax.Array, e_g: jax.Array, e_x: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            e_g = numerics.ema(e_g, numerics.square(g), h.rho)
            u = numerics.sqrt(e_x + h.eps) * (g / numerics.root(e_g + h.eps))
            return u, e_g, numerics.ema(e_x, numerics.square(u), h.rho)

        updates, e_g, e_x = lift(rule, at(self, state.count), grads, state.e_g, state.e_x)
        return updates, ScaleByAdaDeltaState(e_g, e_x, next_count(state.count))


@value
class adadelta(Composed):
    """Adadelta: steps as long as recent steps, in proportion to recent gradients; no rate to choose.

        θ ← θ − η·√(X + ε) / √(G + ε) · g

    Args:
        learning_rate: η in [0, ∞), without a unit; the paper has 1.
        rho, eps: see `scale_by_adadelta`.
        weight_decay: λ in [0, ∞) of an L2 penalty: λθ is added to g.
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.

    Reference: Zeiler, 2012, arXiv:1212.5701.

    >>> import funcgd as fg
    >>> fg.adadelta()
    adadelta(learning_rate=1.0, rho=0.9, eps=1e-06, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    rho: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            add_decayed_weights(self.weight_decay, self.weight_decay_mask),
            scale_by_adadelta(self.rho, self.eps),
            scale_by_learning_rate(self.learning_rate),
        )
