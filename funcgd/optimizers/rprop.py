"""Rprop: each coordinate has a step length of its own, which grows while the sign of its gradient stays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.chain import chain
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale
from funcgd.transforms.slots import moment, second_moment


class ScaleByRpropState(NamedTuple):
    """The state of `scale_by_rprop`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_rprop(0.5).init(1.0).step_sizes)
    0.5
    """

    step_sizes: Updates  # like the parameters, real, at least float32: Δ, unit of the parameters
    prev_updates: Updates  # like the parameters, at least float32: signs of the last gradient, 0 after a reversal
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_rprop(Transform):
    """Step lengths that grow while a gradient keeps its sign and shrink when it turns, the direction of Rprop.

        Δ ← min(η⁺Δ, Δmax)               where sign(g)·s > 0
        Δ ← max(η⁻Δ, Δmin),  g ← 0       where sign(g)·s < 0
        u = Δ·sign(g),   s ← sign(g)

    This is the form without backtracking of weights (iRprop⁻). After a turn a coordinate rests for a step, and its step
    does not shrink a second time.

    Args:
        learning_rate: Δ at the start, in [0, ∞), unit of the parameters.
        eta_minus: η⁻ in (0, 1).
        eta_plus: η⁺ in [1, ∞).
        min_step_size: Δmin ≥ 0, unit of the parameters.
        max_step_size: Δmax ≥ 0, unit of the parameters.

    References: Riedmiller, Braun, A direct adaptive method for faster backpropagation learning: the RPROP algorithm,
    ICNN 1993; Igel, Hüsken, Empirical evaluation of the improved Rprop learning algorithms, Neurocomputing 50, 2003.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_rprop(0.5)
    >>> u, state = tx.update(-3.0, tx.init(1.0))
    >>> float(u), float(tx.update(-0.1, state)[0])  # doctest: +NUMBER
    (-0.5, -0.6)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", schedule=False)
    eta_minus: ScalarOrSchedule = number("(0, 1)", default=0.5)
    eta_plus: ScalarOrSchedule = number("[1, inf)", default=1.2)
    min_step_size: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    max_step_size: ScalarOrSchedule = number("[0, inf)", default=50.0)

    def init(self, params: Params) -> ScaleByRpropState:
        return ScaleByRpropState(second_moment(params, self.learning_rate), moment(params), init_count(self))

    def update(
        self, grads: Updates, state: ScaleByRpropState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByRpropState]:
        def rule(h: Any, g: jax.Array, step: jax.Array, before: jax.Array) -> tuple[jax.Array, ...]:
            sign = jnp.sign(g)
            kept = (sign * jnp.conj(before)).real  # of signs: a product of small gradients underflows
            grown = jnp.minimum(h.eta_plus * step, h.max_step_size)
            shrunk = jnp.maximum(h.eta_minus * step, h.min_step_size)
            step = jnp.where(kept > 0, grown, jnp.where(kept < 0, shrunk, step))
            sign = jnp.where(kept < 0, 0, sign)
            return step * sign, step, sign

        updates, steps, signs = lift(rule, at(self, state.count), grads, state.step_sizes, state.prev_updates)
        return updates, ScaleByRpropState(steps, signs, next_count(state.count))


@value
class rprop(Composed):
    """Rprop: step lengths per coordinate that adapt to how often the gradient changes its sign.

        θ ← θ − Δ·sign(g)

    For full batches: on small ones the sign turns by chance, and the steps shrink to Δmin.

    Args:
        learning_rate: the first step's length, in [0, ∞), unit of the parameters.
        eta_minus, eta_plus, min_step_size, max_step_size: see `scale_by_rprop`.

    Reference: Riedmiller, Braun, ICNN 1993 (see `scale_by_rprop`).

    >>> import funcgd as fg
    >>> fg.rprop(0.01)
    rprop(learning_rate=0.01, eta_minus=0.5, eta_plus=1.2, min_step_size=1e-06, max_step_size=50.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", schedule=False)
    eta_minus: ScalarOrSchedule = number("(0, 1)", default=0.5)
    eta_plus: ScalarOrSchedule = number("[1, inf)", default=1.2)
    min_step_size: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    max_step_size: ScalarOrSchedule = number("[0, inf)", default=50.0)

    def compose(self) -> Transform:
        direction = scale_by_rprop(
            self.learning_rate, self.eta_minus, self.eta_plus, self.min_step_size, self.max_step_size
        )
        return chain(direction, scale(-1.0))
