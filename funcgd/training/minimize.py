"""Run a method to convergence, as one compiled loop."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import describe, is_traced
from funcgd.core.stop import Progress, Result, StopReason, StopRule, as_reason
from funcgd.core.transform import Transform, as_transform
from funcgd.core.types import Params
from funcgd.core.values import hold, release, value
from funcgd.training import objective, partition
from funcgd.training.step import ascent


class Evaluation(NamedTuple):
    """What a method knows at a point.

    >>> import funcgd as fg
    >>> fg.Evaluation(value=1.0, gradient_norm=0.5, aux=None).value
    1.0
    """

    value: Any  # (), f(x)
    gradient_norm: Any  # (), ‖∇f(x)‖₂
    aux: Any = None  # what fun returned beside its value


@value
class FirstOrder:
    """The method that a transform is: one gradient, one update.

    Methods are values with `init(fun, x, args) -> state` and `step(fun, x, state, args) -> (x, state, evaluation)`,
    both pure, where `fun(x, args) -> (value, aux)` and the evaluation is that of the point before the step.

    >>> import funcgd as fg
    >>> fg.FirstOrder(fg.sgd(0.1))
    FirstOrder(tx=sgd(learning_rate=0.1))
    """

    tx: Transform

    def init(self, fun: Callable, x: Params, args: tuple) -> Any:
        """The optimizer's state."""
        del fun, args
        return self.tx.init(x)

    def step(self, fun: Callable, x: Params, state: Any, args: tuple) -> tuple[Params, Any, Evaluation]:
        """One update, and the evaluation before it."""
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        grads = ascent(grads)
        updates, state = self.tx.update(grads, state, x, value=f, grad=grads, value_fn=lambda x: fun(x, args)[0])
        return apply_updates(x, updates), state, Evaluation(f, tree.norm(grads), aux)


class _Loop(NamedTuple):
    k: jax.Array  # (), int32: finished updates
    x: Params  # x_k
    good: Params  # the last point whose value was finite
    method_state: Any
    rule_state: Any
    best: Params
    best_value: jax.Array
    step_norm: jax.Array  # ‖x_k − x_{k−1}‖
    code: jax.Array  # (), int32: why the loop ended; 0 while it runs
    evaluation: Evaluation  # at the point visited last
    history: dict[str, Any] | None


def minimize(
    fun: Callable,
    x0: Params,
    method: Any,
    *,
    args: tuple = (),
    max_steps: int,
    stop: StopRule | None = None,
    has_aux: bool = False,
    record: bool = False,
) -> Result:
    """Minimise `fun(x, *args)` over the pytree x, from `x0`, by one compiled loop.

    `fun` is traced once; the optimizer, `args`, tolerances and (without `record`) `max_steps` are arguments of the
    compiled program, so other numbers do not recompile. Works under `jit` and `vmap`; there, members that finish are
    frozen.

    Args:
        fun: x, *args → a real scalar; with `has_aux` → (scalar, anything).
        x0: where to start; floats and floating or complex arrays vary, everything else is carried.
        method: any transform, or a value with the `init` and `step` of `FirstOrder`.
        args: further arguments of `fun`, a tuple of pytrees.
        max_steps: the largest number of updates, at least 0.
        stop: a stopping rule, such as `fg.stop.gradient_norm(1e-6)`; None runs all steps.
        has_aux: whether `fun` returns something beside its value.
        record: keep the whole run in `history`: "params", "value" and "gradient_norm" at x₀, x₁, …

    Returns:
        A `Result`. `params` is the last point, `best` and `value` the point of the lowest value met, `reason` says why
        it ended, with `.advice`. If the value becomes NaN or infinite, `params` is the last point where it was finite.

    Raises:
        TypeError: if `fun` returns no real scalar, or nothing in `x0` can vary.
        ValueError: if `max_steps` is negative, or the rule needs a clock or metrics.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: (x - 3) ** 2, 0.0, fg.sgd(0.5), max_steps=10, stop=fg.stop.gradient_norm(1e-6))
    >>> float(run.params), run.reason.name, int(run.steps)
    (3.0, 'GRADIENT_NORM', 1)
    """
    if not callable(fun):
        raise TypeError(f"minimize: `fun` must be a function x, *args → value, got {describe(fun)}.")
    if not isinstance(args, tuple):
        raise TypeError(f"minimize: `args` must be a tuple of further arguments of `fun`, got {describe(args)}.")
    if stop is not None and not isinstance(stop, StopRule):
        raise TypeError(f"minimize: `stop` must be a stopping rule such as fg.stop.gradient_norm(1e-6), got {stop!r}.")
    refused = set() if stop is None else stop.needs & {"clock", "metrics"}
    if refused:
        raise ValueError(f"minimize: `stop` needs {', '.join(refused)}, which only fg.fit has; got {stop!r}.")
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or max_steps < 0:
        raise ValueError(f"minimize: `max_steps` must be an integer of at least 0, got {max_steps!r}.")
    x0 = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)) if isinstance(x, (float, complex)) else x, x0)
    x0 = partition.pack("minimize", "x0", x0)
    if not hasattr(method, "step"):
        method = FirstOrder(as_transform("minimize", method))
    result = _minimize(hold(fun), x0, method, args, int(max_steps), stop, has_aux, int(max_steps) if record else None)
    history = result.history
    if history is not None and not is_traced(result.steps) and not np.ndim(result.steps):
        history = jax.tree.map(lambda rows: rows[: int(result.steps) + 1], history)
    return result._replace(
        params=partition.unpack(result.params),
        best=partition.unpack(result.best),
        reason=as_reason(result.reason),
        history=history if history is None else {**history, "params": partition.unpack(history["params"])},
    )


