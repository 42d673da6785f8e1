"""Projections onto what one linear equation or inequality describes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree as trees
from funcgd.core.fields import Interval, as_scalar
from funcgd.core.validate import check_leaves, check_like
from funcgd.projections.wide import is_concrete, narrowed, times, widened


def projection_hyperplane(x: Any, a: Any, b: Any) -> Any:
    """The nearest point with ⟨a, x⟩ = b.

        P(x) = x − a (⟨a, x⟩ − b)/‖a‖²

    Args:
        x: real or complex; the inner product is the real one, Re Σ ā x, over all leaves.
        a: the normal, like x, not 0; [b]/[param].
        b: a number.

    Raises:
        ValueError: if `a` is not like x, or known to be 0.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.2.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_hyperplane(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0]), 1.0).tolist()
    [0.0, 1.0]
    """
    x_wide, unit, excess = _excess("projection_hyperplane", x, a, b)
    return narrowed(_subtract(x_wide, excess, unit), x)


def projection_halfspace(x: Any, a: Any, b: Any) -> Any:
    """The nearest point with ⟨a, x⟩ ≤ b.

        P(x) = x − a max(⟨a, x⟩ − b, 0)/‖a‖²

    Arguments and errors are those of `projection_hyperplane`.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.2.3.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_halfspace(jnp.array([1.0, -2.0]), jnp.array([1.0, 1.0]), 1.0).tolist()
    [1.0, -2.0]
    """
    x_wide, unit, excess = _excess("projection_halfspace", x, a, b)
    return narrowed(_subtract(x_wide, jnp.maximum(excess, 0), unit), x)


def projection_vector(x: Any, a: Any) -> Any:
    """The nearest point on the line through 0 and a: a ⟨a, x⟩/‖a‖².

    Arguments and errors are those of `projection_hyperplane`.

    Reference: that of `projection_hyperplane`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.projection_vector(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])).tolist()
    [1.0, 0.0]
    """
    x_wide, unit, along = _excess("projection_vector", x, a, 0.0)
    return narrowed(_subtract(trees.zeros_like(x_wide), -along, unit), x)


def _excess(who: str, x: Any, a: Any, b: Any) -> tuple[Any, Any, jax.Array]:
    """x, the unit normal n = a/‖a‖, and how far x is beyond the plane: ⟨n, x⟩ − b/‖a‖."""
    check_leaves(who, "x", x)
    check_like(who, "a", a, "like `x`", x)
    x, a = widened(who, x), widened(who, a)
    length = trees.norm(a)
    if is_concrete(length) and not np.all(np.asarray(length) > 0):
        raise ValueError(f"{who}: `a` must not be 0, got a normal of length {float(length)}.")
    b = as_scalar(who, "b", b, Interval("[-inf, inf]"), False)
    unit = jax.tree.map(lambda leaf: times(leaf, 1 / length), a)
    along = trees.real_vdot(unit, x)
    return x, unit, along - jnp.asarray(b, along.dtype) / jnp.asarray(length, along.dtype)


def _subtract(x: Any, distance: jax.Array, unit: Any) -> Any:
    return jax.tree.map(lambda p, n: p - times(n, distance), x, unit)
