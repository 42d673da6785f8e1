"""Projections onto balls and spheres of the Euclidean and the maximum norm."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core import tree as trees
from funcgd.projections.wide import modulus, narrowed, radius, times, widened


def projection_l2_ball(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose Euclidean norm, over all leaves together, is at most `scale`.

        P(x) = x min(1, r/‖x‖₂)

    Args:
        tree: x, real or complex.
        scale: r ≥ 0, [param].

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.5.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_l2_ball({"a": jnp.array([3.0]), "b": jnp.array(4.0)})["a"].tolist()
    [0.6]
    """
    scale = radius("projection_l2_ball", "scale", scale)
    x = widened("projection_l2_ball", tree)
    return narrowed(trees.where(trees.norm(x) > scale, _on_sphere(x, scale), x), tree)


def projection_l2_sphere(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose Euclidean norm, over all leaves together, is `scale`.

        P(x) = r x/‖x‖₂

    At x = 0, where all points are as near, it is the one whose entries are equal.

    Args:
        tree: x, real or complex.
        scale: r ≥ 0, [param].

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: that of `projection_l2_ball`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_l2_sphere(jnp.array([0.3, 0.4]), 5.0).tolist()
    [3.0, 4.0]
    """
    scale = radius("projection_l2_sphere", "scale", scale)
    x = widened("projection_l2_sphere", tree)
    zero = trees.norm(x) == 0
    return narrowed(_on_sphere(trees.where(zero, trees.ones_like(x), x), scale), tree)


def projection_linf_ball(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose entries are all at most `scale` in absolute value.

    Args:
        tree: x, real or complex.
        scale: r ≥ 0, [param].

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.2.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_linf_ball(jnp.array([-2.0, 0.5])).tolist()
    [-1.0, 0.5]
    """
    scale = radius("projection_linf_ball", "scale", scale)

    def clip(x: jax.Array) -> jax.Array:
        r = jnp.asarray(scale, x.real.dtype)
        if not jnp.iscomplexobj(x):
            return jnp.clip(x, -r, r)
        size = modulus(x)
        return jnp.where(size > r, times(x, r / jnp.where(size > r, size, 1)), x)

    return narrowed(jax.tree.map(clip, widened("projection_linf_ball", tree)), tree)


def _on_sphere(x: Any, scale: Any) -> Any:
    """r x/‖x‖, and 0 for 0. The norm comes in two factors, each divided by in turn, so that none overflows."""
    factor, r = numerics.split_norm(jax.tree.leaves(x))

    def shrink(a: jax.Array) -> jax.Array:
        return times(times(times(a, 1 / factor), 1 / jnp.where(r == 0, 1, r)), scale)

    return jax.tree.map(shrink, x)
