"""Newton's method, with a dense Hessian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.hessian import absolute_solve, cholesky, cholesky_solve, hessian_matrix
from funcgd.solvers.line_search_method import LineSearchMethod


@value
class Newton(LineSearchMethod):
    """To the minimum of the second-order Taylor polynomial, or as far towards it as a search goes.

        x_{k+1} = x_k − α_k |H|⁻¹ ∇f(x_k),    H = ∇²f(x_k)

    |H| is H where that is positive definite, by Cholesky's decomposition. Else it has the absolute values of the
    eigenvalues of H, raised to √ε of the largest where they are nearly 0 (Greenstadt), after scaling rows and columns
    alike; so saddle points are left at the speed of Newton's method and flat directions do no harm. Where H = 0 or not
    finite, |H| is the identity. It stops at every point with ∇f = 0, also at a saddle that it is started on.

    Order 2 near a minimum with positive definite Hessian; a convex quadratic takes one step.

    Args:
        search: how α is found; α = 1 is tried first.

    Cost: one evaluation for each trial, mostly one for each step. Each step adds a gradient and n products with H, each
    about as much as a gradient, and n³/3 operations; some ten n³ where H is not positive definite. `evaluations` of the
    result does not count these. Under `vmap` every trial of every member pays for all of it. Memory: a few n², and n
    times that of a product. It has no parameter with a unit, and the iterates do not depend on the units of f. A
    complex number counts as two real ones.

    Reference: Nocedal, Wright, Numerical optimization, 2006, section 3.4; Greenstadt, On the relative efficiencies of
    gradient methods, Mathematics of computation 21, 1967.

    >>> import funcgd as fg
    >>> bowl = fg.problems.booth()
    >>> stop = fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(bowl.fun, [-5.0, -5.0], fg.Newton(), max_steps=9, stop=stop)
    >>> [round(float(x), 3) for x in run.params], int(run.steps)
    ([1.0, 3.0], 1)
    """

    search: LineSearch = StrongWolfe()

    def descend(self, fun: Callable, args: tuple, memory: Any, x: Params, grads: Params) -> Params:
        del memory
        g, h = to_vector(grads), hessian_matrix(fun, x, args)
        lower, definite = cholesky(h)
        p = jax.lax.cond(definite, lambda: cholesky_solve(lower, g), lambda: absolute_solve(h, g))
        return from_vector(jnp.where(jnp.all(jnp.isfinite(p)), -p, -g), x)
