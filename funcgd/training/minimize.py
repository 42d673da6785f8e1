"""Run a method to convergence, as one compiled loop."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, is_traced
from funcgd.core.least_squares import least_squares
from funcgd.core.stop import Result, StopRule, as_reason
from funcgd.core.transform import as_transform
from funcgd.core.types import Params
from funcgd.core.values import hold
from funcgd.training import partition
from funcgd.training.implicit import run_implicit
from funcgd.training.method import FirstOrder
from funcgd.training.minimize_loop import Task, run, run_in_chunks
from funcgd.training.unroll import run_unrolled


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
    differentiate: str | None = None,
) -> Result:
    """Minimise `fun(x, *args)` over the pytree x, from `x0`, by one compiled loop.

    `fun` is traced once; the optimizer, `args`, tolerances and (without `record`) `max_steps` are arguments of the
    compiled program, so other numbers do not recompile. Works under `jit` and `vmap`; there, members that finish are
    frozen. A rule that reads the clock splits the loop into chunks of some 0.05 s, which change no digit; it is refused
    under `jit`, `vmap` and `grad`.

    Args:
        fun: x, *args → a real scalar; with `has_aux` → (scalar, anything). Methods for least squares need an
            `fg.least_squares(residuals)`, which all others minimise, too.
        x0: where to start; floats and floating or complex arrays vary, everything else is carried.
        method: any transform, or a value with the `init` and `step` of `FirstOrder`.
        args: further arguments of `fun`, a tuple of pytrees.
        max_steps: the largest number of updates, at least 0.
        stop: a stopping rule, such as `fg.stop.gradient_norm(1e-6)`; None runs all steps.
        has_aux: whether `fun` returns something beside its value.
        record: keep the whole run in `history`: "params", "value" and "gradient_norm" at x₀, x₁, …
        differentiate: None, "implicit" or "unroll". "implicit": `params`, `best`, `value` and `aux` vary with `args` as
            a solution does, whatever the steps were, by the conditions for it (∇f = 0, or the method's own), in either
            mode and any order, in the memory of one evaluation; NaN where they do not determine the derivative.
            "unroll": reverse-mode derivatives of the result with respect to `args`, `x0` and the method's numbers are
            those of the steps taken, their number being constant. Memory grows like √max_steps (with `record` like
            max_steps); a gradient takes the time of some seven runs; other `max_steps` recompile.

    Returns:
        A `Result`. `params` is the last point, `best` and `value` the point of the lowest value met, `reason` says why
        it ended, with `.advice`. If the value becomes NaN or infinite, `params` is the last point where it was finite.

    Raises:
        TypeError: if `fun` returns no real scalar, or nothing in `x0` can vary.
        ValueError: if `max_steps` is negative, the method needs random keys, or the rule needs metrics; if it needs the
            clock under an outer trace or with `differentiate`.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: (x - 3) ** 2, 0.0, fg.sgd(0.5), max_steps=10, stop=fg.stop.gradient_norm(1e-6))
    >>> float(run.params), run.reason.name, int(run.steps)
    (3.0, 'GRADIENT_NORM', 1)
    """
    began = time.perf_counter()
    _check(fun, method, args, max_steps, stop, has_aux, differentiate)
    x0 = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)) if isinstance(x, (float, complex)) else x, x0)
    trained, carried = partition.split(partition.pack("minimize", "x0", x0))
    if not hasattr(method, "step"):
        method = FirstOrder(as_transform("minimize", method))
    max_steps = int(max_steps)
    task = Task(hold(fun), carried, args, method, stop, max_steps, has_aux)
    if differentiate == "unroll":
        result = run_unrolled(task, trained, max_steps, record)
    elif differentiate == "implicit":
        result = run_implicit(task, trained, max_steps if record else None)
    elif stop is not None and "clock" in stop.needs:
        result = run_in_chunks(task, trained, max_steps if record else None, began)
    else:
        result = run(task, trained, max_steps if record else None)
    history = result.history
    if history is not None and not is_traced(result.steps) and not np.ndim(result.steps):
        history = jax.tree.map(lambda rows: rows[: int(result.steps) + 1], history)
    return result._replace(
        params=partition.whole(result.params, carried),
        best=partition.whole(result.best, carried),
        reason=as_reason(result.reason),
        history=history if history is None else {**history, "params": partition.unpack(history["params"])},
    )


def _check(fun: Any, method: Any, args: Any, max_steps: Any, stop: Any, has_aux: Any, differentiate: Any) -> None:
    if not callable(fun):
        raise TypeError(f"minimize: `fun` must be a function x, *args → value, got {describe(fun)}.")
    if isinstance(fun, least_squares) and fun.has_aux != has_aux:
        raise ValueError(f"minimize: `has_aux` must be that of `fun`, got {has_aux} and {fun!r}.")
    if not isinstance(args, tuple):
        raise TypeError(f"minimize: `args` must be a tuple of further arguments of `fun`, got {describe(args)}.")
    if stop is not None and not isinstance(stop, StopRule):
        raise TypeError(f"minimize: `stop` must be a stopping rule such as fg.stop.gradient_norm(1e-6), got {stop!r}.")
    if differentiate not in (None, "implicit", "unroll"):
        raise ValueError(f"minimize: `differentiate` must be None, 'implicit' or 'unroll', got {differentiate!r}.")
    needs = frozenset() if stop is None else stop.needs
    if "metrics" in needs:
        raise ValueError(f"minimize: `stop` needs metrics, which only fg.fit has; got {stop!r}.")
    watched = sorted(getattr(method, "watches", ()))
    if watched:
        raise ValueError(f"minimize: the optimizer watches {watched[0]!r}, which only fg.fit measures.")
    if "clock" in needs and differentiate is not None:
        raise ValueError(f"minimize: `stop` must not read the clock where `differentiate` is given, got {stop!r}.")
    if "key" in getattr(method, "needs", ()):
        raise ValueError(
            f"minimize: `method` must not need random keys, which only the training step has; got {method!r}."
        )
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or max_steps < 0:
        raise ValueError(f"minimize: `max_steps` must be an integer of at least 0, got {max_steps!r}.")
