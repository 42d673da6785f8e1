"""Projections onto the simplex, and by it onto the ball and sphere of the sum of absolute values."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.projections.wide import modulus, radius, ravel, times, widened


def projection_simplex(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point without negative entries whose sum, over all leaves together, is `scale`.

        P(x)ᵢ = max(xᵢ − τ, 0), with τ such that the sum is s

    τ is found exactly, by sorting: O(n log n). Where x varies, the derivative is that for a fixed support.

    Args:
        tree: x, real.
        scale: s ≥ 0, [param].

    Raises:
        TypeError: if x is complex.
        ValueError: if the scale is known to be negative.

    Reference: Held, Wolfe, Crowder, Validation of subgradient optimization, Math. programming 6, 1974; Duchi,
    Shalev-Shwartz, Singer, Chandra, Efficient projections onto the l1-ball for learning in high dimensions, ICML 2008.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_simplex(jnp.array([0.5, 1.0, -3.0])).tolist()
    [0.25, 0.75, 0.0]
    """
    scale = radius("projection_simplex", "scale", scale)
    widened("projection_simplex", tree, real=True)
    x, back = ravel(tree)
    return back(_simplex(x, scale))


def projection_l1_sphere(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose absolute values, over all leaves together, have the sum `scale`.

        P(x)ᵢ = sign(xᵢ) Q(|x|)ᵢ, where Q projects onto the simplex

    Entries that are 0 count as positive, so a point inside is moved to the sphere, too.

    Args:
        tree: x, real or complex (then sign(x) = x/|x|).
        scale: s ≥ 0, [param].

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: Duchi, Shalev-Shwartz, Singer, Chandra, Efficient projections onto the l1-ball for learning in high
    dimensions, ICML 2008.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_l1_sphere(jnp.array([0.25, -0.5])).tolist()
    [0.375, -0.625]
    """
    scale = radius("projection_l1_sphere", "scale", scale)
    widened("projection_l1_sphere", tree)
    x, back = ravel(tree)
    return back(_l1_sphere(x, scale))


def projection_l1_ball(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose absolute values, over all leaves together, have a sum of at most `scale`.

    Args:
        tree: x, real or complex.
        scale: s ≥ 0, [param].

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: that of `projection_l1_sphere`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_l1_ball(jnp.array([3.0, -0.5]), 2.0).tolist()
    [2.0, 0.0]
    """
    scale = radius("projection_l1_ball", "scale", scale)
    widened("projection_l1_ball", tree)
    x, back = ravel(tree)
    inside = jnp.sum(modulus(x)) <= scale
    return back(jnp.where(inside, x, _l1_sphere(x, scale)))


def _l1_sphere(x: jax.Array, scale: Any) -> jax.Array:
    size = modulus(x)
    zero = x == 0
    sign = jnp.where(zero, jnp.ones_like(x), times(x, 1 / jnp.where(zero, 1, size)))
    return times(sign, _simplex(size, scale))


@functools.partial(jax.jit, inline=True)  # called without jit, it compiles once for each shape
def _simplex(x: jax.Array, scale: Any) -> jax.Array:
    if not x.size:
        return x
    s = jnp.asarray(scale, x.dtype)
    # The set is that of x plus a constant: with the largest entry at 0, sums lose no digits to it.
    x = x - jax.lax.stop_gradient(jnp.max(x))
    down = -jnp.sort(-jax.lax.stop_gradient(x))
    excess = jnp.cumsum(down) - jax.lax.stop_gradient(s)
    rank = jnp.arange(1, x.size + 1, dtype=x.dtype)
    support = jnp.maximum(jnp.sum(rank * down > excess), 1)  # the entries of the solution that are positive
    mask = jax.lax.stop_gradient(x) >= down[support - 1]
    # Once more from the entries themselves: exact for ties, and differentiable without sorting.
    tau = (jnp.sum(jnp.where(mask, x, 0)) - s) / jnp.sum(mask, dtype=x.dtype)
    return jnp.maximum(x - tau, 0)
