"""Data in memory: a pytree of arrays with one leading axis, and the order in which its examples come."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.types import Batch


def on_device(data: Batch) -> Batch:
    """`data` as JAX arrays."""
    return jax.tree.map(jnp.asarray, data)


def order(key: jax.Array, epoch: jax.Array, n: int) -> jax.Array:
    """The order of the n examples in `epoch`: a permutation that depends only on (key, epoch). Shape (n,), int32."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), n).astype(jnp.int32)


def take(data: Batch, indices: jax.Array) -> Batch:
    """The examples at `indices`."""
    return jax.tree.map(lambda x: x.at[indices].get(mode="promise_in_bounds"), data)


def check_batch_size(who: str, batch_size: Any, n: int) -> int:
    """`batch_size` as a number of examples: None is all of them.

    Raises:
        ValueError: unless it is an integer in [1, n].
    """
    if batch_size is None:
        return n
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or not 1 <= batch_size <= n:
        raise ValueError(
            f"{who}: `batch_size` must be an integer from 1 to {n}, the number of examples, or None for all of them; "
            f"got {batch_size!r}."
        )
    return int(batch_size)
