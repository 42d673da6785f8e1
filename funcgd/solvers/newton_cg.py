"""Newton's method without a matrix: conjugate gradients on products with the Hessian."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_optional_count, static
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.hessian import hessian_product
from funcgd.solvers.line_search_method import LineSearchMethod, Step
from funcgd.solvers.truncated_cg import forcing, truncated_cg


@value
class NewtonCG(LineSearchMethod):
    """Newton's method that solves its linear equations by conjugate gradients, only as well as is worth it.

        ‖∇²f(x_k)p + ∇f(x_k)‖ ≤ η_k ‖∇f(x_k)‖,    η_k = min(½, √(‖∇f(x_k)‖/‖∇f(x₀)‖))

    Conjugate gradients end early where a direction has no positive curvature: with the step so far, or with
    −∇f·‖∇f‖²/|∇fᵀ∇²f∇f| at the beginning (−∇f where that curvature is 0). So p always leads downhill. Dividing by
    ‖∇f(x₀)‖, where Nocedal and Wright do not, makes the iterates independent of the units of f.

    Order 1.5 near a minimum with positive definite Hessian.

    Args:
        search: how α is found; α = 1 is tried first.
        max_products: at most so many products with the Hessian in a step; None for 2n, n the number of coordinates.

    Cost: one evaluation for each trial, mostly one for each step. Each step adds a gradient and up to `max_products`
    products, each about as much as a gradient, which `evaluations` of the result does not count; few far from the
    minimum. Under `vmap` every trial of every member pays for them. Memory: some ten times that of x, and what the
    linearised gradient keeps: no matrix. No parameter has a unit. It cannot be unrolled for derivatives.

    Reference: Dembo, Steihaug, Truncated-Newton algorithms for large-scale unconstrained optimization, Math.
    programming 26, 1983; Nocedal, Wright, Numerical optimization, 2006, algorithm 7.1.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.NewtonCG(), max_steps=100, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    search: LineSearch = StrongWolfe()
    max_products: int | None = static(default=None, convert=as_optional_count)

    def remember(self, x: Params, grads: Params) -> jax.Array:
        """‖∇f(x₀)‖."""
        del x
        return jnp.zeros_like(jax.eval_shape(tree.norm, grads))

    def learn(self, memory: jax.Array, step: Step) -> jax.Array:
        return jnp.where(step.first, tree.norm(step.grads), memory)

    def forget(self, memory: jax.Array, when: jax.Array, x: Params, grads: Params) -> jax.Array:
        del when, x, grads
        return memory

    def descend(self, fun: Callable, args: tuple, memory: jax.Array, x: Params, grads: Params) -> Params:
        tolerance = forcing(tree.norm(grads), memory)
        p = truncated_cg(hessian_product(fun, x, args), grads, tolerance, None, self.max_products).p
        usable = jnp.isfinite(tree.norm(p))
        return jax.tree.map(lambda a, g: jnp.where(usable, jnp.asarray(a, g.dtype), -g), p, grads)
