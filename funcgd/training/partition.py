"""The parameters split: inexact arrays train, everything else is carried."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.types import Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import Held


def pack(who: str, what: str, params: Params) -> Params:
    """`params` with arrays on the device and everything else held statically, so that they pass through `jit`.

    Raises:
        TypeError: if a plain container holds a Python float, or if no leaf is a floating array.
    """

    def settle(path: tuple, x: Any) -> Any:
        if isinstance(x, (np.ndarray, np.generic)):
            return jnp.asarray(x)  # float64 becomes float32 unless 64-bit types are enabled, as everywhere in JAX
        if isinstance(x, float) and all(not isinstance(key, jax.tree_util.GetAttrKey) for key in path):
            raise TypeError(
                f"{who}: `{what}{jax.tree_util.keystr(path)}` is a Python float; only arrays are trained: "
                f"write jnp.asarray({x!r})."
            )
        return x if isinstance(x, jax.Array) else Held(x)

    packed = jax.tree_util.tree_map_with_path(settle, params)
    if not any(map(is_inexact, jax.tree.leaves(packed))):
        raise TypeError(f"{who}: `{what}` has no floating array in it, so there is nothing to train.")
    return packed


def unpack(params: Params) -> Params:
    """The inverse of `pack`."""
    return jax.tree.map(lambda x: x.item if isinstance(x, Held) else x, params, is_leaf=lambda x: isinstance(x, Held))


def split(params: Params) -> tuple[Params, Params]:
    """(what trains, what is carried), each with None in the places of the other."""
    trained = jax.tree.map(lambda x: x if is_inexact(x) else None, params)
    carried = jax.tree.map(lambda x: None if is_inexact(x) else x, params)
    return trained, carried


def merge(trained: Params, carried: Params) -> Params:
    """The inverse of `split`."""
    return jax.tree.map(lambda a, b: b if a is None else a, trained, carried, is_leaf=lambda x: x is None)
