"""The gradient, and the slope along a direction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.direction import unit_direction
from funcgd.calculus.objective import objective, point
from funcgd.core.types import Params


def gradient(fun: Callable, x: Params, *args: Any) -> Params:
    """The gradient of `fun(·, *args)` at x: the vector of partial derivatives, by one backward pass.

        (∇f)ᵢ = ∂f/∂xᵢ;   for complex x: ∂f/∂Re xᵢ + i·∂f/∂Im xᵢ, the direction of ascent

    At a kink it is the subgradient that JAX chooses: 0 for relu(x) and 1 for |x| at 0, ½ for each of two equal
    arguments of `maximum` and `minimum`. It is 0 wherever a function is piecewise constant (`round`, `sign`), and not
    finite where the slope is infinite (`sqrt` at 0).

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of floating or complex arrays; None is an empty node.
        *args: what else `fun` takes, such as a batch.

    Returns:
        A tree like x.

    Raises:
        TypeError: if `fun` returns anything else, or x has a leaf of integers.
        ValueError: if x has no entry.

    Reference: Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.gradient(lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, jnp.array([1.0, 3.0])).tolist()  # (2x + y, x + 2y)
    [5.0, 7.0]
    """
    return gradient_of(objective("gradient", fun, args))(point("gradient", x))


def gradient_of(f: Callable) -> Callable:
    """x ↦ ∇f(x), with the direction of ascent for complex leaves."""
    return lambda x: jax.tree.map(jnp.conj, jax.grad(f)(x))


def directional_derivative(fun: Callable, x: Params, direction: Params, *args: Any) -> jax.Array:
    """The slope of `fun(·, *args)` at x along a direction, per unit of length, by one forward pass.

        D_p f(x) = lim_{t→0} (f(x + tp) − f(x)) / t = ∇f(x)·p,    p = direction / ‖direction‖₂

    A direction of another length is normalised, over all leaves together. The slope is largest, ‖∇f‖, along ∇f, least
    along −∇f, and 0 along a level set. Functions that have only a rule for the backward pass (`jax.custom_vjp`) have no
    forward pass: there, take `fg.tree.real_vdot(fg.gradient(fun, x), p)`.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of floating or complex arrays.
        direction: a pytree like x, not zero. Zeros that are traced, where nothing can be raised, give 0.
        *args: what else `fun` takes.

    Raises:
        TypeError: if `fun` returns anything else, or x or the direction has a leaf of integers.
        ValueError: if the direction is zero, not finite, or shaped unlike x.

    Reference: Nocedal, Wright, Numerical optimization, 2nd edition, 2006, appendix A.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.directional_derivative(lambda x: 9 * x[0] ** 2 + x[1] ** 2, jnp.ones(2), jnp.array([0.0, 5.0])))
    2.0
    """
    who = "directional_derivative"
    f, x = objective(who, fun, args), point(who, x)
    p = unit_direction(who, direction, x)
    return jax.jvp(f, (x,), (jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), p, x),))[1]
