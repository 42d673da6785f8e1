"""Evaluate metrics on a whole data set."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.numerics import widen
from funcgd.core.types import Batch, Params
from funcgd.core.validate import is_inexact, leading_axis
from funcgd.core.values import hold, release
from funcgd.training import partition
from funcgd.training.data import check_batch_size, on_device


def evaluate(metrics: Callable, params: Params, data: Batch, batch_size: int | None = None) -> dict[str, jax.Array]:
    """The means of `metrics` over all examples of `data`.

    Args:
        metrics: `metrics(params, batch)` → a dict of scalars, each a mean over its batch.
        params: the parameters.
        data: a pytree of arrays with one leading axis.
        batch_size: examples at a time; None is all at once. The last batch may be shorter and weighs accordingly.

    Returns:
        The dict of means.

    Raises:
        ValueError: if `data` is empty, or leading axes differ.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> data = jnp.arange(5.0)
    >>> fg.evaluate(lambda w, batch: {"mean": jnp.mean(w * batch)}, jnp.array(2.0), data, batch_size=2)["mean"].item()
    4.0
    """
    n = leading_axis("evaluate", "data", data)
    batch_size = check_batch_size("evaluate", batch_size, n)
    packed = partition.pack("evaluate", "params", params)
    return _evaluate(hold(metrics), packed, on_device(data), batch_size)


@functools.partial(jax.jit, static_argnames="batch_size")
def _evaluate(metrics: Any, packed: Params, data: Batch, batch_size: int) -> dict[str, jax.Array]:
    metrics, params = release(metrics), partition.unpack(packed)
    n = jax.tree.leaves(data)[0].shape[0]
    batches, rest = divmod(n, batch_size)

    def on(start: Any, size: int) -> dict[str, jax.Array]:
        found = metrics(params, jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, size), data))
        if not isinstance(found, dict):
            raise TypeError(f"evaluate: `metrics` must return a dict of scalars by name, got {type(found).__name__}.")
        return {name: widen(x) if is_inexact(x) else jnp.asarray(x, jnp.float32) for name, x in found.items()}

    sums = jax.lax.map(lambda i: on(i * batch_size, batch_size), jnp.arange(batches))
    total = jax.tree.map(lambda x: batch_size * jnp.sum(x, axis=0), sums)
    if rest:
        total = jax.tree.map(lambda x, y: x + rest * y, total, on(batches * batch_size, rest))
    return jax.tree.map(lambda x: x / n, total)
