"""A running average of the update."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.slots import moment


class EmaState(NamedTuple):
    """The state of `ema`.

    >>> import funcgd as fg
    >>> int(fg.ema(0.9).init(0.0).count)
    0
    """

    count: jax.Array  # (), int32: finished updates
    ema: Updates  # like the parameters, at least float32 or `accumulator_dtype`: the average, not debiased


@value
class ema(Transform):
    """The exponential moving average of the updates.

        m ← βm + (1 − β)g,   u = m / (1 − βᵗ)   (u = m without `debias`)

    A constant g comes out as g from the first update on with `debias`, and as (1 − βᵗ)g without.

    Args:
        decay: β in [0, 1); averages reach back about 1/(1 − β) updates.
        debias: divide by the weight gathered so far; a scheduled β enters it with its present value.
        accumulator_dtype: dtype that stores m; None is at least float32.

    Reference: Kingma, Ba, Adam: a method for stochastic optimization, ICLR 2015, arXiv:1412.6980, section 3.

    >>> import funcgd as fg
    >>> tx = fg.ema(0.9)
    >>> float(tx.update(2.0, tx.init(0.0))[0])  # doctest: +NUMBER
    2.0
    """

    decay: ScalarOrSchedule = number("[0, 1)")
    debias: bool = static(default=True)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> EmaState:
        return EmaState(jnp.zeros((), jnp.int32), moment(params, self.accumulator_dtype))

    def update(
        self, grads: Updates, state: EmaState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmaState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.weight = numerics.bias_correction(h.decay, t) if self.debias else 1.0

        def rule(h: Any, g: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
            m = numerics.ema(m, g, h.decay)
            return m / h.weight, m

        updates, new = lift(rule, h, grads, state.ema)
        return updates, EmaState(t, new)
