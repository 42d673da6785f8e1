"""The loop of minimize: steps of a method until a rule ends it, as one compiled program or in chunks with a clock."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import is_traced
from funcgd.core.least_squares import Residual, half_square, least_squares
from funcgd.core.method import Evaluation
from funcgd.core.stop import Progress, Result, StopReason
from funcgd.core.types import Params
from funcgd.core.values import release
from funcgd.training import objective, partition

CHUNK_SECONDS = 0.05  # chunks grow to last about this long: the clock is read often, and reading it costs nothing


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Task:
    """What stays the same during the loop, as one argument of the compiled programs."""

    fun: Any  # the user's function, held
    carried: Params  # what does not vary in x, with None in the places of what does
    args: tuple
    method: Any
    stop: Any  # a StopRule or None
    max_steps: Any  # (), int32
    has_aux: bool = dataclasses.field(metadata={"static": True})

    @jax.jit  # so that all who ask for its values, shapes and derivatives share one trace
    def f(self, x: Params, args: tuple) -> tuple[Any, Any]:
        """(value, aux) at what varies in x."""
        if isinstance(self.fun, least_squares):
            r, aux = self.residuals(x, args)
            return half_square(r), aux
        out = release(self.fun)(partition.whole(x, self.carried), *args)
        f_x, aux = out if self.has_aux else (out, None)
        objective.check_scalar("minimize", "`fun`", f_x)
        return f_x, aux

    @jax.jit
    def residuals(self, x: Params, args: tuple) -> tuple[jax.Array, Any]:
        """(the residuals as a vector, aux), where `fun` is a `least_squares`."""
        return self.fun.vector(partition.whole(x, self.carried), *args)

    @property
    def function(self) -> Callable:
        """What the method gets as `fun`."""
        return Residual(self.f, self.residuals) if isinstance(self.fun, least_squares) else self.f

    def feasible(self, x: Params) -> Params:
        """Where the method begins: x, or a point near it, where its constraints do not allow x."""
        return self.method.feasible(x) if hasattr(self.method, "feasible") else x

    def init(self, x: Params) -> Any:
        """The state of the method before its first step."""
        return self.method.init(self.function, x, self.args)

    @jax.jit  # so that all programs, and the question for the shapes of its results, share one trace of `fun`
    def step(self, x: Params, method_state: Any) -> tuple[Params, Any, Evaluation]:
        """A step of the method; where none of its points is ever rejected, `accepted` is None."""
        x, method_state, at_x = self.method.step(self.function, x, method_state, self.args)
        return x, method_state, at_x._replace(accepted=None) if at_x.accepted is True else at_x


class LoopState(NamedTuple):
    """Where the loop stands."""

    k: jax.Array  # (), int32: finished updates
    x: Params  # x_k, or a trial on the way there
    good: Params  # the last iterate whose value was finite
    reached: jax.Array  # (), bool: whether x was one, when it was evaluated
    calls: jax.Array  # (), int32: evaluations
    method_state: Any
    rule_state: Any
    best: Params
    best_value: jax.Array
    code: jax.Array  # (), int32: why the loop ended; 0 while it runs
    aux: Any  # what `fun` returned beside its value, at `good`
    history: dict[str, Any] | None


@functools.partial(jax.jit, static_argnames="recorded")
def run(task: Task, x0: Params, recorded: int | None) -> Result:
    """The whole loop from `x0`, with room to record that many steps."""
    return _finish(_advance(task, _start(task, x0, recorded)))


def run_in_chunks(task: Task, x0: Params, recorded: int | None, began: float) -> Result:
    """`run` for rules that need the clock: it is read between chunks, whose length is an argument of one program.

    Raises:
        ValueError: under an outer trace, where no time passes.
    """
    _refuse_traced((task, x0))
    state, steps = _start_jitted(task, x0, recorded), 1
    while True:
        now = time.perf_counter()
        state = _chunk(task, state, steps, now - began)
        _refuse_traced(state)  # inside jit all arrays are traced, and `fun` itself may hold tracers
        if int(state.code):  # waits for the chunk
            return _finish_jitted(state)
        if time.perf_counter() - now < CHUNK_SECONDS:
            steps *= 2


def _refuse_traced(x: Any) -> None:
    if any(map(is_traced, jax.tree.leaves(x))):
        raise ValueError(
            "minimize: a rule that reads the clock (fg.stop.wall_time) must be used outside of jit, vmap and grad, "
            "because compiled programs have no clock; use fg.stop.max_steps there."
        )


def _start(task: Task, x0: Params, recorded: int | None) -> LoopState:
    x0 = task.feasible(x0)
    method_state = task.init(x0)
    shapes = jax.eval_shape(task.step, x0, method_state)[2]

    def room(row: Any) -> jax.Array:
        return jnp.zeros(((recorded or 0) + 1, *row.shape), row.dtype)

    record = {"params": x0, "value": shapes.value, "gradient_norm": shapes.gradient_norm}
    return LoopState(
        k=jnp.int32(0),
        x=x0,
        good=x0,
        reached=jnp.bool_(False),
        calls=jnp.int32(0),
        method_state=method_state,
        rule_state=() if task.stop is None else task.stop.init(),
        best=x0,
        best_value=jnp.array(jnp.inf, shapes.value.dtype),
        code=jnp.int32(0),
        aux=jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes.aux),
        history=None if recorded is None else jax.tree.map(room, record),
    )


def _advance(task: Task, start: LoopState, steps: Any = None, seconds: Any = None) -> LoopState:
    """From `start` to the end, or by at most that many steps."""

    def go_on(state: LoopState) -> jax.Array:
        running = state.code == 0
        return running if steps is None else running & (state.k - start.k < steps)

    return jax.lax.while_loop(go_on, lambda state: _iterate(task, state, seconds), start)


def _iterate(task: Task, state: LoopState, seconds: Any) -> LoopState:
    """Evaluate at x, test the rules if it is an iterate, and go on if none of them ends the loop."""
    x_next, method_state, at_x = task.step(state.x, state.method_state)
    finite, accepted = jnp.isfinite(at_x.value), True if at_x.accepted is None else at_x.accepted
    step_norm = tree.norm(tree.sub(state.x, state.good))
    step_norm = jnp.where(state.k > 0, step_norm, jnp.full_like(step_norm, jnp.inf))
    progress = Progress(
        state.k, at_x.value, at_x.gradient_norm, step_norm, seconds=seconds, gradient_max=at_x.gradient_max
    )
    code, rule_state = (jnp.int32(0), ()) if task.stop is None else task.stop.test(progress, state.rule_state)
    code = jnp.where((code == 0) & (state.k >= task.max_steps), jnp.int32(StopReason.MAX_STEPS), code)
    failure = jnp.where(at_x.value == -jnp.inf, jnp.int32(StopReason.UNBOUNDED), jnp.int32(StopReason.NON_FINITE))
    code = jnp.where(accepted, jnp.where(finite, code, failure), 0)
    code = jnp.where(code == 0, jnp.asarray(at_x.code, jnp.int32), code)
    go_on, reached, better = code == 0, accepted & finite, finite & (at_x.value < state.best_value)
    if at_x.accepted is None:  # an optimizer's state is that after as many updates as there were steps
        method_state = tree.where(go_on, method_state, state.method_state)
    history = state.history
    if history is not None:
        now = {"params": state.x, "value": at_x.value, "gradient_norm": at_x.gradient_norm}
        history = jax.tree.map(
            lambda rows, row: rows.at[state.k].set(jnp.where(accepted, row, rows[state.k])), history, now
        )
    return LoopState(
        k=jnp.where(go_on & accepted, state.k + 1, state.k),
        x=x_next,
        good=tree.where(reached, state.x, state.good),
        reached=reached,
        calls=state.calls + 1,
        method_state=method_state,
        rule_state=tree.where(accepted, rule_state, state.rule_state),
        best=tree.where(better, state.x, state.best),
        best_value=jnp.where(better, at_x.value, state.best_value),
        code=code,
        aux=tree.where(reached, at_x.aux, state.aux),
        history=history,
    )


def _finish(end: LoopState) -> Result:
    return Result(
        params=end.good,
        best=end.best,
        value=end.best_value,
        reason=end.code,
        steps=jnp.where(end.reached | (end.k == 0), end.k, end.k - 1),
        state=end.method_state,
        history=end.history,
        aux=end.aux,
        evaluations=end.calls,
    )


_start_jitted = jax.jit(_start, static_argnames="recorded")
_chunk = jax.jit(_advance)
_finish_jitted = jax.jit(_finish)
