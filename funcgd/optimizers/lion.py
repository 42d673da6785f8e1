"""Lion: the sign of momentum, with two decays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByLionState(NamedTuple):
    """The state of `scale_by_lion`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_lion().init(1.0).mu)
    0.0
    """

    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: average of g, unit of the gradient
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_lion(Transform):
    """The sign of an average of momentum and gradient, the direction of Lion.

        u = sign(β₁m + (1 − β₁)g)
        m ← β₂m + (1 − β₂)g

    The present gradient weighs more in the step (1 − β₁) than in what is remembered (1 − β₂).

    Args:
        b1: β₁ in [0, 1), decay in the step.
        b2: β₂ in [0, 1), decay of what is remembered.
        mu_dtype: dtype that stores m; None is at least float32.

    Reference: Chen, Liang, Huang et al., Symbolic discovery of optimization algorithms, NeurIPS 2023,
    arXiv:2302.06675.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_lion(b1=0.5)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])
    -1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.99)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> ScaleByLionState:
        return ScaleByLionState(moment(params, self.mu_dtype), init_count(self))

    def update(
        self, grads: Updates, state: ScaleByLionState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByLionState]:
        def rule(h: Any, g: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jnp.sign(numerics.ema(m, g, h.b1)), numerics.ema(m, g, h.b2)

        updates, mu = lift(rule, at(self, state.count), grads, state.mu)
        return updates, ScaleByLionState(mu, next_count(state.count))


@value
class lion(Composed):
    """Lion: steps of one length, in the direction of the sign of momentum, with decoupled weight decay.

        θ ← θ − η·(sign(β₁m + (1 − β₁)g) + λθ)

    One slot in place of Adam's two. Take η three to ten times smaller than for AdamW, and λ larger by as much.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: the length of each coordinate's step.
        b1, b2, mu_dtype: see `scale_by_lion`.
        weight_decay: λ in [0, ∞).
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Chen et al., NeurIPS 2023 (see `scale_by_lion`).

    >>> import funcgd as fg
    >>> fg.lion(1e-4)
    lion(learning_rate=0.0001, b1=0.9, b2=0.99, weight_decay=0.001)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.99)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=1e-3)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_lion(self.b1, self.b2, self.mu_dtype),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
