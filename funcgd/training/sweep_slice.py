"""A slice of a sweep: some members trained side by side, with what the host keeps of them."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree
from funcgd.core.stop import Progress, StopReason, StopRule
from funcgd.data.plan import Layout, longest_chunk
from funcgd.data.sources import InMemory, Run, Source
from funcgd.training import population
from funcgd.training.progress import Display
from funcgd.training.step import TrainStep


class Course(NamedTuple):
    """What all members of a sweep have in common.

    >>> from funcgd.training.sweep_slice import Course
    >>> Course._fields[:2]
    ('init', 'model_state')
    """

    init: Any  # a held function key → params, or packed parameters
    model_state: Any  # what all begin with
    keys: jax.Array  # stacked
    source: InMemory
    layout: Layout
    last: float  # the step not to go beyond
    validation: Source | None
    metrics: Callable | None
    stop: StopRule | None
    watches: frozenset[str]  # the metrics that the optimizers look at
    cancelled: Callable[[], bool]  # whether to give up


class Ended(NamedTuple):
    """How the members of a slice ended, on the host; what fills up the slice is among them.

    >>> from funcgd.training.sweep_slice import Ended
    >>> Ended._fields[-2:]
    ('params', 'best')
    """

    history: dict[str, np.ndarray]  # (members, epochs) each
    values: np.ndarray  # the lowest monitored value, ∞ if the member failed
    reasons: np.ndarray  # codes
    steps: np.ndarray
    params: Any  # packed, stacked
    best: Any  # (packed parameters, model state) of the member of the lowest value alone


class Book:
    """What the host notes of the members while they train."""

    def __init__(self, real: np.ndarray):
        self.alive = real.copy()
        self.reasons = np.where(real, StopReason.RUNNING, StopReason.MAX_STEPS).astype(np.int32)
        self.lowest = np.full(len(real), np.inf)
        self.rows: list[dict[str, np.ndarray]] = []  # one for each epoch
        self._begin_epoch()

    def count(self, losses: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """Take notice of a chunk's losses and of who is still alive; returns who has failed at the first of them."""
        finite = np.isfinite(losses)
        self._sum += np.sum(losses, axis=0, where=finite, dtype=np.float64)
        self._count += finite.sum(axis=0)
        failed = self.alive & ~alive
        self.end(failed, StopReason.NON_FINITE)
        return failed & ~finite[0]

    def end(self, which: np.ndarray, reason: Any) -> None:
        """These members have ended."""
        self.reasons = np.where(which, reason, self.reasons).astype(np.int32)
        self.alive &= ~which

    def epoch(self) -> np.ndarray:
        """The mean loss of each member over the epoch that ends here."""
        means = np.full(len(self.alive), np.nan)
        np.divide(self._sum, self._count, out=means, where=self.alive & (self._count > 0))
        self._begin_epoch()
        return means

    def monitor(self, value: np.ndarray) -> np.ndarray:
        """Take notice of the monitored value; returns for which members it is the best so far."""
        better = self.alive & (value < self.lowest)
        self.lowest = np.where(better, value, self.lowest)
        return better

    def history(self) -> dict[str, np.ndarray]:
        """The rows as arrays (members, epochs); NaN where a row lacks a name."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        none = np.full(len(self.alive), np.nan)
        return {name: np.stack([row.get(name, none) for row in self.rows], axis=1) for name in names}

    def _begin_epoch(self) -> None:
        self._sum, self._count = np.zeros(len(self.lowest)), np.zeros(len(self.lowest), np.int64)


def train_slice(course: Course, step: TrainStep, which: np.ndarray, real: np.ndarray, display: Display) -> Ended:
    """Train the members of a slice until all have ended.

    Args:
        course: what they have in common.
        step: the training step, with their stacked optimizers.
        which: the key of each member.
        real: which of them are not there only to fill up the slice.
        display: shows how far it is.
    """
    source, layout, began = course.source, course.layout, time.monotonic()
    members, order_keys = population.begin(course.init, step, course.keys, which, course.model_state)
    rule_state = None if course.stop is None else population.stacked_state(course.stop, real)
    needs = frozenset() if course.stop is None else course.stop.needs
    parameters = tree.size(members.state.packed_params)  # of all members together: their work is
    longest = longest_chunk(parameters, layout.stride)
    cut = Run(layout.stride, parameters, epochs=None, limit=course.last, epoch_ends=True)
    book, done = Book(real), 0
    for first, ahead in source.plans(cut, longest):
        if not book.alive.any() or course.cancelled():
            break
        clock, running = time.perf_counter(), int(book.alive.sum())
        state, found = population.run(
            step,
            members.state,
            book.alive,
            order_keys,
            source.data,
            np.int32(first),
            np.int32(ahead.steps),
            layout=layout,
            batch_size=ahead.batch_size,
            one_order=len(course.keys) == 1,
            last_norms=bool(needs & {"gradient_norm", "step_norm"}),
            room=min(longest, layout.full) if ahead.batch_size == layout.stride else 1,
        )
        done = first + ahead.steps
        at_once = book.count(np.asarray(found.losses)[: ahead.steps], np.asarray(found.alive))
        if (real & ~book.alive).any():
            members = population.settle(members, state, book.alive, at_once)
        else:
            members = members._replace(state=state, good=members.state)
        ends_epoch = done % layout.steps == 0
        if ends_epoch or done == course.last:
            row = {"loss": book.epoch()}
            if course.validation is not None and ends_epoch:
                scores = population.validate(step.loss, course.metrics, step.tx, members.state, course.validation)
                scores = {f"validation {name}": np.asarray(x, np.float64) for name, x in scores.items()}
                row |= {name: np.where(book.alive, x, np.nan) for name, x in scores.items()}
            book.rows.append(row)
            value = row.get("loss" if course.validation is None else "validation loss")
            if value is not None:
                better = book.monitor(value)
                if better.any():
                    members = population.keep_best(step.tx, members, better)
                if course.watches:
                    members = population.observe(step.tx, members, _narrow(row), book.alive)
                if course.stop is not None:
                    norms = found.norms.get("gradient_norm"), found.norms.get("update_norm")
                    seconds = np.full(len(real), time.monotonic() - began, np.float32)
                    seen = Progress(np.full(len(real), done, np.int32), _narrow(value), *norms, _narrow(row), seconds)
                    codes, rule_state = population.ask(course.stop, seen, rule_state, book.alive)
                    book.end(np.asarray(codes) != 0, np.asarray(codes))
        speed = running * ahead.steps * ahead.batch_size / (time.perf_counter() - clock)
        display.update(ahead.steps, {"lowest loss": book.lowest.min()} if book.rows else {}, speed)
    if done < course.last < np.inf and not course.cancelled():
        display.update(int(course.last) - done, {}, np.nan)
    book.end(book.alive, StopReason.MAX_STEPS if done == course.last else StopReason.INTERRUPTED)
    values = np.where(book.reasons == StopReason.NON_FINITE, np.inf, book.lowest)
    i = int(np.argmin(np.where(real, values, np.inf)))
    params, steps, best = jax.device_get((members.state.packed_params, members.state.step, members.best))
    return Ended(book.history(), values, book.reasons, steps, params, jax.tree.map(lambda x: x[i], best))


def _narrow(x: Any) -> Any:
    """float64 of the host as JAX's own kind of float."""
    return jax.tree.map(jnp.asarray, x)
