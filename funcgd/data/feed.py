"""Where the batch of a step comes from inside compiled code: arrays on the device, or batches brought there."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.types import Batch
from funcgd.data.arrays import order, take
from funcgd.data.plan import Layout
from funcgd.data.shuffle import EXACT_BELOW, shuffled_indices


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["arrays", "key"],
    meta_fields=["layout", "batch_size", "crosses"],
)
@dataclasses.dataclass(frozen=True)
class Resident:
    """Batches taken from arrays on the device, in the order that (key, epoch) draws.

    A feed is a pytree with three pure methods: `start(step)` gives what holds for some steps, `left(step)` how many
    these are (None for all of the chunk), and `batch(started, step)` the batch.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> source = fg.InMemory(jnp.arange(10.0))
    >>> with source.chunks(fg.Run(batch_size=4, parameters=1)) as chunks:  # without a key: in the order of the data
    ...     feed = next(iter(chunks)).feed
    >>> feed.batch(feed.start(1), 1).tolist()
    [4.0, 5.0, 6.0, 7.0]
    """

    arrays: Batch
    key: Any  # what the order of each epoch is drawn from; None keeps the order of the data
    layout: Layout
    batch_size: int  # that of this chunk: less than the stride for a short last batch
    crosses: bool  # whether this chunk may go from one epoch into the next

    def start(self, step: jax.Array) -> "Epoch":
        """The epoch of `step`, with its order where that is short: a long one is never formed."""
        n, stride, _ = self.layout
        number = step // self.layout.steps
        short = self.key is not None and stride < n < EXACT_BELOW
        return Epoch(number, number * self.layout.steps, order(self.key, number, n) if short else None)  # pyright: ignore

    def left(self, step: jax.Array) -> jax.Array | None:
        """Steps until the order changes."""
        return self.layout.steps - step % self.layout.steps if self.crosses and self.layout.steps > 1 else None

    def batch(self, epoch: "Epoch", step: jax.Array) -> Batch:
        """The batch of `step`."""
        n, stride, _ = self.layout
        if stride == n:
            return self.arrays
        first = (step - epoch.first) * stride
        if self.key is None:
            return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, self.batch_size), self.arrays)
        if epoch.order is None:
            positions = first + jnp.arange(self.batch_size, dtype=jnp.int32)
            return take(self.arrays, shuffled_indices(self.key, epoch.number, n, positions))
        return take(self.arrays, jax.lax.dynamic_slice_in_dim(epoch.order, first, self.batch_size))


class Epoch(NamedTuple):
    """What holds for all steps of an epoch.

    >>> from funcgd.data.feed import Epoch
    >>> Epoch(number=2, first=40, order=None).first
    40
    """

    number: jax.Array | int  # (), int32, from 0
    first: jax.Array | int  # (), int32: its first step
    order: jax.Array | None  # (n,), int32: of the examples; None where it is not formed


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Buffered:
    """Batches that were brought to the device for this chunk.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> feed = fg.Buffered(jnp.arange(6.0).reshape(3, 2), first=10)  # three steps of two examples
    >>> feed.batch(feed.start(10), 11).tolist()
    [2.0, 3.0]
    """

    batches: Batch  # arrays of shape (room, batch size, …); with places: (room · batch size, …), in any order
    first: Any  # (), int32: the step of the first of them
    places: Any = None  # (room, batch size), int32: where the examples of each batch are

    def start(self, step: jax.Array) -> None:
        """Nothing."""
        del step

    def left(self, step: jax.Array) -> None:
        """All of the chunk."""
        del step

    def batch(self, started: None, step: jax.Array) -> Batch:
        """The batch of `step`."""
        del started
        row = step - self.first
        if self.places is not None:
            return take(self.batches, jax.lax.dynamic_index_in_dim(self.places, row, keepdims=False))
        return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, row, keepdims=False), self.batches)
