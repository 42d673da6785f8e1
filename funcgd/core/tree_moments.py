"""Running moments of a tree, for people who write their own rules."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.lift import lift
from funcgd.core.tree_entries import cast_like


def update_moment(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    """βm + (1 − β)gⁿ, leaf by leaf, in the dtypes of the moments.

    Args:
        updates: a tree of g.
        moments: a tree of m like it.
        decay: β in [0, 1).
        order: n ≥ 1. For complex g and n = 2 see `update_moment_per_elem_norm`.

    >>> from funcgd import tree
    >>> float(tree.update_moment({"w": 3.0}, {"w": 1.0}, 0.5, order=2)["w"])
    5.0
    """
    return _renewed(lambda h, g, m: numerics.ema(m, g**order, h.decay), updates, moments, decay)


def update_moment_per_elem_norm(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    """βm + (1 − β)|g|ⁿ, leaf by leaf: real for complex g, too.

    >>> from funcgd import tree
    >>> float(tree.update_moment_per_elem_norm({"w": 3.0 + 4.0j}, {"w": 1.0}, 0.5, order=2)["w"])
    13.0
    """

    def rule(h: Any, g: jax.Array, m: jax.Array) -> jax.Array:
        power = numerics.square(g) ** (order // 2) if order % 2 == 0 else jnp.abs(g) ** order
        return numerics.ema(m, power, h.decay)

    return _renewed(rule, updates, moments, decay)


def update_infinity_moment(updates: Any, moments: Any, decay: Any, eps: Any) -> Any:
    """max(βm, |g| + ε), leaf by leaf: the running norm of order ∞ that Adamax divides by.

    >>> from funcgd import tree
    >>> float(tree.update_infinity_moment({"w": -3.0}, {"w": 8.0}, 0.5, eps=0.0)["w"])
    4.0
    """
    return _renewed(lambda h, g, m: jnp.maximum(h.decay * m, jnp.abs(g) + h.eps), updates, moments, decay, eps=eps)


def bias_correction(moment: Any, decay: Any, count: Any) -> Any:
    """m / (1 − βᵗ): the moment after t updates from 0, without the weight of that 0; in the dtypes of m.

    The divisor keeps all its digits for β near 1. At t = 0 there is nothing to correct, and the result is 0.

    >>> from funcgd import tree
    >>> float(tree.bias_correction({"w": 0.25}, 0.5, 1)["w"])
    0.5
    """
    h = SimpleNamespace(weight=numerics.bias_correction(decay, count))
    return cast_like(lift(lambda h, m: numerics.divide(m, h.weight), h, moment), moment)


def _renewed(rule: Any, updates: Any, moments: Any, decay: Any, **numbers: Any) -> Any:
    def with_update(h: Any, g: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
        return g, rule(h, g, m)

    return lift(with_update, SimpleNamespace(decay=decay, **numbers), updates, moments)[1]
