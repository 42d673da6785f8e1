"""Evaluate metrics on a whole data set."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.numerics import divide, widen
from funcgd.core.types import Batch, Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import hold, release
from funcgd.data.as_source import as_source
from funcgd.data.sources import Run
from funcgd.training import partition


def evaluate(
    metrics: Callable,
    params: Params,
    data: Any,
    batch_size: int | None = None,
    *,
    weight: Callable[[Batch], Any] | None = None,
) -> dict[str, jax.Array]:
    """The means of `metrics` over all examples of `data`.

    Args:
        metrics: `metrics(params, batch)` → a dict of scalars, each a mean over its batch.
        params: the parameters.
        data: a pytree of arrays with one leading axis, in memory or larger, or an iterable of batches: what `fg.fit`
            takes.
        batch_size: examples at a time; None is all at once. The last batch may be shorter.
        weight: batch → (), ≥ 0, the weight of the batch in the means, such as the number of words in it; None is its
            number of examples. A batch of weight 0 has no effect, even if its metrics are NaN.

    Returns:
        The dict of means; 0 if all weights are 0.

    Raises:
        ValueError: if `data` is empty, or leading axes differ.
        TypeError: if `metrics` returns no dict.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> data = jnp.arange(5.0)
    >>> fg.evaluate(lambda w, batch: {"mean": jnp.mean(w * batch)}, jnp.array(2.0), data, batch_size=2)["mean"].item()
    4.0
    """
    source = as_source("evaluate", "data", data)
    source.steps_per_epoch("evaluate", batch_size)
    packed = partition.pack("evaluate", "params", params)
    total, sums = None, {}
    with source.chunks(Run(batch_size, parameters=0, epoch_ends=False)) as chunks:
        for chunk in chunks:
            first, steps = jnp.int32(chunk.first), jnp.int32(chunk.steps)
            more, found = _sums(hold(metrics), hold(weight), packed, chunk.feed, first, steps)
            total, sums = (more, found) if total is None else jax.tree.map(jnp.add, (total, sums), (more, found))
    return {name: divide(x, jnp.asarray(total, x.dtype)) for name, x in sums.items()}


@jax.jit
def _sums(
    metrics: Any, weight: Any, packed: Params, feed: Any, first: Any, steps: Any
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The sum of the weights of the batches of a chunk, and of the metrics times these."""
    metrics, weight, params = release(metrics), release(weight), partition.unpack(packed)

    started = feed.start(first)

    def weighted(step: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        batch = feed.batch(started, step)
        found = metrics(params, batch)
        if not isinstance(found, dict):
            raise TypeError(f"evaluate: `metrics` must return a dict of scalars by name, got {type(found).__name__}.")
        w = widen(np.float32(examples(batch)) if weight is None else weight(batch))

        def times(x: Any) -> jax.Array:
            x = widen(x) if is_inexact(x) else jnp.asarray(x, jnp.float32)
            return jnp.where(w > 0, jnp.asarray(w, x.dtype) * x, 0)

        return w, jax.tree.map(times, found)

    # Compiled as a unit, so that asking for the shapes of its results does not trace the metrics a second time.
    weighted = jax.jit(weighted)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(weighted, first))

    def body(i: jax.Array, sums: tuple) -> tuple:
        return jax.tree.map(jnp.add, sums, weighted(first + i))

    return jax.lax.fori_loop(jnp.int32(0), steps, body, zeros)


def examples(batch: Batch) -> int:
    """How many examples a batch has."""
    return max((x.shape[0] for x in jax.tree.leaves(batch) if x.ndim), default=1)
