"""How a run is cut into chunks of steps: it follows from the arguments alone, so that a resumed run is the same."""

from typing import NamedTuple

import numpy as np

WORK = 1e9  # parameters · examples in one chunk: about a tenth of a second on one core, many times what its start costs


def longest_chunk(parameters: int, batch_size: int) -> int:
    """How many steps a chunk may have: many short ones or few long ones, by the size of the arguments alone."""
    return int(np.clip(WORK / max(parameters * batch_size, 1), 10, 50_000))


class Layout(NamedTuple):
    """How an epoch of n examples is cut into batches.

    >>> from funcgd.data.plan import Layout
    >>> layout = Layout(n=50, stride=8, drop_last=False)
    >>> layout.full, layout.rest, layout.steps
    (6, 2, 7)
    """

    n: int
    stride: int  # examples in a batch
    drop_last: bool  # whether a short last batch is left out

    @property
    def full(self) -> int:
        """Batches of full size."""
        return self.n // self.stride

    @property
    def rest(self) -> int:
        """Examples in the short last batch; 0 if there is none."""
        return 0 if self.drop_last else self.n % self.stride

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.full + bool(self.rest)


class Plan(NamedTuple):
    """The steps that one chunk makes.

    >>> from funcgd.data.plan import Plan
    >>> Plan(steps=5, batch_size=64)
    Plan(steps=5, batch_size=64)
    """

    steps: int
    batch_size: int  # that of the steps in this chunk: the last one of an epoch may be shorter


def plan(done: int, last: int, layout: Layout, longest: int, *, epoch_ends: bool, every: int | None = None) -> Plan:
    """The next chunk: up to `longest` steps of equal batch size, not beyond `last`, nor what is asked for.

    Args:
        done: steps before it.
        last: the step at which the run ends.
        layout: of an epoch.
        longest: the most steps in a chunk.
        epoch_ends: whether a chunk must end with its epoch.
        every: the steps whose multiples must end a chunk.
    """
    within = done % layout.steps
    if layout.rest and within == layout.full:
        return Plan(1, layout.rest)
    ends = [last, done + longest]
    if layout.rest or epoch_ends:
        ends.append(done - within + layout.full)
    if every:
        ends.append((done // every + 1) * every)
    return Plan(min(ends) - done, layout.stride)
