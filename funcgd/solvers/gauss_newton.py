"""The method of Gauss and Newton for nonlinear least squares."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector
from funcgd.core.least_squares import residuals_of
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.search import LineSearch
from funcgd.solvers.line_search_method import LineSearchMethod, Step
from funcgd.solvers.linearize import linearize, shortest


@value
class GaussNewton(LineSearchMethod):
    """Least squares by linear least squares: to the minimum of the linearised residuals, or as far as a search goes.

        x_{k+1} = x_k + α_k p,    p = argmin ‖r + Jp‖,    J the Jacobian of the residuals r

    Where J has not full rank, p is the shortest such step, its coordinates measured in the norms of the columns of J;
    singular values below rounding count as 0. Near such points it may be slow, and LevenbergMarquardt is safer.

    Order 2 where the residuals vanish at the solution, else 1, the faster the smaller they are; linear residuals take
    one step.

    Args:
        search: how α is found; α = 1 is tried first.

    Cost: one evaluation for each trial, mostly one for each step. Each step adds J, by n evaluations forward or m
    backward, and mn² operations. Memory: some three times J. It has no parameter with a unit, and the iterates do not
    depend on the units of x and r. Minimises only `fg.least_squares(…)`.

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

    search: LineSearch = Backtracking()

    def descend(self, fun: Callable, args: tuple, memory: Any, x: Params, grads: Params) -> Params:
        del memory, grads
        at = linearize(residuals_of("GaussNewton", fun), x, args)
        p = shortest(at.linear, jnp.where(at.columns > 0, at.columns, 1))
        return from_vector(jnp.asarray(p, at.x.dtype), x)

    def first_step(self, memory: Any, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory, direction, step, first
        return jnp.ones_like(slope)
