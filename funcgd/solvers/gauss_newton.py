"""The method of Gauss and Newton for nonlinear least squares."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import as_count, static
from funcgd.core.values import value
from funcgd.solvers.linearize import Point, shortest
from funcgd.solvers.residual_method import Proposal, ResidualMethod
from funcgd.solvers.verdict import Verdict


@value
class GaussNewton(ResidualMethod):
    """Least squares by linear least squares: to the minimum of the linearised residuals, or a part of the way.

        x_{k+1} = x_k + α_k p,    p = argmin ‖r + Jp‖,    J the Jacobian of the residuals r

    α begins as 1, is halved while f does not fall, and doubles up to 1 after a step. Where J has not full rank, p is
    the shortest such step, its coordinates measured in the norms of the columns of J; singular values below rounding
    count as 0. Near such points it may be slow or give up, and LevenbergMarquardt is safer.

    Order 2 where the residuals vanish at the solution, else 1, the faster the smaller they are; linear residuals take
    one step.

    Args:
        max_trials: after so many trials without a decrease it gives up: NO_DECREASE.

    Cost: one evaluation of r with J for each trial, mostly one for each step, and mn² operations. Memory: some four
    times J. It has no parameter with a unit, and the iterates do not depend on the units of x and r. Minimises only
    `fg.least_squares(…)`.

    Raises:
        TypeError: if `fun` is no `fg.least_squares`.

    Reference: Gauss, Theoria motus corporum coelestium, 1809; Nocedal, Wright, Numerical optimization, 2006, section
    10.3.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> line = fg.least_squares(lambda x, t, y: x["slope"] * t + x["offset"] - y)
    >>> x0, data = {"slope": jnp.zeros(()), "offset": jnp.zeros(())}, (jnp.arange(3.0), jnp.array([1.0, 3.0, 5.0]))
    >>> run = fg.minimize(line, x0, fg.GaussNewton(), args=data, max_steps=1)
    >>> round(float(run.params["slope"]), 3), round(float(run.params["offset"]), 3)
    (2.0, 1.0)
    """

    max_trials: int = static(default=50, convert=as_count)

    def control(self, dtype: Any) -> jax.Array:
        return jnp.ones((), dtype)

    def adapt(self, control: jax.Array, verdict: Verdict, x: jax.Array, scale: jax.Array) -> jax.Array:
        del x, scale
        return jnp.where(verdict.accepted, jnp.minimum(1, 2 * control), control / 2)

    def propose(self, at: Point, scale: jax.Array, control: jax.Array, bend: Callable) -> Proposal:
        del scale, bend
        p = control * shortest(at.jacobian, at.residuals, jnp.where(at.columns > 0, at.columns, 1))
        return Proposal(p, at.decrease(p), control)
