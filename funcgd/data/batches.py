"""Iterables of batches: loaders of other libraries, generators, endless streams."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.types import Batch
from funcgd.data import buffers
from funcgd.data.feed import Buffered
from funcgd.data.prefetch import Prefetch
from funcgd.data.sources import Chunk, Run, Source


class Batches(Source):
    """An iterable of batches: a Grain or PyTorch loader, a `tf.data.Dataset`, a generator; endless ones, too.

    One pass over it is an epoch, and it decides on batch size and order. A background thread collects batches of equal
    shape for a chunk of steps while the chunk before runs. A run that is resumed skips the batches that it has seen, so
    the iterable must give the same again.

    Args:
        iterable: gives pytrees of arrays (or what `np.asarray` accepts), each with one leading axis.
        steps_per_chunk: how many batches to collect at most; None fills the buffer. Small for a slow stream, as
            training waits for the chunk to be full.
        buffer_bytes: what the batches that wait in memory may take in all; a chunk has a quarter of it, or one step.
        timeout: seconds to wait for a batch before a `TimeoutError`; None waits for ever.

    Raises:
        TypeError: if it is no iterable.

    >>> import funcgd as fg, jax, jax.numpy as jnp, numpy as np
    >>> def stream():
    ...     while True:
    ...         yield np.ones(8, np.float32)
    >>> loss = lambda w, x: jnp.mean((w - x) ** 2)
    >>> options = dict(batch_size=None, epochs=None, stop=fg.stop.max_steps(25), key=jax.random.key(0), progress=False)
    >>> run = fg.fit(loss, jnp.array(0.0), fg.sgd(0.25), fg.Batches(stream()), **options)
    >>> int(run.steps), round(float(run.params), 4)
    (25, 1.0)
    """

    def __init__(
        self,
        iterable: Iterable[Batch],
        *,
        steps_per_chunk: int | None = None,
        buffer_bytes: int = 2**26,
        timeout: float | None = 300.0,
    ):
        if not isinstance(iterable, Iterable):
            raise TypeError(f"Batches: `iterable` must be an iterable of batches, got {describe(iterable)}.")
        self.iterable, self.steps_per_chunk = iterable, steps_per_chunk
        self.buffer_bytes, self.timeout = buffer_bytes, timeout

    def steps_per_epoch(self, who: str, batch_size: int | None) -> None:
        if batch_size is not None:
            raise ValueError(
                f"{who}: `batch_size` must be None for an iterable of batches, which decides on it; got {batch_size!r}."
            )

    @contextmanager
    def chunks(self, run: Run) -> Iterator[Iterator[Chunk]]:
        with Prefetch(lambda beat: self._chunks(run, beat), self.timeout, run.cancelled) as chunks:
            yield chunks

    def _chunks(self, run: Run, beat: Callable[[], None]) -> Iterator[Chunk]:
        done, epoch = run.origin, 0
        while done < run.limit and (run.epochs is None or epoch < run.epochs):
            began, waiting = done, []
            for batch in self.iterable:
                beat()
                if done < run.first:  # seen before the run was resumed
                    done += 1
                    continue
                batch = jax.tree.map(buffers.as_array, batch)
                # A full chunk waits for the next batch only where it must be known whether the epoch ends with it.
                differs = bool(waiting) and _shapes(batch) != _shapes(waiting[0])
                if differs or self._full(waiting, done, run):
                    yield self._chunk(waiting, done, run)._replace(complete=not differs)
                    waiting = []
                waiting.append(batch)
                done += 1
                if done >= run.limit or (self._full(waiting, done, run) and not run.epoch_ends):
                    yield self._chunk(waiting, done, run)
                    waiting = []
                if done >= run.limit:
                    return
            if waiting:
                yield self._chunk(waiting, done, run, ends_epoch=True)
            if done == began:
                raise ValueError(
                    f"Batches: the iterable gave no batch in epoch {epoch}. What can be gone through only once, such "
                    f"as a generator, has one epoch; give a list, a loader, or an object with `__iter__`."
                )
            epoch += 1

    def _room(self, batch: Batch, run: Run) -> int:
        leaves = jax.tree.leaves(batch)
        size = max((len(x) for x in leaves if x.ndim), default=1)
        room = buffers.room(self.buffer_bytes, sum(x.nbytes for x in leaves), run.parameters, size)
        return room if self.steps_per_chunk is None else min(room, self.steps_per_chunk)

    def _full(self, waiting: list[Batch], done: int, run: Run) -> bool:
        at_multiple = run.every is not None and done % run.every == 0
        return bool(waiting) and (len(waiting) >= self._room(waiting[0], run) or at_multiple)

    def _chunk(self, batches: list[Batch], done: int, run: Run, ends_epoch: bool = False) -> Chunk:
        room = self._room(batches[0], run)

        def fill(*rows: np.ndarray) -> np.ndarray:
            buffer = buffers.empty((room, *rows[0].shape), rows[0].dtype)
            np.stack(rows, out=buffer[: len(rows)])
            return buffer

        stacked = jax.device_put(jax.tree.map(fill, *batches))
        examples = max((x.shape[1] for x in jax.tree.leaves(stacked) if x.ndim > 1), default=1)
        steps = len(batches)
        first = done - steps
        return Chunk(Buffered(stacked, jnp.int32(first)), first, steps, room, steps * examples, ends_epoch)


def _shapes(batch: Batch) -> Any:
    leaves, structure = jax.tree.flatten(batch)
    return structure, [(x.shape, x.dtype) for x in leaves]
