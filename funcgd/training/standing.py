"""Where a run of `fit` stands, on the host, and its checkpoints."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.stop import Progress, Result, StopReason, StopRule
from funcgd.core.types import Params
from funcgd.training import partition
from funcgd.training.checkpoint_store import CheckpointError, Store
from funcgd.training.history import Log
from funcgd.training.state import TrainState, evaluated


@dataclasses.dataclass
class Standing:
    """Where a run stands: all that a checkpoint must hold."""

    state: TrainState  # after the latest chunk
    good: TrainState  # the latest one that a finite loss was computed from
    best: Callable[[], "Best"]  # gives what had the lowest monitored value
    rule_state: Any  # of the stopping rule
    log: Log
    done: int  # steps behind `state`
    origin: int  # `done` at the beginning
    lowest: float = np.inf
    value: float = np.nan  # what is monitored, at the latest test
    total: float = 0.0  # of the finite losses since then
    count: int = 0  # how many these are
    reason: StopReason = StopReason.RUNNING

    def advance(self, new: TrainState, steps: int) -> None:
        """Go on to the state after a chunk."""
        self.good, self.state, self.done = self.state, new, self.done + steps

    def fail(self, first: bool) -> None:
        """End because a loss was not finite; if it was the chunk's `first`, the state before it is no good either."""
        self.state, self.reason = self.good if first else self.state, StopReason.NON_FINITE
        self.done = int(self.state.step)

    def see(self, losses: np.ndarray) -> float:
        """The mean of the finite losses since the latest test, with these."""
        finite = losses[np.isfinite(losses)]
        self.total, self.count = self.total + float(np.sum(finite, dtype=np.float64)), self.count + len(finite)
        return self.total / self.count if self.count else np.nan

    def monitor(self, value: float, tx: Any) -> None:
        """Take notice of the monitored value, and of the best."""
        self.value, self.total, self.count = value, 0.0, 0
        if value < self.lowest:
            self.lowest, self.best = value, functools.partial(best_of, tx, self.state)

    def observe(self, tx: Any, metrics: dict[str, float]) -> None:
        """Let the optimizer look at what it watches."""
        if tx.watches:
            self.state = self.state.replace(opt_state=_observe(tx, self.state.opt_state, metrics))

    def test(self, rule: StopRule, progress: Progress) -> None:
        """Ask the stopping rule."""
        code, self.rule_state = _test(rule, progress, self.rule_state)
        if int(code):
            self.reason = StopReason(int(code))

    def snapshot(self) -> dict[str, Any]:
        """What a checkpoint holds beside the log, as a pytree of arrays."""
        return {
            "state": self.state,
            "good": self.good,
            "best": self.best(),
            "rule_state": self.rule_state,
            "lowest": np.array(self.lowest),
            "total": np.array(self.total),
            "count": np.array(self.count),
            "reason": np.array(self.reason, np.int32),
        }

    def load(self, snapshot: dict[str, Any]) -> None:
        """Go on from what `snapshot()` gave."""
        self.state, self.good, self.best = snapshot["state"], snapshot["good"], lambda: snapshot["best"]
        self.rule_state, self.lowest = snapshot["rule_state"], float(snapshot["lowest"])
        self.total, self.count = float(snapshot["total"]), int(snapshot["count"])
        self.reason, self.done = StopReason(int(snapshot["reason"])), int(self.state.step)

    def result(self) -> Result:
        """What `fit` returns: no array of it is one of the caller's, nor twice there, so all may be donated."""
        best = _copied(self.best())
        state = _copied(self.state) if self.done == self.origin else self.state
        return Result(
            params=state.params,
            best=partition.unpack(best.packed_params),
            value=self.lowest,
            reason=self.reason,
            steps=self.done,
            state=state,
            history=self.log.arrays(),
            aux=best.model_state,
        )


class Best(NamedTuple):
    """What to evaluate with.

    >>> from funcgd.training.standing import Best
    >>> Best(packed_params=1.0, model_state=None).packed_params
    1.0
    """

    packed_params: Params
    model_state: Any


def best_of(tx: Any, state: TrainState) -> Best:
    """What to evaluate with, at `state`."""
    return Best(evaluated(tx, state), state.model_state)


@jax.jit
def _copied(x: Any) -> Any:
    return jax.tree.map(jnp.copy, x)


@jax.jit
def _observe(tx: Any, state: Any, metrics: dict[str, Any]) -> Any:
    return tx.observe(state, metrics)


@jax.jit
def _test(rule: StopRule, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
    return rule.test(progress, state)


class Saves:
    """The checkpoints of a run, if there are any."""

    def __init__(self, store: Store | None, every: int | None, arguments: Callable[[], dict[str, Any]]):
        self.store, self.every = store, every
        self.arguments = {} if store is None else arguments()
        self._latest: int | None = None

    def restore(self, run: Standing) -> None:
        """Bring `run` to where the newest checkpoint was."""
        saved = None if self.store is None else self.store.restore(run.snapshot(), self.arguments)
        if saved is not None:
            run.load(saved.tree)
            run.log.restore(saved.history)
            self._latest = saved.step

    def now_and_then(self, run: Standing) -> None:
        """Save if it is time."""
        if self.every is not None and run.done % self.every == 0:
            self._save(run)

    def last(self, run: Standing) -> None:
        """Save the end of the run, and wait; what is not finite is not saved."""
        if self.store is not None:
            if run.reason is not StopReason.NON_FINITE:
                self._save(run)
            self.store.wait()

    def rescue(self, run: Standing, error: BaseException) -> None:
        """Save what was reached before `error`."""
        if self.store is not None and not isinstance(error, CheckpointError):
            try:
                self.last(run)
            except CheckpointError as another:
                error.add_note(str(another))

    def _save(self, run: Standing) -> None:
        if self.store is not None and run.done != self._latest:
            self.store.save(run.done, run.snapshot(), run.log.arrays(), self.arguments)
            self._latest = run.done
