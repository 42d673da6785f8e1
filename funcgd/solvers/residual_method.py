"""Methods that try a step of the linearised residuals, and judge it by how much of the promised decrease it keeps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.least_squares import residuals_of
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params
from funcgd.solvers.linearize import Linear, Point, linearize

GAIN = 1e-4  # the part of the predicted decrease that a step must keep (Moré)


class ResidualState(NamedTuple):
    """The state of methods for least squares, with n coordinates and m residuals.

    >>> import funcgd as fg
    >>> fg.ResidualState._fields[:3]
    ('base', 'value', 'gradient')
    """

    base: jax.Array  # (n,), x_k as a real vector
    value: jax.Array  # (), f(x_k)
    gradient: jax.Array  # (n,), ∇f(x_k)
    linear: Linear  # of the residuals at x_k
    scale: jax.Array  # (n,), D: the largest norm of each column of J so far; 1 where that is 0
    predicted: jax.Array  # (), by how much the model falls from x_k to the trial
    control: Any  # what keeps steps short enough: the damping, or the radius
    trials: jax.Array  # (), int32: rejected since x_k
    count: jax.Array  # (), int32: iterates so far


class Verdict(NamedTuple):
    """What is known about a trial.

    >>> from funcgd.solvers.residual_method import Verdict
    >>> Verdict._fields
    ('first', 'accepted', 'settled', 'gain')
    """

    first: jax.Array  # (), bool: the start, not a trial
    accepted: jax.Array  # (), bool
    settled: jax.Array  # (), bool: the predicted decrease is below the precision of f
    gain: jax.Array  # (), ϱ: the decrease of f by the predicted one; −∞ where the trial is not finite


class ResidualMethod:
    """The base of methods for least squares that try a step p of the linearised residuals.

    A subclass is a value that defines `control(dtype)`, the control of the first step, `adapt(control, verdict, x,
    scale)`, that of the next one, and `trial(linear, scale, control)` → (p, control).

    Where the model promises no more than 10 roundings of f, a trial is accepted if f is the same up to that and the
    gradient is smaller; else the precision is reached, and the method gives up.

    >>> import funcgd as fg
    >>> issubclass(fg.LevenbergMarquardt, fg.ResidualMethod)
    True
    """

    max_trials: int
    searches = True  # trials may be rejected

    def control(self, dtype: Any) -> Any:
        """Before the first step."""
        raise NotImplementedError(f"{type(self).__name__} must define `control(self, dtype)`.")

    def adapt(self, control: Any, verdict: Verdict, x: jax.Array, scale: jax.Array) -> Any:
        """After a trial; x and `scale` are those of the iterate from which the next one starts."""
        raise NotImplementedError(f"{type(self).__name__} must define `adapt(self, control, verdict, x, scale)`.")

    def trial(self, linear: Linear, scale: jax.Array, control: Any) -> tuple[jax.Array, Any]:
        """(p of shape (n,), the control)."""
        raise NotImplementedError(f"{type(self).__name__} must define `trial(self, linear, scale, control)`.")

    def init(self, fun: Callable, x: Params, args: tuple) -> ResidualState:
        """The state before the first evaluation."""
        base = to_vector(x)
        r = jax.eval_shape(residuals_of(type(self).__name__, fun), x, args)[0]
        n, k, dtype = base.size, min(base.size, r.size), r.dtype
        zero, none = jnp.zeros((), dtype), jnp.zeros(n, dtype)
        linear = Linear(jnp.zeros((k, n), dtype), jnp.zeros(k, dtype))
        control, count = self.control(dtype), jnp.int32(0)
        return ResidualState(base, zero, none, linear, jnp.ones_like(none), zero, control, count, count)

    def step(
        self, fun: Callable, x: Params, state: ResidualState, args: tuple
    ) -> tuple[Params, ResidualState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        at = linearize(residuals_of(type(self).__name__, fun), x, args)
        verdict = _judge(state, at)
        first, accepted = verdict.first, verdict.accepted
        trials = jnp.where(accepted, 0, state.trials + 1)

        def pick(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, old)

        base, linear = pick(at.x, state.base), pick(at.linear, state.linear)
        columns = jnp.where(at.columns > 0, at.columns, 1)
        scale = jnp.where(first, columns, pick(jnp.maximum(state.scale, at.columns), state.scale))
        control = self.adapt(state.control, verdict, base, scale)
        p, control = self.trial(linear, scale, control)
        change = linear.matrix @ p

        norm, largest = tree.norm(at.gradient), tree.max_norm(at.gradient)
        lost = verdict.settled | jnp.all(at.x == state.base) | (trials >= self.max_trials)
        code = jnp.where(~accepted & lost, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        code = jnp.where(accepted & (largest == 0), jnp.int32(StopReason.GRADIENT_NORM), code)
        code = jnp.where(first & ~_is_finite(at), jnp.int32(StopReason.NON_FINITE), code)
        state = ResidualState(
            base=base,
            value=pick(at.value, state.value),
            gradient=pick(at.gradient, state.gradient),
            linear=linear,
            scale=scale,
            predicted=-(change @ (linear.offset + change / 2)),
            control=control,
            trials=trials,
            count=state.count + jnp.asarray(accepted, jnp.int32),
        )
        x_next = from_vector(base + jnp.asarray(p, base.dtype), x)
        return x_next, state, Evaluation(at.value, norm, at.aux, accepted, code, largest)


def _judge(state: ResidualState, at: Point) -> Verdict:
    first = state.count == 0
    rounding = 10 * float(jnp.finfo(at.value.dtype).eps) * state.value
    settled = ~first & ~(state.predicted > rounding)  # NaN as well
    gain = jnp.where(_is_finite(at), state.value - at.value, -jnp.inf) / jnp.where(
        state.predicted > 0, state.predicted, 1
    )
    smaller = tree.norm(at.gradient / state.scale) < tree.norm(state.gradient / state.scale)
    enough = jnp.where(settled, smaller & (at.value <= state.value + rounding), gain > GAIN)
    return Verdict(first, first | (_is_finite(at) & enough), settled, gain)


def _is_finite(at: Point) -> jax.Array:
    return jnp.isfinite(at.value) & jnp.all(jnp.isfinite(at.columns)) & jnp.all(jnp.isfinite(at.gradient))
