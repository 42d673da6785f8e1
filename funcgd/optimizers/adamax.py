"""AdaMax and AdaMaxW: Adam with a running maximum in place of the second moment."""

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
from funcgd.optimizers.adam import ScaleByAdamState
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


@value
class scale_by_adamax(Transform):
    """Scale the first moment by a decaying maximum of |g|, the direction of AdaMax.

        m ← β₁m + (1 − β₁)g
        v ← max(β₂v, |g| + ε)
        u = m / ((1 − β₁ᵗ)·v),   and 0 where v = 0

    Departure from the paper, as in the ecosystem: ε, which the paper does not have.

    Args:
        b1: β₁ in [0, 1), decay of the first moment.
        b2: β₂ in [0, 1), decay of the maximum.
        eps: ε ≥ 0, unit of the gradient.

    Reference: Kingma, Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 2.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_adamax(eps=0.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)

    def init(self, params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdamState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1 = numerics.bias_correction(h.b1, t)

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            v = jnp.maximum(h.b2 * v, jnp.abs(g) + h.eps)
            return numerics.divide(m / h.c1, v), m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByAdamState(t, mu, nu)


@value
class adamax(Composed):
    """AdaMax: Adam with a decaying maximum of |g| in place of the root mean square.

        θ ← θ − η·m̂ / v

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps: see `scale_by_adamax`.

    Reference: Kingma, Ba, ICLR 2015, algorithm 2, arXiv:1412.6980.

    >>> import funcgd as fg
    >>> fg.adamax(2e-3)
    adamax(learning_rate=0.002, b1=0.9, b2=0.999, eps=1e-08)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)

    def compose(self) -> Transform:
        return chain(scale_by_adamax(self.b1, self.b2, self.eps), scale_by_learning_rate(self.learning_rate))


@value
class adamaxw(Composed):
    """AdaMax with decoupled weight decay.

        θ ← θ − η·(m̂ / v + λθ)

    Args:
        learning_rate, b1, b2, eps: see `adamax`.
        weight_decay, mask: see `adamw`.

    References: Kingma, Ba, 2015; Loshchilov, Hutter, 2019 (see `adamax`, `adamw`).

    >>> import funcgd as fg
    >>> fg.adamaxw(2e-3)
    adamaxw(learning_rate=0.002, b1=0.9, b2=0.999, eps=1e-08, weight_decay=0.0001)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=1e-4)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_adamax(self.b1, self.b2, self.eps),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
