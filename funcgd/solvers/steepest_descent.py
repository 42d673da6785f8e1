"""Steepest descent: against the gradient, as far as a search goes."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.search import LineSearch
from funcgd.solvers.first_steps import same_change
from funcgd.solvers.line_search_method import LineSearchMethod, Step


@value
class SteepestDescent(LineSearchMethod):
    """Gradient descent whose steps are found by a line search.

        x_{k+1} = x_k − α_k ∇f(x_k)

    Order 1: near a minimum with condition number κ, an exact search contracts f − f* by ((κ−1)/(κ+1))² at worst.

    Args:
        search: how α is found.

    The first α is min(1, 1/‖∇f‖); later ones are such that the first-order change αφ′(0) is that of the step before.

    Cost: one evaluation for each trial, some one to two for each step. Memory: three times that of x. It has no
    parameter with a unit.

    Reference: Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, C. R. Acad. Sci. 25,
    1847; Nocedal, Wright, Numerical optimization, 2006, section 3.5 for the first α.

    >>> import funcgd as fg
    >>> stop = fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(lambda x: (x - 3) ** 2, 0.0, fg.SteepestDescent(), max_steps=50, stop=stop)
    >>> round(float(run.params), 3), run.reason.name
    (3.0, 'GRADIENT_NORM')
    """

    search: LineSearch = Backtracking()

    def direction(self, memory: Any, x: Params, grads: Params) -> Params:
        del memory, x
        return jax.tree.map(jnp.negative, grads)

    def first_step(self, memory: Any, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory
        return same_change(direction, slope, step, first)
