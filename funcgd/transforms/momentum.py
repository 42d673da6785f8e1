"""Momentum: a leaky sum of what came before."""

from typing import Any, NamedTuple

import jax

from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.slots import moment


class TraceState(NamedTuple):
    """The state of `trace`.

    >>> import funcgd as fg
    >>> fg.trace(0.9).init(1.0).count is None  # only a scheduled decay counts steps
    True
    """

    trace: Updates  # like the parameters, at least float32 or `accumulator_dtype`: the leaky sum
    count: jax.Array | None = None  # (), int32: finished updates, where `decay` is a schedule


@value
class trace(Transform):
    """A leaky sum of the updates.

        v ← βv + g,   u = v
        u = g + βv    with `nesterov`, which looks one step ahead

    A constant g adds up to g/(1 − β). The sum is no average.

    Args:
        decay: β in [0, 1); 0.9 is common.
        nesterov: use Nesterov's form.
        accumulator_dtype: dtype that stores v; None is at least float32.

    References: Polyak, Some methods of speeding up the convergence of iteration methods, 1964; Nesterov, A method for
    solving the convex programming problem with convergence rate O(1/k²), 1983; Sutskever, Martens, Dahl, Hinton, On the
    importance of initialization and momentum in deep learning, ICML 2013.

    >>> import funcgd as fg
    >>> tx = fg.trace(0.5)
    >>> u, state = tx.update(1.0, tx.init(0.0))
    >>> u, state = tx.update(1.0, state)
    >>> float(u)
    1.5
    """

    decay: ScalarOrSchedule = number("[0, 1)")
    nesterov: bool = static(default=False)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> TraceState:
        return TraceState(moment(params, self.accumulator_dtype), init_count(self))

    def update(
        self, grads: Updates, state: TraceState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, TraceState]:
        def rule(h: Any, g: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
            v = h.decay * v + g
            return (g + h.decay * v if self.nesterov else v), v

        updates, new = lift(rule, at(self, state.count), grads, state.trace)
        return updates, TraceState(new, next_count(state.count))
