"""Level sets: the directions in which a function does not change to first order."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.direction import normalized
from funcgd.calculus.gradient import gradient_of
from funcgd.calculus.objective import objective, point, vector_like
from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.types import Params


def level_set_tangent(fun: Callable, x: Params, *args: Any) -> Params:
    """The tangent of length 1 to the level curve of `fun(·, *args)` through a point x of the plane.

        t = (−∂f/∂x₂, ∂f/∂x₁) / ‖∇f‖₂,   so that t·∇f = 0

    It is the gradient turned to the left: higher values lie on its right. Where ∇f = 0 there is no tangent, and the
    answer is 0. For more than two dimensions see `tangent_projection`.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point: two real floating entries, in an array or a pytree.
        *args: what else `fun` takes.

    Returns:
        A tree like x.

    Raises:
        TypeError: if `fun` returns anything else, or x has a leaf that is not real and floating.
        ValueError: if x has not two entries.

    Reference: Courant, John, Introduction to calculus and analysis, volume 2, 1989, section 3.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.level_set_tangent(lambda x: jnp.sum(x**2), jnp.array([3.0, 0.0])).tolist()
    [-0.0, 1.0]
    """
    who = "level_set_tangent"
    f, x = objective(who, fun, args), point(who, x, real=True)
    if tree.size(x) != 2:
        raise ValueError(f"{who}: `x` must have two entries, got {tree.size(x)}; see tangent_projection.")
    n = normalized(to_vector(gradient_of(f)(x)))
    return from_vector(jnp.stack([-n[1], n[0]]), x)


def tangent_projection(fun: Callable, x: Params, v: Params, *args: Any) -> Params:
    """The part of v that is tangent to the level set of `fun(·, *args)` through x.

        v − (n·v) n,    n = ∇f / ‖∇f‖₂

    The slope of f along it is 0. Where ∇f = 0 every direction is level to first order, and the answer is v.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of floating or complex arrays.
        v: a pytree like x; not normalised.
        *args: what else `fun` takes.

    Returns:
        A tree like x.

    Raises:
        TypeError, ValueError: see `directional_derivative`; v may be zero.

    Reference: Nocedal, Wright, Numerical optimization, 2nd edition, 2006, section 12.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.tangent_projection(lambda x: jnp.sum(x**2), jnp.array([0.0, 2.0, 0.0]), jnp.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.0, 3.0]
    """
    who = "tangent_projection"
    f, x = objective(who, fun, args), point(who, x)
    v, n = vector_like(who, "v", v, x), normalized(gradient_of(f)(x))
    across = tree.real_vdot(n, v)
    return jax.tree.map(lambda a, b: jnp.asarray(a - jnp.asarray(across, b.dtype) * b, a.dtype), v, n)
