"""The parameters split: inexact arrays that are not frozen train, everything else is carried."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.types import Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import Held


@jax.tree_util.register_pytree_with_keys_class
class Frozen:
    """A pytree node around an array that does not train; made by `freeze`."""

    def __init__(self, array: Any):
        self.array = array

    def tree_flatten_with_keys(self) -> tuple[tuple, None]:
        return ((jax.tree_util.GetAttrKey("array"), self.array),), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple) -> "Frozen":
        return cls(*children)

    def __repr__(self) -> str:
        return f"Frozen({self.array!r})"


def is_frozen(x: Any) -> bool:
    """Whether x is a frozen array."""
    return isinstance(x, Frozen)


def thaw(params: Params) -> Params:
    """`params` with frozen arrays as plain ones."""
    return jax.tree.map(lambda x: x.array if is_frozen(x) else x, params, is_leaf=is_frozen)


def refreeze(params: Params, like: Params) -> Params:
    """`params` with those arrays frozen that are so in `like`; what is frozen in it already stays so."""

    def frozen(old: Any, x: Any) -> Any:
        return Frozen(x) if is_frozen(old) and not is_frozen(x) else x

    any_frozen = any(map(is_frozen, jax.tree.leaves(like, is_leaf=is_frozen)))
    return jax.tree.map(frozen, like, params, is_leaf=is_frozen) if any_frozen else params


def pack(who: str, what: str, params: Params) -> Params:
    """`params` with arrays on the device and everything else held statically, so that they pass through `jit`.

    Raises:
        TypeError: if a plain container holds a Python float, or if no leaf is a floating array that trains.
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

    leaves = jax.tree.leaves(params, is_leaf=is_frozen)
    if leaves and all(isinstance(x, jax.Array) and is_inexact(x) for x in leaves):
        return params  # at once, as most are
    packed = jax.tree_util.tree_map_with_path(settle, params)
    if not jax.tree.leaves(split(packed)[0]):
        unfrozen = " that is not frozen" if any(map(is_inexact, jax.tree.leaves(packed))) else ""
        integers = any(isinstance(x, jax.Array) for x in jax.tree.leaves(packed)) and not unfrozen
        hint = " Integers do not train: write 0.0 in place of 0." if integers else ""
        raise TypeError(f"{who}: `{what}` has no floating array in it{unfrozen}, so there is nothing to train.{hint}")
    return packed


def unpack(params: Params) -> Params:
    """The parameters as the loss sees them: the inverse of `pack`, without marks of what is frozen."""
    return thaw(restored(params))


def restored(params: Params) -> Params:
    """The inverse of `pack`: marks of what is frozen stay."""
    return jax.tree.map(lambda x: x.item if isinstance(x, Held) else x, params, is_leaf=lambda x: isinstance(x, Held))


def split(params: Params) -> tuple[Params, Params]:
    """(what trains, what is carried), each with None in the places of the other."""
    trained = jax.tree.map(lambda x: x if is_inexact(x) else None, params, is_leaf=is_frozen)
    carried = jax.tree.map(lambda x: None if is_inexact(x) else x, params, is_leaf=is_frozen)
    return trained, carried


def whole(trained: Params, carried: Params) -> Params:
    """What was packed and split, as its owner knows it: at once, where nothing is carried."""
    alone = not jax.tree.leaves(carried, is_leaf=lambda x: isinstance(x, Held))
    return trained if alone else unpack(merge(trained, carried))


def merge(trained: Params, carried: Params) -> Params:
    """The inverse of `split`."""
    return jax.tree.map(lambda a, b: b if a is None else a, trained, carried, is_leaf=lambda x: x is None)
