"""Adagrad: each coordinate's step shrinks with the sum of its squared gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import second_moment


class ScaleByRssState(NamedTuple):
    """The state of `scale_by_rss`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_rss(initial_accumulator_value=0.5).init(1.0).sum_of_squares)
    0.5
    """

    sum_of_squares: Updates  # like the parameters, real, at least float32: Σ|g|², unit of the gradient squared
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_rss(Transform):
    """Divide by the root of the sum of all squared gradients, the direction of Adagrad.

        G ← G + |g|²
        u = g / √(G + ε),   and 0 where G = 0

    Departure from the paper, as in the ecosystem: ε stands inside the root (the paper's δ outside), and G starts at
    `initial_accumulator_value` in place of 0.

    Args:
        initial_accumulator_value: G at the start, in [0, ∞), unit of the gradient squared.
        eps: ε ≥ 0, unit of the gradient squared.

    Reference: Duchi, Hazan, Singer, Adaptive subgradient methods for online learning and stochastic optimization,
    JMLR 12, 2011.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_rss(initial_accumulator_value=0.0, eps=0.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])
    -1.0
    """

    initial_accumulator_value: ScalarOrSchedule = number("[0, inf)", default=0.1, schedule=False)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-7)

    def init(self, params: Params) -> ScaleByRssState:
        return ScaleByRssState(second_moment(params, self.initial_accumulator_value), init_count(self))

    def update(
        self, grads: Updates, state: ScaleByRssState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByRssState]:
        def rule(h: Any, g: jax.Array, total: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = numerics.saturate(g)
            total = jnp.minimum(total + numerics.square(g), float(jnp.finfo(total.dtype).max))
            return g / numerics.root(total + h.eps), total

        updates, total = lift(rule, at(self, state.count), grads, state.sum_of_squares)
        return updates, ScaleByRssState(total, next_count(state.count))


@value
class adagrad(Composed):
    """Adagrad: steps that shrink with the root of the sum of all squared gradients.

        θ ← θ − η·g / √(G + ε)

    Steps fall like 1/√t, so that a constant η suffices for convex problems, and rare features keep long steps.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: about the length of the first steps.
        initial_accumulator_value, eps: see `scale_by_rss`.

    Reference: Duchi, Hazan, Singer, JMLR 12, 2011.

    >>> import funcgd as fg
    >>> fg.adagrad(0.1)
    adagrad(learning_rate=0.1, initial_accumulator_value=0.1, eps=1e-07)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    initial_accumulator_value: ScalarOrSchedule = number("[0, inf)", default=0.1, schedule=False)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-7)

    def compose(self) -> Transform:
        return chain(scale_by_rss(self.initial_accumulator_value, self.eps), scale_by_learning_rate(self.learning_rate))
