"""The derivative of minimize by the implicit function theorem: from what holds at a solution, not the way there."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.sparse import linalg

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.stop import Result
from funcgd.core.types import Params
from funcgd.training.minimize_loop import Task, run

DENSE = 64  # up to so many numbers in x the matrix is formed: an SVD of that size takes a millisecond
UNSOLVED = 1e-3  # a relative residual above it makes the derivative NaN


@functools.partial(jax.jit, static_argnames="recorded")
def run_implicit(task: Task, x0: Params, recorded: int | None) -> Result:
    """`run`, differentiable with respect to `task.args`, the method's numbers and what `fun` closes over.

        F(x*, θ) = 0   ⇒   dx*/dθ = −(∂F/∂x)⁻¹ ∂F/∂θ

    F is ∇f, or what the method has for it: `optimality(fun, x, args)`, a tree like x that is zero at its solutions,
    such as x − P(x − ∇f(x)) with bounds. The system is solved for one right-hand side at a time, in reverse mode for
    each cotangent: by the pseudo-inverse where x is small, else by conjugate gradients (∂F/∂x is symmetric), or by
    GMRES where the method has its own F. Where no solution is found the derivative is NaN: so in reverse mode for what
    differs between many solutions. The point is not improved first: the error of the derivative is that of x*, times
    how fast ∂F changes.

    Reference: Griewank, Walther, Evaluating derivatives, 2nd edition, 2008, chapter 15; Blondel et al., Efficient and
    modular implicit differentiation, NeurIPS 2022.
    """
    found = jax.lax.stop_gradient(run(*jax.lax.stop_gradient((task, x0)), recorded))
    own = getattr(task.method, "optimality", None)

    def gradient(z: jax.Array) -> jax.Array:
        return jax.grad(lambda z: task.f(from_vector(z, x0), task.args)[0])(z)

    def residual(z: jax.Array) -> jax.Array:
        return to_vector(own(task.function, from_vector(z, x0), task.args))  # pyright: ignore[reportOptionalCall]

    # In real coordinates, where the Hessian is symmetric for complex parameters, too.
    conditions, symmetric = (gradient, True) if own is None else (residual, False)
    tangent_solve = functools.partial(_solve_transposable, symmetric)
    z = jax.lax.custom_root(conditions, to_vector(found.params), lambda _, z: z, tangent_solve)
    x = from_vector(z, x0)
    at_x = task.step(x, task.init(x))[2]
    return found._replace(
        params=x,
        best=jax.tree.map(_with_derivative_of, found.best, x),
        value=_with_derivative_of(found.value, at_x.value),
        aux=at_x.aux,
    )


@jax.custom_jvp
def _with_derivative_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """x, which varies as y does."""
    del y
    return x


@_with_derivative_of.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return primals[0], tangents[1]


def _solve_transposable(symmetric: bool, matvec: Callable, b: jax.Array) -> jax.Array:
    solve = functools.partial(_solve, symmetric)
    return jax.lax.custom_linear_solve(matvec, b, solve, solve, symmetric=symmetric)


def _solve(symmetric: bool, matvec: Callable, b: jax.Array) -> jax.Array:
    """u with Au = b, of least norm where there are many; NaN where none was found."""
    n, eps = b.size, float(jnp.finfo(b.dtype).eps)
    if n <= DENSE:
        matrix = jax.vmap(matvec, out_axes=1)(jnp.eye(n, dtype=b.dtype))
        u = jnp.linalg.lstsq(matrix, b)[0]
    elif symmetric:
        u, _ = linalg.cg(matvec, b, tol=eps**0.75, maxiter=10 * n)
    else:
        u, _ = linalg.gmres(matvec, b, tol=eps**0.75, restart=DENSE, maxiter=10 * n // DENSE + 1)
    solved = jnp.linalg.norm(matvec(u) - b) <= UNSOLVED * jnp.linalg.norm(b)
    return jnp.where(solved, u, jnp.nan)
