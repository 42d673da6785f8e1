"""The same step always."""

import jax
import jax.numpy as jnp

from funcgd.core.fields import number
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch, Trial, is_finite, verdict


@value
class FixedStep(LineSearch):
    """The given step, whatever it leads to.

        α = step

    It may increase the objective, and gives up only where that is not finite. With gradients that are
    L-Lipschitz-continuous steepest descent converges for steps below 2/L.

    Args:
        step: α > 0, in [param]²/[loss] for steepest descent, without a unit for Newton's and quasi-Newton methods; None
            takes the one that the method would try first.

    Cost: one evaluation for each step.

    Reference: Nesterov, Lectures on convex optimization, 2018, section 2.1.5, on how long it may be.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: (x - 3) ** 2, 0.0, fg.SteepestDescent(fg.FixedStep(0.25)), max_steps=2)
    >>> float(run.params), int(run.evaluations)
    (2.25, 3)
    """

    step: Scalar | None = number("(0, inf)", default=None, schedule=False)

    def first_trial(self, step: jax.Array) -> jax.Array:
        return step if self.step is None else jnp.asarray(self.step, step.dtype)

    def begin(self, start: Trial, step: jax.Array) -> jax.Array:
        del start, step
        return jnp.int32(0)

    def judge(self, state: jax.Array, start: Trial, trial: Trial) -> tuple[jax.Array, jax.Array, jax.Array]:
        del start
        wanted = self.first_trial(trial.step)
        there = (trial.step == wanted) | (state > 0)  # a method with constraints may have cut the step
        return state + 1, verdict(there & is_finite(trial), there), wanted
