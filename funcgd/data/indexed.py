"""Data larger than memory, read by index: memory-mapped files and the like."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.types import Batch
from funcgd.core.validate import common_length
from funcgd.data import buffers
from funcgd.data.arrays import order
from funcgd.data.feed import Buffered
from funcgd.data.prefetch import Prefetch
from funcgd.data.shuffle import EXACT_BELOW, shuffled_indices
from funcgd.data.sources import Chunk, Examples, Run

HINT = "What reads single examples needs a loader that makes batches: give these to fg.Batches."


class Indexed(Examples):
    """Data that is read by index as it is needed: `np.memmap`, `np.load(mmap_mode="r")`, HDF5 or Zarr.

    A background thread reads the examples of a whole chunk of steps at once, in increasing order, while the chunk
    before runs. The order in which `fit` visits them is that of arrays in memory, so the result is the same, too.

    `fit` and `evaluate` make one of a pytree in which some leaf is no array in memory; write it out for the options.

    Args:
        data: a pytree of objects with `__len__` and with `__getitem__` for an increasing array of integers, shape (m,),
            which returns an array, or a pytree of arrays, with m on the leading axis.
        drop_last: leave out the last batch of an epoch if it is shorter than the others.
        buffer_bytes: what the batches that wait in memory may take in all; a chunk has a quarter of it, or one step.
        timeout: seconds to wait for data before a `TimeoutError`; None waits for ever.

    Raises:
        ValueError: if there is no leaf, lengths differ or are 0; while reading, if a leaf returns another length.

    >>> import funcgd as fg, jax, jax.numpy as jnp, numpy as np, tempfile
    >>> file = tempfile.NamedTemporaryFile(suffix=".npy")
    >>> np.save(file.name, np.arange(1000.0, dtype=np.float32))
    >>> x = np.load(file.name, mmap_mode="r")
    >>> loss = lambda w, x: jnp.mean((w - x) ** 2)
    >>> options = dict(batch_size=None, epochs=1, key=jax.random.key(0), progress=False)
    >>> run = fg.fit(loss, jnp.array(0.0), fg.sgd(0.5), x, **options)
    >>> float(run.params)
    499.5
    """

    def __init__(
        self, data: Batch, *, drop_last: bool = False, buffer_bytes: int = 2**26, timeout: float | None = 300.0
    ):
        self.n = _length(data)
        self.data, self.drop_last, self.buffer_bytes, self.timeout = data, drop_last, buffer_bytes, timeout

    @contextmanager
    def chunks(self, run: Run) -> Iterator[Iterator[Chunk]]:
        with Prefetch(lambda beat: self._chunks(run, beat), self.timeout, run.cancelled) as chunks:
            yield chunks

    def _chunks(self, run: Run, beat: Callable[[], None]) -> Iterator[Chunk]:
        layout = self.layout(run.batch_size)
        bytes_each = sum(x.nbytes for x in jax.tree.leaves(self._read(np.zeros(1, np.int64), 1)))
        longest = buffers.room(self.buffer_bytes, bytes_each * layout.stride, run.parameters, layout.stride)
        order_of: Callable = _Order(run.key if layout.stride < self.n else None, self.n, longest * layout.stride)
        # Chunks that end with their epochs read each example once; only these are strictly increasing.
        for done, ahead in self.plans(run._replace(epoch_ends=True), longest):
            epoch, within = divmod(done, layout.steps)
            examples, room = ahead.steps * ahead.batch_size, longest if ahead.batch_size == layout.stride else 1
            indices = order_of(epoch, within * layout.stride, examples)
            ascending = np.argsort(indices)
            places = buffers.empty((room, ahead.batch_size), np.int32)
            places.reshape(-1)[ascending] = np.arange(examples, dtype=np.int32)
            rows = self._read(indices[ascending], room * ahead.batch_size)
            beat()
            feed = Buffered(*jax.device_put((rows, np.int32(done), places)))
            yield Chunk(feed, done, ahead.steps, room, examples, *self.place(layout, done, ahead, run))

    def _read(self, indices: np.ndarray, room: int) -> Batch:
        """The examples at `indices`, in buffers with room for `room` of them."""

        def of(path: tuple, leaf: Any) -> Any:
            name = f"data{jax.tree_util.keystr(path)}"
            if isinstance(leaf, np.ndarray) and leaf.dtype == jax.dtypes.canonicalize_dtype(leaf.dtype):
                buffer = buffers.empty((room, *leaf.shape[1:]), leaf.dtype)
                np.take(leaf, indices, axis=0, out=buffer[: len(indices)], mode="clip")  # "raise" would copy twice
                return buffer
            try:
                found = leaf[indices]
            except Exception as error:
                error.add_note(f"fg.Indexed was reading `{name}` with an array of {len(indices)} indices. {HINT}")
                raise
            return jax.tree.map(lambda x: filled(name, x), found)

        def filled(name: str, x: Any) -> np.ndarray:
            x = buffers.as_array(x)
            if x.shape[:1] != indices.shape:
                raise ValueError(
                    f"Indexed: `{name}[indices]` must return {len(indices)} examples for {len(indices)} indices, got "
                    f"shape {x.shape}. {HINT}"
                )
            buffer = buffers.empty((room, *x.shape[1:]), x.dtype)
            buffer[: len(x)] = x
            return buffer

        return jax.tree_util.tree_map_with_path(of, self.data)


class _Order:
    """The order of the examples on the host, computed for `room` positions at a time."""

    def __init__(self, key: Any, n: int, room: int):
        self.key, self.n, self.room = key, n, room
        self._epoch, self._whole = -1, np.empty(0)

    def __call__(self, epoch: int, first: int, count: int) -> np.ndarray:
        if self.key is None:
            return np.arange(first, first + count)
        if self.n < EXACT_BELOW:
            if epoch != self._epoch:
                self._epoch, self._whole = epoch, np.asarray(_whole(self.key, jnp.int32(epoch), self.n))
            return self._whole[first : first + count]
        positions = first + jnp.arange(self.room, dtype=jnp.int32)  # always as many, so that this compiles once
        return np.asarray(shuffled_indices(self.key, jnp.int32(epoch), self.n, positions))[:count]


_whole = jax.jit(order, static_argnums=2)


def is_indexable(x: Any) -> bool:
    """Whether `x` can be read by index."""
    return hasattr(x, "__getitem__") and hasattr(x, "__len__")


def _length(data: Batch) -> int:
    lengths = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        name = f"data{jax.tree_util.keystr(path)}"
        if not is_indexable(leaf):
            raise TypeError(f"Indexed: `{name}` must have `__len__` and `__getitem__`, got {describe(leaf)}.")
        lengths[name] = len(leaf)
    return common_length("Indexed", "data", lengths)
