"""ACProp: gradients scaled by what was known of their deviations before."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adabelief import ScaleByBeliefState
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


@value
class scale_by_acprop(Transform):
    """Scale the gradient by the past root mean square of its deviations, the direction of ACProp.

        m ← β₁m + (1 − β₁)g
        u = g / (√v̂ + ε),  v̂ = v / (1 − β₂ᵗ⁻¹);   0 at first, and where the denominator is 0
        v ← β₂v + (1 − β₂)|g − m|² + ε̄

    u is formed with the v of the step before, which does not know g. Departures from the paper, where v is 0 in the
    first step and has no bias correction: that step is 0, and later ones are corrected.

    Args:
        b1: β₁ in [0, 1), decay of the average.
        b2: β₂ in [0, 1), decay of the deviations.
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, added to v in each step, unit of the gradient squared.

    Reference: Zhuang, Ding, Tang, Dvornek, Tatikonda, Duncan, Momentum centering and asynchronous update for adaptive
    gradient methods, NeurIPS 2021, arXiv:2110.05454.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_acprop(b1=0.5)
    >>> u, state = tx.update(-3.0, tx.init(1.0))
    >>> float(u), float(tx.update(-4.5, state)[0])  # then −4.5 / |−3 − (−1.5)|
    (0.0, -3.0)
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=1e-16)

    def init(self, params: Params) -> ScaleByBeliefState:
        return ScaleByBeliefState(jnp.zeros((), jnp.int32), moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByBeliefState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByBeliefState]:
        h = at(self, state.count)
        h.first = state.count == 0
        h.c2 = numerics.bias_correction(h.b2, jnp.maximum(state.count, 1))

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            u = jnp.where(h.first > 0, 0, g / (numerics.root(v / h.c2) + h.eps))
            return u, m, numerics.ema(v, numerics.square(g - m), h.b2) + h.eps_root

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByBeliefState(numerics.increment(state.count), mu, nu)


@value
class acprop(Composed):
    """ACProp: gradients over their past deviations from what was expected.

        θ ← θ − η·(g / (√v̂ + ε) + λθ)

    The first update only measures. A coordinate whose gradient was 0 until now makes a very long first step, up to
    |g|/√ε̄: choose ε̄ well above the precision times |g|², or clip.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root: see `scale_by_acprop`.
        weight_decay, mask: see `adamw`.

    Reference: Zhuang et al., NeurIPS 2021, arXiv:2110.05454.

    >>> import funcgd as fg
    >>> fg.acprop(1e-3)
    acprop(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_acprop(self.b1, self.b2, self.eps, self.eps_root),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
