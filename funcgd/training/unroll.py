"""The derivative of minimize by unrolling: the steps that the loop has taken, again, in a form that JAX can reverse."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.method import Evaluation
from funcgd.core.stop import Result
from funcgd.core.types import Params
from funcgd.training.minimize_loop import Task, run
from funcgd.training.segments import scan_in_segments


class _Carry(NamedTuple):
    x: Params  # x_k
    method_state: Any
    best: Params
    best_value: jax.Array


@functools.partial(jax.jit, static_argnames=("max_steps", "record"))
def run_unrolled(task: Task, x0: Params, max_steps: int, record: bool) -> Result:
    """`run`, differentiable in reverse mode with respect to `x0` and the numbers in `task`.

    The plain loop finds the number of steps K and the reason, which are piecewise constant. Then a scan over
    `max_steps`, checkpointed by segments, takes those K steps and skips the others: the step beyond x_K, that the loop
    computes and drops, does not occur in it, so it leaves no NaN in the derivative.
    """
    x0 = task.feasible(x0)
    start, segment = task.init(x0), math.isqrt(max(max_steps - 1, 0)) + 1
    shapes = jax.eval_shape(task.step, x0, start)[2]
    if shapes.accepted is not None:
        raise ValueError(
            f"minimize: `differentiate` must be 'implicit' or None for a method that may reject trials, got 'unroll' "
            f"with {type(task.method).__name__}."
        )
    found = run(*jax.tree.map(jax.lax.stop_gradient, (task, x0)), None)
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), _row(x0, shapes) if record else None)

    def take(carry: _Carry, k: jax.Array) -> tuple[_Carry, Any]:
        # Under vmap this runs for finished members, too: then at x₀, where all is finite, instead of x_K.
        x, state = tree.where(k < found.steps, (carry.x, carry.method_state), (x0, start))
        x_next, state, at_x = task.step(x, state)
        return _Carry(x_next, state, *_better(carry, at_x)), _row(x, at_x) if record else None

    def step(carry: _Carry, k: jax.Array) -> tuple[_Carry, Any]:
        return jax.lax.cond(k < found.steps, take, lambda carry, k: (carry, blank), carry, k)

    first = _Carry(x0, start, x0, jnp.array(jnp.inf, shapes.value.dtype))
    # Whole segments, and one step more than there can be: room for the row of x_K.
    end, rows = scan_in_segments(
        step, first, jnp.arange(segment * (max_steps // segment + 1), dtype=jnp.int32), segment
    )
    _, _, at_end = task.step(end.x, end.method_state)
    best, best_value = _better(end, at_end)
    if record:
        rows = jax.tree.map(lambda rows, row: rows.at[found.steps].set(row), rows, _row(end.x, at_end))
        rows = jax.tree.map(lambda rows: rows[: max_steps + 1], rows)
    return found._replace(
        params=end.x, best=best, value=best_value, state=end.method_state, history=rows, aux=at_end.aux
    )


def _better(carry: _Carry, at_x: Evaluation) -> tuple[Params, jax.Array]:
    better = jnp.isfinite(at_x.value) & (at_x.value < carry.best_value)
    return tree.where(better, carry.x, carry.best), jnp.where(better, at_x.value, carry.best_value)


def _row(x: Params, at_x: Evaluation) -> dict[str, Any]:
    return {"params": x, "value": at_x.value, "gradient_norm": at_x.gradient_norm}