@functools.partial(jax.jit, static_argnames=("has_aux", "recorded"))
def _minimize(
    held: Any, x0: Params, method: Any, args: tuple, max_steps: Any, stop: Any, has_aux: bool, recorded: int | None
) -> Result:
    fun = release(held)
    trained, carried = partition.split(x0)

    def f(x: Params, args: tuple) -> tuple[Any, Any]:
        out = fun(partition.unpack(partition.merge(x, carried)), *args)
        f_x, aux = out if has_aux else (out, None)
        objective.check_scalar("minimize", "`fun`", f_x)
        return f_x, aux

    # Compiled as a unit, so that asking for the shapes of its results does not trace `fun` a second time.
    advance = jax.jit(lambda x, state: method.step(f, x, state, args))
    method_state = method.init(f, trained, args)
    shapes = jax.eval_shape(advance, trained, method_state)[2]
    real = shapes.value.dtype

    def body(loop: _Loop) -> _Loop:
        x_next, method_state, at_x = advance(loop.x, loop.method_state)
        progress = Progress(loop.k, at_x.value, at_x.gradient_norm, loop.step_norm)
        code, rule_state = (jnp.int32(0), ()) if stop is None else stop.test(progress, loop.rule_state)
        code = jnp.where((code == 0) & (loop.k >= max_steps), jnp.int32(StopReason.MAX_STEPS), code)
        finite = jnp.isfinite(at_x.value)
        code = jnp.where(finite, code, jnp.int32(StopReason.NON_FINITE))
        go_on, better = code == 0, finite & (at_x.value < loop.best_value)
        history = loop.history
        if history is not None:
            now = {"params": loop.x, "value": at_x.value, "gradient_norm": at_x.gradient_norm}
            history = jax.tree.map(lambda rows, row: rows.at[loop.k].set(row), history, now)
        return _Loop(
            k=jnp.where(go_on, loop.k + 1, loop.k),
            x=_where(go_on, x_next, loop.x),
            good=_where(finite, loop.x, loop.good),
            method_state=_where(go_on, method_state, loop.method_state),
            rule_state=rule_state,
            best=_where(better, loop.x, loop.best),
            best_value=jnp.where(better, at_x.value, loop.best_value),
            step_norm=tree.norm(tree.sub(x_next, loop.x)),
            code=code,
            evaluation=at_x,
            history=history,
        )

    def room(row: Any) -> jax.Array:
        return jnp.zeros(((recorded or 0) + 1, *row.shape), row.dtype)

    record = {"params": trained, "value": shapes.value, "gradient_norm": shapes.gradient_norm}
    start = _Loop(
        k=jnp.int32(0),
        x=trained,
        good=trained,
        method_state=method_state,
        rule_state=() if stop is None else stop.init(),
        best=trained,
        best_value=jnp.array(jnp.inf, real),
        step_norm=jnp.full_like(tree.norm(trained), jnp.inf),
        code=jnp.int32(0),
        evaluation=jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
        history=None if recorded is None else jax.tree.map(room, record),
    )
    end = jax.lax.while_loop(lambda loop: loop.code == 0, body, start)
    failed = (end.code == StopReason.NON_FINITE) & (end.k > 0)
    return Result(
        params=partition.merge(_where(failed, end.good, end.x), carried),
        best=partition.merge(end.best, carried),
        value=end.best_value,
        reason=end.code,
        steps=jnp.where(failed, end.k - 1, end.k),
        state=end.method_state,
        history=end.history,
        aux=end.evaluation.aux,
    )


def _where(condition: jax.Array, x: Any, y: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)
