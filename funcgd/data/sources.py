"""Data sources: the protocol by which `fit` gets its batches, and arrays in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np

from funcgd.core.types import Batch
from funcgd.core.validate import leading_axis
from funcgd.data.arrays import check_batch_size, on_device
from funcgd.data.feed import Resident
from funcgd.data.plan import Layout, Plan, longest_chunk, plan


class Run(NamedTuple):
    """What a source must know about a run to cut it into chunks.

    >>> import funcgd as fg
    >>> fg.Run(batch_size=8, parameters=100).first
    0
    """

    batch_size: int | None  # examples per step; None is all of them, or what the source makes of it
    parameters: int  # how many numbers train: small models have long chunks
    key: Any = None  # what the order of each epoch is drawn from; None keeps the order of the data
    first: int = 0  # the step to begin with
    origin: int = 0  # the step at which the run began: iterables skip the first − origin batches of before
    epochs: int | None = 1  # passes over the data; None is no end
    limit: float = np.inf  # the step not to go beyond
    epoch_ends: bool = True  # whether chunks must end with their epoch
    every: int | None = None  # multiples of this step end a chunk, too
    cancelled: Callable[[], bool] = lambda: False  # asked while waiting for data: whether to give up


class Chunk(NamedTuple):
    """Some steps of equal batch size, ready to be made.

    >>> import funcgd as fg
    >>> source = fg.InMemory(np.zeros((10, 3)))
    >>> with source.chunks(fg.Run(batch_size=4, parameters=3)) as chunks:
    ...     [(chunk.steps, chunk.examples, chunk.ends_epoch) for chunk in chunks]
    [(2, 8, False), (1, 2, True)]
    """

    feed: Any  # gives the batch of a step inside compiled code, see `fg.Resident` and `fg.Buffered`
    first: int  # its first step
    steps: int
    room: int  # the most steps that a chunk with such batches has
    examples: int  # in all of its steps
    ends_epoch: bool
    complete: bool = True  # False where the short last batch of the epoch follows, which is no chunk to be judged alone


class Source:
    """The base of data sources: what gives `fit` and `evaluate` their batches, chunk by chunk.

    A source has `steps_per_epoch(batch_size)`, which checks the batch size, and `chunks(run)`, a context in which one
    may iterate over the `Chunk`s of a `Run`: with the same arguments always the same, from any first step on.

    >>> import funcgd as fg
    >>> fg.InMemory(np.zeros((10, 3))).steps_per_epoch("fit", 4)
    3
    """

    def steps_per_epoch(self, who: str, batch_size: int | None) -> int | None:
        """How many steps an epoch has; None where nobody knows before its end.

        Raises:
            ValueError: if the batch size does not fit the data.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `steps_per_epoch(self, who, batch_size)`.")

    def chunks(self, run: Run) -> Any:
        """A context manager around an iterator over the `Chunk`s of `run`."""
        raise NotImplementedError(f"{type(self).__name__} must define `chunks(self, run)`.")

    def arguments(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        return {}


class Examples(Source):
    """The base of sources that know how many examples they have: `n` and `drop_last`."""

    n: int
    drop_last: bool

    def layout(self, batch_size: int | None) -> Layout:
        """How an epoch is cut into batches."""
        return Layout(self.n, self.n if batch_size is None else batch_size, self.drop_last)

    def steps_per_epoch(self, who: str, batch_size: int | None) -> int:
        return self.layout(check_batch_size(who, batch_size, self.n)).steps

    def arguments(self) -> dict[str, Any]:
        return {"data length": self.n, "drop_last": self.drop_last}

    def plans(self, run: Run, longest: int) -> Iterator[tuple[int, Plan]]:
        """The first step and the `Plan` of each chunk of `run`."""
        layout, done = self.layout(run.batch_size), run.first
        last = int(min(run.limit, np.iinfo(np.int32).max if run.epochs is None else run.epochs * layout.steps))
        while done < last:
            ahead = plan(done, last, layout, longest, epoch_ends=run.epoch_ends, every=run.every)
            yield done, ahead
            done += ahead.steps

    def place(self, layout: Layout, done: int, ahead: Plan, run: Run) -> tuple[bool, bool]:
        """Whether the planned steps end an epoch, and whether no short batch of the same epoch follows."""
        end = (done + ahead.steps) % layout.steps
        return end == 0, not (layout.rest and end == layout.full and done + ahead.steps < run.limit)


class InMemory(Examples):
    """Arrays in memory: they go to the device whole, and batches are taken from them there.

    `fit` and `evaluate` make one of any pytree of arrays; write it out to drop the short last batch of each epoch.

    Args:
        data: a pytree of arrays with one leading axis over the examples.
        drop_last: leave out the last batch of an epoch if it is shorter than the others. Another order each epoch
            leaves out other examples.

    Raises:
        ValueError: if there is no array, leading axes differ or are 0.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> source = fg.InMemory({"x": jnp.ones((10, 3)), "y": jnp.ones(10)}, drop_last=True)
    >>> source.n, source.steps_per_epoch("fit", 4)
    (10, 2)
    """

    def __init__(self, data: Batch, *, drop_last: bool = False):
        self.n = leading_axis("InMemory", "data", data)
        self.data, self.drop_last = on_device(data), drop_last

    @contextmanager
    def chunks(self, run: Run) -> Iterator[Iterator[Chunk]]:
        yield self._chunks(run)

    def _chunks(self, run: Run) -> Iterator[Chunk]:
        layout = self.layout(run.batch_size)
        crosses = not (run.epoch_ends or layout.rest)
        longest = longest_chunk(run.parameters, layout.stride)
        for done, ahead in self.plans(run, longest):
            feed = Resident(self.data, run.key, layout, ahead.batch_size, crosses)
            examples = ahead.steps * ahead.batch_size
            yield Chunk(feed, done, ahead.steps, longest, examples, *self.place(layout, done, ahead, run))


def is_in_memory(leaf: Any) -> bool:
    """Whether a leaf of the data is an array in memory (a memory-mapped one is not)."""
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic)) and not isinstance(leaf, np.memmap)
