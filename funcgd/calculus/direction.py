"""Directions: vectors of length 1."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.calculus.objective import is_known, vector_like
from funcgd.core import numerics
from funcgd.core.types import Params


def normalized(v: Any) -> Any:
    """v / ‖v‖ in at least float32, the norm over all leaves together; zeros where v is zero."""
    scale, r = numerics.split_norm(jax.tree.leaves(v))
    divisor = jnp.where(r == 0, jnp.inf, r)  # so that the derivative there is 0, too

    def leaf(a: jax.Array) -> jax.Array:
        a = numerics.widen(a)
        return a * jnp.asarray(1 / scale, a.dtype) / jnp.asarray(divisor, a.dtype)

    return jax.tree.map(leaf, v)


def unit_direction(who: str, direction: Any, x: Params) -> Any:
    """`direction` with length 1, a tree like x in at least float32; zeros where it is zero and traced.

    Raises:
        ValueError: if it is known and zero or not finite, or shaped unlike x.
        TypeError: if a leaf is not floating, or complex where that of x is real.
    """
    direction = vector_like(who, "direction", direction, x)
    if is_known(direction):
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(direction)]
        if not all(np.all(np.isfinite(leaf)) for leaf in leaves):
            raise ValueError(f"{who}: `direction` must be finite, got {_entries(leaves)}.")
        if not any(np.any(leaf != 0) for leaf in leaves):
            raise ValueError(f"{who}: `direction` must not be zero, got {_entries(leaves)}.")
    return normalized(direction)


def _entries(leaves: list[np.ndarray]) -> str:
    entries = np.concatenate([leaf.ravel().astype(complex if np.iscomplexobj(leaf) else float) for leaf in leaves])
    return "the entries " + ", ".join(map(str, entries[:4])) + ", …" * (entries.size > 4)
