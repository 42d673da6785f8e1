"""Why a loop ended, what it returns, and the base of the rules that end it."""

import enum
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import is_traced
from funcgd.core.values import value


class StopReason(enum.IntEnum):
    """Why a loop ended: a code that fits into compiled programs, with advice.

    >>> import funcgd as fg
    >>> fg.StopReason.MAX_STEPS.advice
    'Raise max_steps (or epochs), or try a larger learning rate, if the value was still falling.'
    """

    RUNNING = 0
    MAX_STEPS = 1
    GRADIENT_NORM = 2
    TARGET_VALUE = 3
    STEP_SIZE = 4
    NON_FINITE = 5
    VALUE_CHANGE = 6
    PATIENCE = 7
    WALL_TIME = 8
    INTERRUPTED = 9
    UNBOUNDED = 10
    NO_DECREASE = 11
    NOT_QUADRATIC = 12

    def __str__(self) -> str:
        return self.name

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self]

    @property
    def converged(self) -> bool:
        """Whether a rule was met, rather than a limit or a failure."""
        return self in _CONVERGED


_ADVICE = {
    StopReason.RUNNING: "The loop is still running.",
    StopReason.MAX_STEPS: "Raise max_steps (or epochs), or try a larger learning rate, if the value was still falling.",
    StopReason.GRADIENT_NORM: "Converged: the norm of the gradient is within the tolerance.",
    StopReason.TARGET_VALUE: "Converged: the value reached the target.",
    StopReason.STEP_SIZE: "Converged: the parameters no longer move by more than the tolerance.",
    StopReason.VALUE_CHANGE: "Converged: the value no longer changes by more than the tolerance.",
    StopReason.PATIENCE: "No improvement for as long as the patience allows; `best` has the parameters before that.",
    StopReason.WALL_TIME: "Out of time. Go on from `state`, or allow more seconds.",
    StopReason.INTERRUPTED: "Stopped by a signal (Ctrl-C or SIGTERM) after finishing a chunk. Go on from `state`.",
    StopReason.UNBOUNDED: "The objective falls without end: add a penalty or bounds, or look for a sign that is wrong.",
    StopReason.NO_DECREASE: (
        "No point along the search direction was lower. Often this is convergence to the precision of the dtype: look "
        "at the gradient, enable 64-bit types, or ask for less. Else the gradient may not be that of the function "
        "(fg.check_gradient), or the function is not smooth."
    ),
    StopReason.NOT_QUADRATIC: (
        "The method is exact for quadratic objectives (least squares), and this one is none. Take fg.ProximalGradient "
        "or fg.FISTA."
    ),
    StopReason.NON_FINITE: (
        "The value became NaN or infinite; the last good parameters are returned. Lower the learning rate, clip the "
        "gradient (fg.clip_by_global_norm), or look for a logarithm, root or division at zero in the loss, or a label "
        "out of range in the data."
    ),
}


_CONVERGED = {StopReason.GRADIENT_NORM, StopReason.TARGET_VALUE, StopReason.STEP_SIZE, StopReason.VALUE_CHANGE}


class Result(NamedTuple):
    """What `minimize` and `fit` return; a pytree, so also what they return under `vmap`.

    >>> import funcgd as fg
    >>> fg.minimize(lambda x: x**2, 2.0, fg.gradient_descent(0.5), max_steps=3).reason.name
    'MAX_STEPS'
    """

    params: Any  # the last parameters
    best: Any  # the parameters of the lowest monitored value
    value: Any  # (), the monitored value at `best`
    reason: Any  # StopReason; its int32 code where the call was traced
    steps: Any  # (), int32: updates behind `params`
    state: Any  # what continues the run: the optimizer's state (minimize) or the TrainState (fit)
    history: Any  # arrays along the run, by name; None if not recorded
    aux: Any  # what the objective returned beside its value, at `params` (minimize); the model state of `best` (fit)
    evaluations: Any = None  # (), int32: how often minimize has evaluated the objective

    def __repr__(self) -> str:
        arrays = [x for x in jax.tree.leaves(self.params) if hasattr(x, "shape")]
        size = sum(np.size(x) for x in arrays)
        params = repr(self.params) if size <= 10 else f"<{size} numbers in {len(arrays)} arrays>"
        kept = f", history={list(self.history)}" if self.history else ""
        return f"Result(reason={self.reason}, steps={self.steps}, value={self.value}, params={params}{kept})"


