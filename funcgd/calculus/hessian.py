"""Second derivatives: products with the Hessian, and the Hessian itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.calculus.gradient import gradient_of
from funcgd.calculus.objective import objective, point, vector_like
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.types import Params


def hessian_vector_product(fun: Callable, x: Params, v: Params, *args: Any) -> Params:
    """The Hessian of `fun(·, *args)` at x times v, without forming it: the derivative of the gradient along v.

        ∇²f(x)v = d/dt ∇f(x + tv) at t = 0

    It takes the time of about two gradients, and some twice their memory. v is not normalised; zeros give zeros. For
    complex x the product is linear over the real numbers, and symmetric under `fg.tree.real_vdot`.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of floating or complex arrays.
        v: a pytree like x.
        *args: what else `fun` takes.

    Returns:
        A tree like x.

    Raises:
        TypeError, ValueError: see `directional_derivative`.

    Reference: Pearlmutter, Fast exact multiplication by the Hessian, Neural computation 6, 1994.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hessian_vector_product(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])).tolist()
    [6.0, 2.0]
    """
    who = "hessian_vector_product"
    f, x = objective(who, fun, args), point(who, x)
    return jax.jvp(gradient_of(f), (x,), (vector_like(who, "v", v, x),))[1]


def hessian(fun: Callable, x: Params, *args: Any) -> Any:
    """The Hessian of `fun(·, *args)` at x: all second partial derivatives.

        Hᵢⱼ = ∂²f / ∂xᵢ∂xⱼ,   symmetric to the last digit

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of real floating arrays with n entries in all. The result has n².
        *args: what else `fun` takes.

    Returns:
        For an array, one of shape (*x.shape, *x.shape), so a matrix for a vector. For a pytree, a tree of trees like x:
        the block `H["w"]["b"]` has shape (*w.shape, *b.shape). In at least float32. For one matrix whatever x is, see
        `hessian_matrix`.

    Raises:
        TypeError: if `fun` returns anything else, or x has a leaf that is not real and floating.
        ValueError: if x has no entry.

    Reference: Hesse, Über die Elimination der Variabeln, Journal für die reine und angewandte Mathematik 28, 1844.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hessian(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0])).tolist()
    [[6.0, 2.0], [2.0, 0.0]]
    >>> H = fg.hessian(lambda p: jnp.sum(p["w"]) * p["b"], {"w": jnp.ones(3), "b": 2.0})
    >>> H["w"]["b"].tolist()
    [1.0, 1.0, 1.0]
    """
    f, x = objective("hessian", fun, args), point("hessian", x, real=True)
    leaves, structure = jax.tree.flatten(x)
    ends = np.cumsum([0, *(leaf.size for leaf in leaves)])
    parts = list(zip(leaves, ends[:-1], ends[1:], strict=True))
    matrix = _matrix(f, x)

    def row(leaf: jax.Array, a: int, b: int) -> Any:
        return structure.unflatten([matrix[a:b, c:d].reshape(leaf.shape + other.shape) for other, c, d in parts])

    return structure.unflatten([row(*part) for part in parts])


def hessian_matrix(fun: Callable, x: Params, *args: Any) -> jax.Array:
    """The Hessian of `fun(·, *args)` at x as one matrix, over all entries of the pytree x.

        Hᵢⱼ = ∂²f / ∂xᵢ∂xⱼ,   symmetric to the last digit, from n products

    Args:
        fun, *args: see `hessian`.
        x: the point, a pytree of floating or complex arrays.

    Returns:
        (n, n), in at least float32. Leaves follow each other in the order of `jax.tree.leaves`, each row by row; a
        complex leaf stands as its real parts, then its imaginary parts.

    Raises:
        TypeError, ValueError: see `hessian`.

    Reference: see `hessian`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hessian_matrix(lambda p: p["a"] * jnp.sum(p["b"]), {"a": 1.0, "b": jnp.ones(2)}).tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    return _matrix(objective("hessian_matrix", fun, args), point("hessian_matrix", x))


def hessian_operator(f: Callable, x: Params) -> Callable[[Any], Any]:
    """v ↦ ∇²f(x)v, where f returns its value alone: linearised once, so that products evaluate nothing again."""
    return jax.linearize(gradient_of(f), x)[1]


def _matrix(f: Callable, x: Params) -> jax.Array:
    product, v = hessian_operator(f, x), to_vector(x)
    rows = jax.vmap(lambda row: to_vector(product(from_vector(row, x))))(jnp.eye(v.size, dtype=v.dtype))
    return (rows + rows.T) / 2
