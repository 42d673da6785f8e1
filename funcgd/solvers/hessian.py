"""Second derivatives of the function that is minimised: products with the Hessian, and the Hessian as a matrix."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.hessian import hessian_matrix as all_products
from funcgd.calculus.hessian import hessian_operator
from funcgd.core import numerics
from funcgd.core.types import Params


def hessian_product(fun: Callable, x: Params, args: tuple) -> Callable[[Any], Any]:
    """v ↦ ∇²f(x)v on trees like x, in at least float32.

    The gradient is linearised once, so that a product costs about as much as a gradient and evaluates nothing again.
    For complex x the map is linear over the real numbers, and symmetric under `tree.real_vdot`.
    """
    product = hessian_operator(lambda x: fun(x, args)[0], x)

    def wide(v: Any) -> Any:
        return jax.tree.map(numerics.widen, product(jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), v, x)))

    return wide


def hessian_matrix(fun: Callable, x: Params, args: tuple) -> jax.Array:
    """∇²f(x) as an (n, n) matrix in the coordinates of `to_vector`, from n products; zeros where it is not finite."""
    matrix = all_products(fun, x, args)
    return jnp.where(jnp.all(jnp.isfinite(matrix)), matrix, 0)


def cholesky(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(L, whether LLᵀ is the matrix and can be relied on).

    It is not where a pivot is negative, or so small against its entry of the diagonal that it is rounding. That
    comparison does not change with the units of the coordinates.
    """
    lower = jnp.linalg.cholesky(matrix)
    n, eps = matrix.shape[0], float(jnp.finfo(matrix.dtype).eps)
    diagonal, pivots = jnp.diagonal(matrix), jnp.diagonal(lower) ** 2
    definite = jnp.all(pivots > n * eps * diagonal) & jnp.all(diagonal > 0) & jnp.all(jnp.isfinite(lower))
    return lower, definite


def cholesky_solve(lower: jax.Array, b: jax.Array) -> jax.Array:
    """The x with LLᵀx = b."""
    return jax.scipy.linalg.cho_solve((lower, True), b)


@numerics.full_precision
def absolute_solve(matrix: jax.Array, b: jax.Array) -> jax.Array:
    """The x with |A|x = b, where |A| has the absolute eigenvalues of the symmetric A, none of them nearly 0.

    Rows and columns are first brought to one scale, A = DSD, and |A| is D|S|D; so coordinates in small units count as
    much as others. Eigenvalues of S below √ε of the largest are raised to that; where A = 0, |A| is the identity.

    Reference: Greenstadt, On the relative efficiencies of gradient methods, Mathematics of computation 21, 1967.
    """
    eps = float(jnp.finfo(matrix.dtype).eps)
    rows = jnp.max(jnp.abs(matrix), 1)
    largest = jnp.max(rows)
    d = jnp.sqrt(jnp.where(rows > eps * eps * largest, rows, jnp.where(largest > 0, largest, 1)))
    values, vectors = jnp.linalg.eigh(matrix / d[:, None] / d)
    values = jnp.abs(values)
    top = jnp.max(values)
    values = jnp.maximum(values, jnp.where(top > 0, eps**0.5 * top, 1))
    return vectors @ ((vectors.T @ (b / d)) / values) / d
