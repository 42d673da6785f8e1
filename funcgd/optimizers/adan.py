"""Adan: Nesterov momentum for adaptive steps, from the differences of gradients."""

from typing import Any, NamedTuple

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
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByAdanState(NamedTuple):
    """The state of `scale_by_adan`.

    >>> import funcgd as fg
    >>> fg.scale_by_adan().init(1.0).t.item()
    0
    """

    m: Updates  # like the parameters, at least float32: average of g, unit of the gradient
    v: Updates  # like the parameters, at least float32: average of the differences d, unit of the gradient
    n: Updates  # like the parameters, real, at least float32: average of |g + β₂d|², unit of the gradient squared
    g: Updates  # like the parameters, at least float32: the last gradient
    t: jax.Array  # (), int32: finished updates


@value
class scale_by_adan(Transform):
    """Averages of the gradient and of its change, scaled by their second moment: the direction of Adan.

        d = g − g₋₁,   0 at first
        m ← β₁m + (1 − β₁)g
        v ← β₂v + (1 − β₂)d
        n ← β₃n + (1 − β₃)|g + β₂d|²
        u = (m̂ + β₂v̂) / (√(n̂ + ε̄) + ε),   0 where the denominator is 0

    each hat dividing by 1 − βᵗ with the β of its average. The β here are the paper's 1 − β.

    Args:
        b1, b2, b3: β in [0, 1).
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, inside the root, unit of the gradient squared.

    Reference: Xie, Zhou, Li, Lin, Yan, Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models,
    2022, arXiv:2208.06677.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_adan()
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.98)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.92)
    b3: ScalarOrSchedule = number("[0, 1)", default=0.99)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)

    def init(self, params: Params) -> ScaleByAdanState:
        return ScaleByAdanState(
            moment(params), moment(params), second_moment(params), moment(params), jnp.zeros((), jnp.int32)
        )

    def update(
        self, grads: Updates, state: ScaleByAdanState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdanState]:
        h, t = at(self, state.t), numerics.increment(state.t)
        h.c1, h.c2, h.c3 = (numerics.bias_correction(b, t) for b in (h.b1, h.b2, h.b3))
        h.first = state.t == 0

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array, n: jax.Array, last: jax.Array) -> tuple:
            g = numerics.saturate(g)
            d = jnp.where(h.first > 0, 0, g - last)
            m = numerics.ema(m, g, h.b1)
            v = numerics.ema(v, d, h.b2)
            n = numerics.ema(n, numerics.square(g + h.b2 * d), h.b3)
            u = (m / h.c1 + h.b2 * v / h.c2) / (numerics.root(n / h.c3 + h.eps_root) + h.eps)
            return u, m, v, n, g

        updates, m, v, n, last = lift(rule, h, grads, state.m, state.v, state.n, state.g)
        return updates, ScaleByAdanState(m, v, n, last, t)


@value
class adan(Composed):
    """Adan: adaptive Nesterov momentum, from averages of gradients and of their differences.

        θ ← θ − η·((m̂ + β₂v̂) / (√(n̂ + ε̄) + ε) + λθ)

    Departure from the paper: the decay is explicit, 1 − ηλ, as in AdamW, in place of 1/(1 + ηλ).

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, b3, eps, eps_root: see `scale_by_adan`.
        weight_decay, mask: see `adamw`.

    Reference: Xie et al., 2022, arXiv:2208.06677.

    >>> import funcgd as fg
    >>> fg.adan(1e-3)
    adan(learning_rate=0.001, b1=0.98, b2=0.92, b3=0.99, eps=1e-08, eps_root=1e-08, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.98)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.92)
    b3: ScalarOrSchedule = number("[0, 1)", default=0.99)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_adan(self.b1, self.b2, self.b3, self.eps, self.eps_root),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
