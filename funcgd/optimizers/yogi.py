"""Yogi: Adam whose second moment changes by steps that do not depend on its size."""

from typing import Any

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
from funcgd.optimizers.adam import ScaleByAdamState
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


@value
class scale_by_yogi(Transform):
    """Scale the first moment by a second one that moves towards |g|² by (1 − β₂)|g|², the direction of Yogi.

        m ← β₁m + (1 − β₁)g                          m̂ = m / (1 − β₁ᵗ)
        v ← v − (1 − β₂)·sign(v − |g|²)·|g|²         v̂ = v / (1 − β₂ᵗ)
        u = m̂ / (√(v̂ + ε̄) + ε)

    Where gradients become small, Adam forgets the large ones within 1/(1 − β₂) steps; here v falls slowly, so that
    steps do not grow at once. Departure from the paper, as in the ecosystem: the bias corrections.

    Args:
        b1: β₁ in [0, 1), decay of the first moment.
        b2: β₂ in [0, 1), one minus the rate of the second.
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, inside the root, unit of the gradient squared.
        initial_accumulator_value: v at the start, in [0, ∞), unit of the gradient squared.

    Reference: Zaheer, Reddi, Sachan, Kale, Kumar, Adaptive methods for nonconvex optimization, NeurIPS 2018.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_yogi(eps=0.0, initial_accumulator_value=0.0)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-3)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    initial_accumulator_value: ScalarOrSchedule = number("[0, inf)", default=1e-6, schedule=False)

    def init(self, params: Params) -> ScaleByAdamState:
        nu = second_moment(params, self.initial_accumulator_value)
        return ScaleByAdamState(jnp.zeros((), jnp.int32), moment(params), nu)

    def update(
        self, grads: Updates, state: ScaleByAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdamState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m, square = numerics.ema(m, g, h.b1), numerics.square(g)
            v = v - (1 - h.b2) * jnp.sign(v - square) * square
            return m / h.c1 / (numerics.root(v / h.c2 + h.eps_root) + h.eps), m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByAdamState(t, mu, nu)


@value
class yogi(Composed):
    """Yogi: Adam that forgets large gradients slowly.

        θ ← θ − η·m̂ / (√v̂ + ε)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps: see `scale_by_yogi`.

    Reference: Zaheer, Reddi, Sachan, Kale, Kumar, NeurIPS 2018.

    >>> import funcgd as fg
    >>> fg.yogi(1e-2)
    yogi(learning_rate=0.01, b1=0.9, b2=0.999, eps=0.001)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-3)

    def compose(self) -> Transform:
        return chain(scale_by_yogi(self.b1, self.b2, self.eps), scale_by_learning_rate(self.learning_rate))