class Progress(NamedTuple):
    """What a stopping rule may look at; what it does not use is not computed.

    >>> import funcgd as fg
    >>> fg.Progress(step=3, value=0.5).gradient_norm is None
    True
    """

    step: Any  # (), int32: finished updates
    value: Any  # (), what is minimised: the objective, or the monitored loss
    gradient_norm: Any = None  # (), ‖g‖₂
    step_norm: Any = None  # (), ‖x_k − x_{k−1}‖₂; ∞ before the first update
    metrics: Any = None  # what else is known, scalars by name
    seconds: Any = None  # (), time since the call
    gradient_max: Any = None  # (), ‖g‖∞


class StopRule:
    """The base of stopping rules; combine them with `|` (any) and `&` (all).

    A rule is a value with `init() -> state` and `test(progress, state) -> (code, state)`, both pure; the code is that
    of a `StopReason`, and 0 means go on.

    >>> import funcgd as fg
    >>> fg.stop.gradient_norm(1e-3) | fg.stop.target_value(0.0)
    gradient_norm(tolerance=0.001) | target_value(target=0.0)
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def limit(self) -> float:
        """The step at which the rule stops whatever happens; ∞ if there is none."""
        return math.inf

    def init(self) -> Any:
        """The state of the rule before the first test."""
        return ()

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        """The code of the reason to stop now, or 0; and the next state."""
        raise NotImplementedError(f"{type(self).__name__} must define `test(self, progress, state)`.")

    def __or__(self, other: "StopRule") -> "StopRule":
        return either(self, other)

    def __and__(self, other: "StopRule") -> "StopRule":
        return both(self, other)


class _Pair(StopRule):
    first: StopRule
    second: StopRule
    _symbol: str

    @property
    def needs(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.first.needs | self.second.needs

    def init(self) -> Any:
        return self.first.init(), self.second.init()

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        a, first = self.first.test(progress, state[0])
        b, second = self.second.test(progress, state[1])
        return self._join(a, b), (first, second)

    def _join(self, a: jax.Array, b: jax.Array) -> jax.Array:
        raise NotImplementedError

    def __repr__(self) -> str:
        first, second = (f"({rule!r})" if isinstance(rule, _Pair) else repr(rule) for rule in (self.first, self.second))
        return f"{first} {self._symbol} {second}"


@value
class either(_Pair):
    """Stop when one of two rules says so; the first that does gives the reason.

    >>> import funcgd as fg
    >>> fg.stop.gradient_norm(1e-3) | fg.stop.target_value(0.0)
    gradient_norm(tolerance=0.001) | target_value(target=0.0)
    """

    first: StopRule
    second: StopRule

    _symbol = "|"

    @property
    def limit(self) -> float:
        return min(self.first.limit, self.second.limit)

    def _join(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(a != 0, a, b)


@value
class both(_Pair):
    """Stop when two rules say so at the same step; the first gives the reason.

    >>> import funcgd as fg
    >>> fg.stop.gradient_norm(1e-3) & fg.stop.target_value(0.0)
    gradient_norm(tolerance=0.001) & target_value(target=0.0)
    """

    first: StopRule
    second: StopRule

    _symbol = "&"

    @property
    def limit(self) -> float:
        return max(self.first.limit, self.second.limit)

    def _join(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where((a != 0) & (b != 0), a, 0)


def code_when(condition: jax.Array, reason: StopReason) -> jax.Array:
    """The code of `reason` where `condition` holds, else 0."""
    return jnp.where(condition, jnp.int32(reason), jnp.int32(0))


def as_reason(code: Any) -> Any:
    """The `StopReason` of a concrete scalar code; traced or batched codes stay as they are."""
    return code if is_traced(code) or np.ndim(code) else StopReason(int(code))
