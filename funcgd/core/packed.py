"""A few scalars as one array."""

import functools
from typing import Any

import jax
import jax.numpy as jnp


def pack(scalars: Any, dtype: Any) -> jax.Array:
    """(k,), the k leaves of a tree of scalars: of floats, and of booleans and small integers as floats.

    A choice by index and not a concatenation: XLA makes one kernel of it and of most that its entries are computed from,
    where on CPUs each scalar would be a kernel (some 0.1 µs) and a copy, and 5 to 15 ms of compilation.

    >>> from funcgd.core.packed import pack, unpack
    >>> packed = pack((0.5, True), jnp.float32)
    >>> float(packed[0]), unpack(packed, (0.0, False))[1]
    (0.5, Array(True, dtype=bool))
    """
    leaves = jax.tree.leaves(scalars)
    i, none = jnp.arange(len(leaves), dtype=jnp.int32), jnp.zeros(len(leaves), dtype)
    return functools.reduce(lambda row, k: jnp.where(i == k, jnp.asarray(leaves[k], dtype), row), range(len(leaves)), none)


def unpack(packed: jax.Array, like: Any) -> Any:
    """The scalars of `pack`, as a tree with the structure and dtypes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    return structure.unflatten([jnp.asarray(packed[k], jnp.result_type(leaf)) for k, leaf in enumerate(leaves)])
