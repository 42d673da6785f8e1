"""Where the batch of a step comes from inside compiled code: arrays on the device, or batches brought there."""

import dataclasses
import functools
from typing import Any

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

    A feed is a pytree with three pure methods: `start(step)` gives the order of the examples, `left(step)` the number
    of steps for which it holds (None for all of the chunk), and `batch(order, step)` the batch.
    """

    arrays: Batch
    key: Any  # what the order of each epoch is drawn from; None keeps the order of the data
    layout: Layout
    batch_size: int  # that of this chunk: less than the stride for a short last batch
    crosses: bool  # whether this chunk may go from one epoch into the next

    def start(self, step: jax.Array) -> Any:
        """The order of this epoch, where it is short: a long one is never formed, the full batch has none."""
        n, stride, _ = self.layout
        return self._order(step) if self.key is not None and stride < n < EXACT_BELOW else None

    def left(self, step: jax.Array) -> jax.Array | None:
        """Steps until the order changes."""
        return self.layout.steps - step % self.layout.steps if self.crosses and self.layout.steps > 1 else None

    def batch(self, order: Any, step: jax.Array) -> Batch:
        """The batch of `step`."""
        layout = self.layout
        if layout.stride == layout.n:
            return self.arrays
        first = (step % layout.steps) * layout.stride
        if self.key is None:
            return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, self.batch_size), self.arrays)
        if order is None:
            positions = first + jnp.arange(self.batch_size, dtype=jnp.int32)
            return take(self.arrays, shuffled_indices(self.key, step // layout.steps, layout.n, positions))
        return take(self.arrays, jax.lax.dynamic_slice_in_dim(order, first, self.batch_size))

    def _order(self, step: jax.Array) -> jax.Array:
        return order(self.key, step // self.layout.steps, self.layout.n)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Buffered:
    """Batches that were brought to the device for this chunk."""

    batches: Batch  # arrays of shape (room, batch size, …)
    first: Any  # (), int32: the step of the first of them

    def start(self, step: jax.Array) -> None:
        """Nothing."""
        del step

    def left(self, step: jax.Array) -> None:
        """All of the chunk."""
        del step

    def batch(self, order: None, step: jax.Array) -> Batch:
        """The batch of `step`."""
        del order
        row = step - self.first
        return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, row, keepdims=False), self.batches)
