"""Stopping rules, as `fg.stop.*`: values that combine with `|` (any) and `&` (all)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import as_count, number, static
from funcgd.core.stop import Progress, StopReason, StopRule, both, code_when, either
from funcgd.core.types import Scalar
from funcgd.core.values import value

__all__ = [
    "both",
    "either",
    "gradient_norm",
    "max_steps",
    "patience",
    "step_size",
    "target_value",
    "value_change",
    "wall_time",
]


@value
class max_steps(StopRule):
    """Stop after a number of updates.

    Args:
        steps: at least 0.

    >>> import funcgd as fg
    >>> int(fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.1), max_steps=9, stop=fg.stop.max_steps(4)).steps)
    4
    """

    steps: Scalar = number("[0, inf)", schedule=False)

    @property
    def limit(self) -> float:
        return float(np.round(self.steps))

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        steps = jnp.round(jnp.asarray(self.steps)).astype(jnp.int32)
        return code_when(progress.step >= steps, StopReason.MAX_STEPS), state


@value
class gradient_norm(StopRule):
    """Stop where ‖∇f‖ ≤ tolerance.

    Args:
        tolerance: in [0, ∞), unit of the gradient.
        norm: "l2", or "max" for the largest entry, which only `fg.minimize` computes.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.5), max_steps=9, stop=fg.stop.gradient_norm(1e-6))
    >>> int(run.steps), run.reason.name
    (1, 'GRADIENT_NORM')
    """

    tolerance: Scalar = number("[0, inf)", schedule=False)
    norm: str = static(default="l2", one_of=("l2", "max"))

    @property
    def needs(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return frozenset({"gradient_norm" if self.norm == "l2" else "gradient_max"})

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        found = progress.gradient_norm if self.norm == "l2" else progress.gradient_max
        return code_when(found <= self.tolerance, StopReason.GRADIENT_NORM), state


@value
class target_value(StopRule):
    """Stop where f ≤ target.

    Args:
        target: unit of the value.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.25), max_steps=9, stop=fg.stop.target_value(0.3))
    >>> int(run.steps), float(run.value)
    (2, 0.25)
    """

    target: Scalar = number(schedule=False)

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.value <= self.target, StopReason.TARGET_VALUE), state


@value
class step_size(StopRule):
    """Stop where the last update was short: ‖x_k − x_{k−1}‖₂ ≤ tolerance.

    Args:
        tolerance: in [0, ∞), unit of the parameters.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.25), max_steps=9, stop=fg.stop.step_size(0.3))
    >>> int(run.steps), float(run.params)
    (3, 0.25)
    """

    tolerance: Scalar = number("[0, inf)", schedule=False)
    needs = frozenset({"step_norm"})

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.step_norm <= self.tolerance, StopReason.STEP_SIZE), state


@value
class value_change(StopRule):
    """Stop where the value hardly changes: |f_k − f_{k−1}| ≤ max(absolute, relative·|f_k|).

    Args:
        absolute: in [0, ∞), unit of the value.
        relative: in [0, ∞), no unit.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.25), max_steps=9, stop=fg.stop.value_change(0.2))
    >>> int(run.steps), run.reason.name
    (3, 'VALUE_CHANGE')
    """

    absolute: Scalar = number("[0, inf)", default=0.0, schedule=False)
    relative: Scalar = number("[0, inf)", default=0.0, schedule=False)

    def init(self) -> jax.Array:
        return jnp.array(jnp.inf)

    def test(self, progress: Progress, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        f = jnp.asarray(progress.value, state.dtype)
        little = jnp.abs(f - state) <= jnp.maximum(self.absolute, self.relative * jnp.abs(f))
        return code_when(little, StopReason.VALUE_CHANGE), f


class PatienceState(NamedTuple):
    """The state of `patience`.

    >>> import funcgd as fg
    >>> int(fg.stop.patience(5).init().waited)
    0
    """

    best: jax.Array  # (), the best seen so far; ∞ (mode "min") or −∞ before the first test
    waited: jax.Array  # (), int32: tests since then


@value
class patience(StopRule):
    """Stop when a metric has not improved for a number of tests: early stopping.

    A test is an iteration of `minimize`; in `fit` the end of an epoch where there is validation, else of a chunk of
    steps. An improvement is a change of more than `minimum_change` in the right direction. NaN is none.

    Args:
        tests: how many tests without improvement to allow, at least 1; the next one stops.
        metric: the name of a metric of `fit`, such as "validation accuracy"; None is the monitored value.
        mode: "min" or "max".
        minimum_change: in [0, ∞), unit of the metric.

    Reference: Prechelt, Early stopping – but when?, Neural networks: tricks of the trade, 1998.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x), 1.0, fg.sgd(0.75), max_steps=99, stop=fg.stop.patience(3))
    >>> int(run.steps), run.reason.name  # 1, ¼, −½, ¼, −½
    (4, 'PATIENCE')
    """

    tests: int = static(convert=as_count)
    metric: str | None = static(default=None)
    mode: str = static(default="min", one_of=("min", "max"))
    minimum_change: Scalar = number("[0, inf)", default=0.0, schedule=False)

    @property
    def needs(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return frozenset() if self.metric is None else frozenset({"metrics"})

    def init(self) -> PatienceState:
        return PatienceState(jnp.array(jnp.inf if self.mode == "min" else -jnp.inf), jnp.int32(0))

    def test(self, progress: Progress, state: PatienceState) -> tuple[jax.Array, PatienceState]:
        now = progress.value if self.metric is None else progress.metrics.get(self.metric)
        if now is None:
            known = ", ".join(map(repr, progress.metrics))
            raise ValueError(f"patience: `metric` must be one of {known}; got {self.metric!r}.")
        now = jnp.asarray(now, state.best.dtype)
        gain = state.best - now if self.mode == "min" else now - state.best
        better = gain > self.minimum_change
        waited = jnp.where(better, 0, state.waited + 1)
        new = PatienceState(jnp.where(better, now, state.best), waited)
        return code_when(waited >= self.tests, StopReason.PATIENCE), new


@value
class wall_time(StopRule):
    """Stop when a number of seconds has passed.

    Compiled loops have no clock: the time is read between chunks of steps, so that a run takes a little longer.

    Args:
        seconds: in [0, ∞), from the call, compilation included.

    >>> import funcgd as fg
    >>> fg.stop.wall_time(60) | fg.stop.patience(5)
    wall_time(seconds=60.0) | patience(tests=5, minimum_change=0.0)
    """

    seconds: Scalar = number("[0, inf)", schedule=False)
    needs = frozenset({"clock"})

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.seconds >= self.seconds, StopReason.WALL_TIME), state
