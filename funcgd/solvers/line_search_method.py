"""A method that is a descent times a search: which way to go, and how far."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params
from funcgd.line_searches.search import ACCEPT, GIVE_UP, GO_ON, LineSearch, Trial


class LineState(NamedTuple):
    """Where a method stands on a line.

    >>> from funcgd.solvers.line_search_method import LineState
    >>> LineState._fields[:3]
    ('base', 'grads', 'direction')
    """

    base: Params  # x_k, where the line begins
    grads: Params  # ∇f(x_k)
    direction: Params  # p_k
    start: Trial  # at x_k
    step: jax.Array  # (), α: where the next evaluation is
    search: Any  # state of the search
    memory: Any  # state of the descent
    count: jax.Array  # (), int32: iterates so far


class LineSearchMethod:
    """The base of methods that are a descent times a search.

    A subclass is a value with a field `search` and defines how directions are chosen: `direction(memory, x, grads)`,
    which should lead downhill, and `first_step`, the α to try first; where it has a memory also `remember`, `learn` and
    `forget`. With constraints it defines `fallback`, `longest`, `feasible` and `residual`, too.

    Each evaluation of `fun` is one step of the loop: the state knows the line, and what was found on it decides whether
    the point becomes the next iterate. So `fun` stands at one place of the program, and members of a population wait
    for each other at no search. Where p does not lead downhill, −∇f takes its place and the memory is forgotten.

    >>> import funcgd as fg
    >>> issubclass(fg.SteepestDescent, fg.LineSearchMethod)
    True
    """

    search: LineSearch

    def remember(self, x: Params, grads: Params) -> Any:
        """The memory before the first step; called with shapes only, so it may not depend on the numbers."""
        del x, grads
        return ()

    def direction(self, memory: Any, x: Params, grads: Params) -> Params:
        """p, from an iterate."""
        raise NotImplementedError(f"{type(self).__name__} must define `direction(self, memory, x, grads)`.")

    def descend(self, fun: Callable, args: tuple, memory: Any, x: Params, grads: Params) -> Params:
        """`direction`, for descents that ask `fun` for more than its gradient, at iterates only."""
        del fun, args
        return self.direction(memory, x, grads)

    def learn(self, memory: Any, step: "Step") -> Any:
        """The memory after a step; also called at the very first iterate, where `step.first` holds and s is 0."""
        del step
        return memory

    def forget(self, memory: Any, when: jax.Array, x: Params, grads: Params) -> Any:
        """The memory, or where `when` holds that of a new beginning."""
        return tree.where(when, self.remember(x, grads), memory)

    def fallback(self, x: Params, grads: Params) -> Params:
        """What leads downhill for sure."""
        del x
        return jax.tree.map(jnp.negative, grads)

    def reference(self, memory: Any, value: jax.Array) -> jax.Array:
        """What a trial must be lower than: f(x), or more where the descent need not be monotone."""
        del memory
        return value

    def longest(self, x: Params, direction: Params) -> jax.Array | None:
        """The largest α that keeps x + αp feasible; None without constraints."""
        del x, direction
        return None

    def feasible(self, x: Params) -> Params:
        """The nearest feasible point: where the method begins, and what rounding errors of a trial lead back to."""
        return x

    def residual(self, x: Params, grads: Params) -> Params:
        """What is 0 at a solution."""
        del x
        return grads

    def first_step(self, memory: Any, direction: Params, slope: jax.Array, step: "Step", first: Any) -> jax.Array:
        """α to try first; `first` says that there was no step before this one."""
        del memory, direction, step, first
        return jnp.ones_like(slope)

    def init(self, fun: Callable, x: Params, args: tuple) -> LineState:
        """The state before the first evaluation: a line of length 0."""
        value, _ = jax.eval_shape(fun, x, args)
        zero, none = jnp.zeros((), value.dtype), tree.zeros_like(x)
        start = Trial(zero, zero, zero)
        search = tree.zeros_like(jax.eval_shape(self.search.begin, start, zero))  # there is none yet
        return LineState(x, none, none, start, zero, search, self.remember(x, none), jnp.int32(0))

    def step(self, fun: Callable, x: Params, state: LineState, args: tuple) -> tuple[Params, LineState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        grads = jax.tree.map(jnp.conj, grads)
        real = state.start.value.dtype
        trial = Trial(state.step, f, jnp.asarray(tree.real_vdot(grads, state.direction), real))
        search, verdict, other = self.search.judge(state.search, state.start, trial)
        accepted = (state.count == 0) | (verdict == ACCEPT) | self._at_the_end(state, trial, verdict, other)
        accepted = accepted | (f == -jnp.inf)  # nothing is lower: the loop says UNBOUNDED
        state = jax.lax.cond(
            accepted,
            lambda: self._next_line(state, x, grads, trial, functools.partial(self.descend, fun, args)),
            lambda: self._same_line(state, search, jnp.asarray(other, real)),
        )
        residual = self.residual(x, grads)
        x = self.feasible(tree.add_scale(state.base, state.step, state.direction))
        gave_up = (~accepted & (verdict == GIVE_UP)) | tree.equal(x, state.base)  # or the step is lost in rounding
        code = jnp.where(gave_up, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        code = jnp.where(accepted & ~jnp.isfinite(trial.slope), jnp.int32(StopReason.NON_FINITE), code)
        return x, state, Evaluation(f, tree.norm(residual), aux, accepted, code, tree.max_norm(residual))

    def _next_line(self, line: LineState, x: Params, grads: Params, trial: Trial, descend: Callable) -> LineState:
        real, f = line.start.value.dtype, trial.value
        taken = Step(line, x, grads, f, trial)
        memory = self.learn(line.memory, taken)
        p = descend(memory, x, grads)
        slope = jnp.asarray(tree.real_vdot(grads, p), real)
        uphill = ~(slope < 0)  # NaN as well

        def begin_anew() -> tuple[Any, Params, jax.Array]:
            down = self.fallback(x, grads)
            return self.forget(memory, uphill, x, grads), down, jnp.asarray(tree.real_vdot(grads, down), real)

        memory, p, slope = jax.lax.cond(uphill, begin_anew, lambda: (memory, p, slope))
        step = self.first_step(memory, p, slope, taken, taken.first | uphill)
        step = self.search.first_trial(jnp.asarray(step, real))
        start = Trial(jnp.zeros((), real), self.reference(memory, f), slope)
        return LineState(
            x, grads, p, start, self._within(x, p, step), self.search.begin(start, step), memory, line.count + 1
        )

    def _same_line(self, line: LineState, search: Any, step: jax.Array) -> LineState:
        return line._replace(step=self._within(line.base, line.direction, step), search=search)

    def _within(self, x: Params, direction: Params, step: jax.Array) -> jax.Array:
        longest = self.longest(x, direction)
        return step if longest is None else jnp.minimum(step, jnp.asarray(longest, step.dtype))

    def _at_the_end(self, line: LineState, trial: Trial, verdict: jax.Array, other: Any) -> jax.Array:
        """Whether the search wants to go on beyond the boundary that the trial lies on: that is far enough."""
        longest = self.longest(line.base, line.direction)
        if longest is None:
            return jnp.bool_(False)
        beyond = (trial.step >= longest) & (other > trial.step) & (verdict == GO_ON)
        return beyond & (trial.value <= line.start.value) & jnp.isfinite(trial.slope)


class Step(NamedTuple):
    """A step between two iterates, from `line.base` to `x`.

    >>> from funcgd.solvers.line_search_method import Step
    >>> Step._fields
    ('line', 'x', 'grads', 'value', 'trial')
    """

    line: LineState  # that it was made on
    x: Params  # the new iterate
    grads: Params  # there
    value: jax.Array  # there
    trial: Trial  # the one that was accepted

    @property
    def first(self) -> jax.Array:
        """(), bool: whether there was no step, x being where the method begins."""
        return self.line.count == 0

    @property
    def s(self) -> Params:
        """x_{k+1} − x_k."""
        return tree.sub(self.x, self.line.base)

    @property
    def y(self) -> Params:
        """∇f(x_{k+1}) − ∇f(x_k)."""
        return tree.sub(self.grads, self.line.grads)
