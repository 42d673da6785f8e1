"""A method that is a descent times a search: which way to go, and how far."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params
from funcgd.line_searches.search import ACCEPT, GIVE_UP, LineSearch, Trial


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

    A subclass is a value with a field `search` and defines how directions are chosen:
    `remember(x, grads) -> memory` before the first one, `direction(memory, x, grads) -> p`, which should lead
    downhill, `learn(memory, line) -> memory` from a `Step` between two iterates, and `first_step(memory, line) -> α`.

    Each evaluation of `fun` is one step of the loop: the state knows the line, and what was found on it decides whether
    the point becomes the next iterate. So `fun` stands at one place of the program, and members of a population wait
    for each other at no search. Where p does not lead downhill, −∇f takes its place and the memory is forgotten.

    >>> import funcgd as fg
    >>> issubclass(fg.SteepestDescent, fg.LineSearchMethod)
    True
    """

    search: LineSearch
    searches = True  # trials may be rejected

    def remember(self, x: Params, grads: Params) -> Any:
        """The memory before the first step; called with shapes only, so it may not depend on the numbers."""
        del x, grads
        return ()

    def direction(self, memory: Any, x: Params, grads: Params) -> Params:
        """p, from an iterate."""
        raise NotImplementedError(f"{type(self).__name__} must define `direction(self, memory, x, grads)`.")

    def learn(self, memory: Any, step: "Step") -> Any:
        """The memory after a step."""
        del step
        return memory

    def first_step(self, memory: Any, direction: Params, slope: jax.Array, step: "Step", first: Any) -> jax.Array:
        """α to try first; `first` says that there was no step before this one."""
        raise NotImplementedError(f"{type(self).__name__} must define `first_step(…)`.")

    def init(self, fun: Callable, x: Params, args: tuple) -> LineState:
        """The state before the first evaluation: a line of length 0."""
        value, _ = jax.eval_shape(fun, x, args)
        zero, none = jnp.zeros((), value.dtype), tree.zeros_like(x)
        start = Trial(zero, zero, zero)
        memory = self.remember(x, none)
        return LineState(x, none, none, start, zero, self.search.begin(start, zero), memory, jnp.int32(0))

    def step(self, fun: Callable, x: Params, state: LineState, args: tuple) -> tuple[Params, LineState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        grads = jax.tree.map(jnp.conj, grads)
        real = state.start.value.dtype
        trial = Trial(state.step, f, jnp.asarray(tree.real_vdot(grads, state.direction), real))
        search, verdict, shorter = self.search.judge(state.search, state.start, trial)
        first = state.count == 0
        accepted = first | (verdict == ACCEPT)

        def next_line(_: None) -> LineState:
            taken = Step(state, x, grads, f, trial)
            memory = self.learn(state.memory, taken)
            memory = jax.tree.map(lambda a, b: jnp.where(first, a, b), state.memory, memory)
            p = self.direction(memory, x, grads)
            slope = jnp.asarray(tree.real_vdot(grads, p), real)
            uphill = ~(slope < 0)  # NaN as well
            p = jax.tree.map(lambda a, g: jnp.where(uphill, -g, a), p, grads)
            memory = jax.tree.map(lambda a, b: jnp.where(uphill, a, b), self.remember(x, grads), memory)
            slope = jnp.where(uphill, -jnp.asarray(tree.real_vdot(grads, grads), real), slope)
            step = jnp.asarray(self.first_step(memory, p, slope, taken, first | uphill), real)
            start = Trial(jnp.zeros((), real), f, slope)
            return LineState(x, grads, p, start, step, self.search.begin(start, step), memory, state.count + 1)

        def same_line(_: None) -> LineState:
            return state._replace(step=jnp.asarray(shorter, real), search=search)

        state = jax.lax.cond(accepted, next_line, same_line, None)
        x_next = tree.add_scale(state.base, state.step, state.direction)
        gave_up = ~accepted & (verdict == GIVE_UP)
        code = jnp.where(gave_up, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        return x_next, state, Evaluation(f, tree.norm(grads), aux, accepted, code, tree.max_norm(grads))


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
    def s(self) -> Params:
        """x_{k+1} − x_k."""
        return tree.sub(self.x, self.line.base)

    @property
    def y(self) -> Params:
        """∇f(x_{k+1}) − ∇f(x_k)."""
        return tree.sub(self.grads, self.line.grads)
