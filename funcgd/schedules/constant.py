"""The constant schedule."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import number
from funcgd.core.schedule import at
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import as_step, real


@value
class constant_schedule:
    """The same value at every step.

        f(t) = a

    A plain number does the same wherever a schedule is accepted; this one can be called.

    Args:
        value: a, unit of what is scheduled.

    Reference: Robbins, Monro, A stochastic approximation method, Ann. Math. Stat. 22, 1951, on why a constant step does
    not converge under noise.

    >>> import funcgd as fg
    >>> float(fg.constant_schedule(0.5)(7))
    0.5
    """

    value: Scalar = number(schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        return jnp.broadcast_to(real(at(self, 0).value), np.shape(as_step(step)))
