"""MARS: gradients corrected by how the last step changed them, which makes their variance smaller."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.calculus.gradient import gradient_of
from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adam import adamw
from funcgd.transforms.clip import clip_by_global_norm
from funcgd.transforms.mask import Mask, as_mask
from funcgd.transforms.slots import moment


class MarsState(NamedTuple):
    """The state of `mars_correction`.

    >>> import funcgd as fg
    >>> int(fg.mars_correction().init(0.0).count)
    0
    """

    count: jax.Array  # (), int32: finished updates
    previous: Updates  # like the parameters: the last gradient, in at least float32; the last parameters if `exact`


@value
class mars_correction(Transform):
    """Correct the gradient by its change since the last step; in front of any optimizer that averages gradients.

        c = g + γ·β/(1 − β)·(g − g′),   c = g at the first step

    g′ is the last gradient or, with `exact`, the gradient of the batch of now at the last parameters: then the noise of
    g and g′ is the same, and an average of c with decay β has less of it (at γ = 1 that of STORM). That costs a second
    gradient for each step. Clip what comes out, as the paper does: `fg.clip_by_global_norm(1.0)`.

    Args:
        b1: β in [0, 1), the decay with which the optimizer behind averages.
        gamma: γ in [0, ∞), how much is corrected; 0 is not at all.
        exact: compute g′; `update` then needs `value_fn`, as `fg.fit` and `fg.make_step` pass it.

    Reference: Yuan, Liu, Wu, Zhou, Gu, MARS: unleashing the power of variance reduction for training large models,
    2024, arXiv:2411.10438.

    >>> import funcgd as fg
    >>> tx = fg.mars_correction(b1=0.5, gamma=0.5)
    >>> first, state = tx.update(2.0, tx.init(0.0))
    >>> float(first), float(tx.update(3.0, state)[0])
    (2.0, 3.5)
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.95)
    gamma: ScalarOrSchedule = number("[0, inf)", default=0.025)
    exact: bool = static(default=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params", "value_fn"}) if self.exact else frozenset()

    def init(self, params: Params) -> MarsState:
        previous = jax.tree.map(lambda p: jnp.array(p, copy=True), params) if self.exact else moment(params)
        return MarsState(jnp.zeros((), jnp.int32), previous)

    def update(
        self, grads: Updates, state: MarsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MarsState]:
        h = at(self, state.count)
        h.first = state.count == 0

        def rule(h: Any, g: jax.Array, before: jax.Array) -> tuple[jax.Array, jax.Array]:
            change = jnp.where(h.first > 0, 0, g - before)
            return g + h.gamma * h.b1 / (1 - h.b1) * change, g

        before = gradient_of(extra["value_fn"])(state.previous) if self.exact else state.previous
        updates, now = lift(rule, h, grads, before)
        previous = jax.tree.map(jnp.copy, params) if self.exact else now
        return updates, MarsState(numerics.increment(state.count), previous)


@value
class mars(Composed):
    """MARS-AdamW: AdamW of corrected gradients, whose noise is smaller.

        c = g + γ·β₁/(1 − β₁)·(g − g′),   c ← c·min(1, ρ/‖c‖₂),   then as AdamW with c in place of g

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, gamma, exact: see `mars_correction`; β₁ is the decay of the first moment, too.
        b2, eps: see `scale_by_adam`.
        max_norm: ρ in [0, ∞), unit of the gradient, of the norm over all leaves together.
        weight_decay, mask: see `adamw`.

    The authors' code limits the norm of each array by itself.

    Reference: Yuan, Liu, Wu, Zhou, Gu, MARS, 2024 (see `mars_correction`), algorithm 2.

    >>> import funcgd as fg
    >>> fg.mars(3e-3).gamma
    0.025
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.95)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.99)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    gamma: ScalarOrSchedule = number("[0, inf)", default=0.025)
    max_norm: ScalarOrSchedule = number("[0, inf)", default=1.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)
    exact: bool = static(default=False)

    def compose(self) -> Transform:
        return chain(
            mars_correction(self.b1, self.gamma, self.exact),
            clip_by_global_norm(self.max_norm),
            adamw(self.learning_rate, self.b1, self.b2, self.eps, weight_decay=self.weight_decay, mask=self.mask),
        )
