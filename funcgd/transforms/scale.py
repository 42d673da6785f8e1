"""Multiply the update by a number."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.numerics import increment
from funcgd.core.schedule import at, init_count
from funcgd.core.transform import EmptyState, OptState, Params, ScaleByScheduleState, Transform, Updates
from funcgd.core.types import ScalarOrSchedule, Schedule
from funcgd.core.values import value


class Counted(Transform):
    """The base of transforms whose only memory is the step count that a scheduled number needs."""

    def init(self, params: Params) -> EmptyState | ScaleByScheduleState:
        count = init_count(self)
        return EmptyState() if count is None else ScaleByScheduleState(count)

    def numbers(self, state: Any) -> SimpleNamespace:
        """The hyperparameters at the step that the state counts."""
        return at(self, state.count if isinstance(state, ScaleByScheduleState) else None)

    def next_state(self, state: Any) -> Any:
        """The state with one more finished update."""
        return ScaleByScheduleState(increment(state.count)) if isinstance(state, ScaleByScheduleState) else state


@value
class scale(Counted):
    """Multiply updates by `step_size`, which may be negative.

        u = s·g

    Args:
        step_size: the factor s, any number or schedule.

    >>> import funcgd as fg
    >>> tx = fg.scale(-0.5)
    >>> float(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """

    step_size: ScalarOrSchedule = number()

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        h = self.numbers(state)
        return lift(lambda h, g: h.step_size * g, h, grads), self.next_state(state)


def scale_by_schedule(step_size_fn: Schedule) -> scale:
    """`scale` by a schedule; the same as `scale(step_size_fn)`.

    >>> import funcgd as fg
    >>> fg.scale_by_schedule(fg.constant_schedule(2.0))
    scale(step_size=constant_schedule(value=2.0))
    """
    return scale(step_size_fn)


@value
class scale_by_learning_rate(Counted):
    """Take the step: multiply by −η, so that adding the update descends.

        u = −η·g

    Args:
        learning_rate: η in [0, ∞), or a schedule of it. Its unit is what makes η·g a step in the parameters.
        flip_sign: False multiplies by +η.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_learning_rate(0.5)
    >>> float(tx.update(4.0, tx.init(1.0))[0])
    -2.0
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    flip_sign: bool = static(default=True)

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Any]:
        h = self.numbers(state)
        sign = -1 if self.flip_sign else 1
        return lift(lambda h, g: sign * h.learning_rate * g, h, grads), self.next_state(state)


@value
class set_to_zero(Transform):
    """Make every update zero.

        u = 0

    >>> import funcgd as fg
    >>> tx = fg.set_to_zero()
    >>> float(tx.update(4.0, tx.init(1.0))[0])
    0.0
    """

    def init(self, params: Params) -> EmptyState:
        del params
        return EmptyState()

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        return jax.tree.map(lambda g: jnp.zeros_like(numerics.widen(g)), grads), state
