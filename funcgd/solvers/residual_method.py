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
from funcgd.solvers.linearize import Point, in_coordinates, linearize
from funcgd.solvers.verdict import Verdict, judge

GAIN = 1e-4  # the part of the predicted decrease that a step must keep (Moré)


class ResidualState(NamedTuple):
    """The state of methods for least squares, with n coordinates and m residuals.

    >>> import funcgd as fg
    >>> fg.ResidualState._fields[:3]
    ('at', 'scale', 'predicted')
    """

    at: Point  # x_k, and what is known there
    scale: jax.Array  # (n,), D: the norms of the columns of J, each at least half of what it was before; never 0
    predicted: jax.Array  # (), by how much the model falls from x_k to the trial
    control: Any  # what keeps steps short enough: the damping, the radius, or the length
    trials: jax.Array  # (), int32: rejected since x_k
    count: jax.Array  # (), int32: iterates so far

    @property
    def value(self) -> jax.Array:
        """(), f(x_k)."""
        return self.at.value


class Proposal(NamedTuple):
    """The next trial, x_k + p.

    >>> from funcgd.solvers.residual_method import Proposal
    >>> Proposal._fields
    ('p', 'predicted', 'control')
    """

    p: jax.Array  # (n,)
    predicted: jax.Array  # (), by how much the model falls
    control: Any


class ResidualMethod:
    """The base of methods for nonlinear least squares that accept or reject each trial.

    A subclass is a value that defines `control(dtype)`, the control of the first step,
    `adapt(control, verdict, x, scale)`, that of the next one, and `propose(at, scale, control, bend)`, the next trial.

    Where the model promises no more than 10 roundings of f, a trial is accepted if f is the same up to that and the
    gradient is smaller; else the precision is reached, and the method gives up.

    The scale D keeps the method invariant to the units of x and r. Moré's never falls; this one does, by half in a
    step where a subclass has no other `forget`, because what was steep far away says little about the end of a long
    way.

    Reference: Moré, The Levenberg–Marquardt algorithm, Lecture notes in mathematics 630, 1978.

    >>> import funcgd as fg
    >>> issubclass(fg.LevenbergMarquardt, fg.ResidualMethod)
    True
    """

    max_trials: int
    forget: Any = 0.5  # by this factor the scale of a coordinate may fall in a step

    def control(self, dtype: Any) -> Any:
        """Before the first step."""
        raise NotImplementedError(f"{type(self).__name__} must define `control(self, dtype)`.")

    def adapt(self, control: Any, verdict: Verdict, x: jax.Array, scale: jax.Array) -> Any:
        """After a trial; x and `scale` are those of the iterate from which the next one starts."""
        raise NotImplementedError(f"{type(self).__name__} must define `adapt(self, control, verdict, x, scale)`.")

    def propose(self, at: Point, scale: jax.Array, control: Any, bend: Callable) -> Proposal:
        """The next trial from an iterate; bend(p) of shape (m,) is the second derivative of the residuals along p."""
        raise NotImplementedError(f"{type(self).__name__} must define `propose(self, at, scale, control, bend)`.")

    def init(self, fun: Callable, x: Params, args: tuple) -> ResidualState:
        """The state before the first evaluation."""
        residuals = residuals_of(type(self).__name__, fun)
        at = tree.zeros_like(jax.eval_shape(lambda: linearize(residuals, x, args)[0]))
        at, none = at._replace(x=to_vector(x)), jnp.int32(0)
        control = self.control(at.value.dtype)
        return ResidualState(at, tree.ones_like(at.columns), tree.zeros_like(at.value), control, none, none)

    def step(
        self, fun: Callable, x: Params, state: ResidualState, args: tuple
    ) -> tuple[Params, ResidualState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        residuals = residuals_of(type(self).__name__, fun)
        here, aux = linearize(residuals, x, args)
        verdict = judge(
            state,
            here.value,
            finite=here.is_finite,
            smaller=tree.norm(here.gradient / state.scale) < tree.norm(state.at.gradient / state.scale),
            moved=jnp.any(here.x != state.at.x),
            least=GAIN,
            max_trials=self.max_trials,
        )
        at = tree.where(verdict.accepted, here, state.at)
        columns = at.columns
        falling = jnp.maximum(columns, self.forget * state.scale)
        known = jnp.where(verdict.accepted & (columns > 0), falling, state.scale)
        scale = jnp.where(verdict.first & (columns > 0), columns, known)
        control = self.adapt(state.control, verdict, at.x, scale)
        p, predicted, control = self.propose(at, scale, control, _bend(residuals, from_vector(at.x, x), args))

        largest = tree.max_norm(here.gradient)
        solved = verdict.accepted & (largest == 0)
        code = jnp.where(solved, jnp.int32(StopReason.GRADIENT_NORM), verdict.code)
        count = state.count + jnp.asarray(verdict.accepted, jnp.int32)
        state = ResidualState(at, scale, predicted, control, verdict.trials, count)
        x_next = from_vector(at.x + jnp.asarray(p, at.x.dtype), x)
        norm = tree.norm(here.gradient)
        return x_next, state, Evaluation(here.value, norm, aux, verdict.accepted, code, largest)


def _bend(residuals: Callable, x: Params, args: tuple) -> Callable:
    r_of, v = in_coordinates(residuals, x, args), to_vector(x)

    def bend(p: jax.Array) -> jax.Array:
        p = jnp.asarray(p, v.dtype)

        def slope(v: jax.Array) -> jax.Array:
            return jax.jvp(lambda v: r_of(v)[0], (v,), (p,))[1]

        return jax.jvp(slope, (v,), (p,))[1]

    return bend
