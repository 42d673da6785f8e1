"""Projections onto boxes: every entry by itself."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from funcgd.projections.wide import is_concrete, narrowed, prefixed, radius, widened


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    """The nearest point within bounds.

        P(x)ᵢ = min(max(xᵢ, lᵢ), uᵢ)

    Args:
        tree: x, real.
        lower: l, [param]: a number or array for all leaves, or a pytree of them that is a prefix of x; −∞ is no bound.
        upper: u, likewise; ∞ is no bound.

    Raises:
        ValueError: if a known lower bound exceeds the upper one or is NaN, or a bound does not fit x.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.2.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_box(jnp.array([-1.0, 0.5, 3.0]), 0.0, jnp.array([1.0, 1.0, 2.0])).tolist()
    [0.0, 0.5, 2.0]
    """
    who = "projection_box"

    def fits(shape: tuple, whole: tuple) -> bool:
        pairs = zip(reversed(shape), reversed(whole), strict=False)
        return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)

    def clip(x: Any, low: Any, high: Any) -> Any:
        for name, bound in (("lower", low), ("upper", high)):
            if not fits(np.shape(bound), x.shape):
                raise ValueError(f"{who}: `{name}` must fit shape {x.shape}, got shape {np.shape(bound)}.")
        if is_concrete(low, high) and not np.all(np.asarray(low) <= np.asarray(high)):
            raise ValueError(f"{who}: `lower` must be at most `upper`, got lower={low} and upper={high}.")
        return jnp.minimum(jnp.maximum(x, jnp.asarray(low, x.dtype)), jnp.asarray(high, x.dtype))

    return narrowed(prefixed(who, "lower and upper", clip, widened(who, tree, real=True), lower, upper), tree)


def projection_hypercube(tree: Any, scale: Any = 1.0) -> Any:
    """The nearest point whose entries are all within [0, scale].

    Args:
        tree: x, real.
        scale: the side of the cube, [param]: as `upper` of `projection_box`.

    Raises:
        ValueError: if the scale is known to be negative.

    Reference: that of `projection_box`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_hypercube(jnp.array([-1.0, 0.5, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return projection_box(tree, 0.0, radius("projection_hypercube", "scale", scale) if not np.ndim(scale) else scale)


def projection_non_negative(tree: Any) -> Any:
    """The nearest point without negative entries: max(x, 0).

    Reference: that of `projection_box`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_non_negative(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return projection_box(tree, 0.0, float("inf"))
