"""Optimistic gradient descent and Adam: the last change of the gradient is expected to come again."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adam import scale_by_adam
from funcgd.transforms.momentum import TraceState
from funcgd.transforms.scale import scale, scale_by_learning_rate
from funcgd.transforms.slots import moment


@value
class scale_by_optimistic_gradient(Transform):
    """Add the change of the update since the last step.

        u = αg + β(g − g₋₁),   g₋₁ = g in the first step

    Args:
        alpha: α ≥ 0, weight of the update.
        beta: β ≥ 0, weight of its change.

    Reference: Mokhtari, Ozdaglar, Pattathil, A unified analysis of extra-gradient and optimistic gradient methods for
    saddle point problems, AISTATS 2020, arXiv:1901.08511.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_optimistic_gradient()
    >>> u, state = tx.update(3.0, tx.init(0.0))
    >>> float(u), float(tx.update(2.0, state)[0])
    (3.0, 1.0)
    """

    alpha: ScalarOrSchedule = number("[0, inf)", default=1.0)
    beta: ScalarOrSchedule = number("[0, inf)", default=1.0)

    def init(self, params: Params) -> TraceState:
        return TraceState(moment(params), jnp.zeros((), jnp.int32))

    def update(
        self, grads: Updates, state: TraceState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, TraceState]:
        h = at(self, state.count)
        h.first = state.count == 0

        def rule(h: Any, g: jax.Array, last: jax.Array) -> tuple[jax.Array, jax.Array]:
            return h.alpha * g + h.beta * jnp.where(h.first > 0, 0, g - last), g

        updates, last = lift(rule, h, grads, state.trace)
        return updates, TraceState(last, next_count(state.count))


@value
class optimistic_gradient_descent(Composed):
    """Optimistic gradient descent: converges on games, where gradient descent circles or diverges.

        θ ← θ − η·(αg + β(g − g₋₁))

    Args:
        learning_rate: η in [0, ∞), unit [θ]²/[loss].
        alpha, beta: see `scale_by_optimistic_gradient`.

    Reference: Mokhtari, Ozdaglar, Pattathil, AISTATS 2020, arXiv:1901.08511.

    >>> import funcgd as fg
    >>> fg.optimistic_gradient_descent(0.1)
    optimistic_gradient_descent(learning_rate=0.1, alpha=1.0, beta=1.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    alpha: ScalarOrSchedule = number("[0, inf)", default=1.0)
    beta: ScalarOrSchedule = number("[0, inf)", default=1.0)

    def compose(self) -> Transform:
        return chain(scale_by_optimistic_gradient(self.alpha, self.beta), scale_by_learning_rate(self.learning_rate))


@value
class optimistic_adam(Composed):
    """Optimistic Adam: Adam's direction d, and its last change once more.

        θ ← θ − ηd − o·(d − d₋₁)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        optimism: o in [0, ∞), unit of the parameters; None is η, as in the paper.
        b1, b2, eps, eps_root, mu_dtype: see `scale_by_adam`.
        nesterov: see `scale_by_adam`; the paper has none.

    Reference: Daskalakis, Ilyas, Syrgkanis, Zeng, Training GANs with optimism, ICLR 2018, arXiv:1711.00141.

    >>> import funcgd as fg
    >>> fg.optimistic_adam(1e-3, optimism=2e-3).optimism
    0.002
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    optimism: ScalarOrSchedule | None = number("[0, inf)", default=None)
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=True)

    def compose(self) -> Transform:
        optimism = self.learning_rate if self.optimism is None else self.optimism
        return chain(
            scale_by_adam(self.b1, self.b2, self.eps, self.eps_root, self.mu_dtype, self.nesterov),
            scale_by_optimistic_gradient(self.learning_rate, optimism),
            scale(-1.0),
        )


@value
class optimistic_adam_v2(Composed):
    """Optimistic Adam with weights that the learning rate multiplies.

        θ ← θ − η·(αd + β(d − d₋₁)),   d the direction of Adam

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        alpha, beta: see `scale_by_optimistic_gradient`.
        b1, b2, eps, eps_root, mu_dtype, nesterov: see `optimistic_adam`.

    Reference: Daskalakis, Ilyas, Syrgkanis, Zeng, ICLR 2018, arXiv:1711.00141.

    >>> import funcgd as fg
    >>> fg.optimistic_adam_v2(1e-3).beta
    1.0
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    alpha: ScalarOrSchedule = number("[0, inf)", default=1.0)
    beta: ScalarOrSchedule = number("[0, inf)", default=1.0)
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=True)

    def compose(self) -> Transform:
        return chain(
            scale_by_adam(self.b1, self.b2, self.eps, self.eps_root, self.mu_dtype, self.nesterov),
            scale_by_optimistic_gradient(self.alpha, self.beta),
            scale_by_learning_rate(self.learning_rate),
        )
