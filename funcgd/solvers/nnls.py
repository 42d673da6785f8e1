"""Linear least squares with coefficients that are not negative."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import as_count, describe
from funcgd.core.stop import Result, StopReason, as_reason
from funcgd.core.validate import is_inexact
from funcgd.solvers.linearize import shortest


class _State(NamedTuple):
    x: jax.Array  # (n,), not negative, 0 outside of `free`
    free: jax.Array  # (n,), bool: which coefficients may be positive
    barred: jax.Array  # (n,), bool: those that rounding alone would let in
    steps: jax.Array  # (), int32
    code: jax.Array  # (), int32: 0 while it runs


@numerics.full_precision
def nnls(a: Any, b: Any, *, max_steps: int | None = None) -> Result:
    """Solve linear least squares with non-negative coefficients, exactly up to rounding, by Lawson and Hanson.

        min ½‖ax − b‖²  over x ≥ 0

    A set of free coefficients grows by the one with the steepest descent, and loses those that reach 0 on the way to
    the least-squares solution over the set; the others are 0. Columns are scaled to length 1 first.

    Args:
        a: (m, n), real.
        b: (m,), real.
        max_steps: the largest number of changes of the set, each a singular value decomposition; None for 10n.

    Returns:
        A `Result`, also under `jit` and `vmap`: `params` is x of shape (n,), `value` is ½‖ax − b‖², `reason` is
        GRADIENT_NORM at the solution, else MAX_STEPS, or NON_FINITE where a or b are not finite. Where the columns of a
        are dependent, x is one of many solutions. It has no derivatives.

    Raises:
        TypeError, ValueError: if a is no real matrix with at least a column, or b no vector of m real numbers.

    Reference: Lawson, Hanson, Solving least squares problems, 1974, chapter 23.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> run = fg.nnls(jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([2.0, -1.0]))
    >>> run.params.tolist(), float(run.value), run.reason.name
    ([2.0, 0.0], 0.5, 'GRADIENT_NORM')
    """
    a, b = _check(a, b)
    limit = 10 * a.shape[1] if max_steps is None else as_count(max_steps)
    x, steps, code = _solve(a, b, jnp.int32(limit))
    r = a @ x - b
    return Result(x, x, jnp.vdot(r, r) / 2, as_reason(code), steps, None, None, None)


@jax.jit
def _solve(a: jax.Array, b: jax.Array, limit: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    m, n = a.shape
    columns = jnp.linalg.norm(a, axis=0)
    scale = jnp.where(columns > 0, columns, 1)
    if m > n:
        q, a = jnp.linalg.qr(a / scale)
        c = b @ q
    else:
        a, c = a / scale, b
    tolerance = 10 * max(m, n) * float(jnp.finfo(a.dtype).eps) * jnp.linalg.norm(c)

    def step(state: _State) -> _State:
        x, free = state.x, state.free
        z = jnp.where(free, shortest(jnp.where(free, a, 0), -c, jnp.ones_like(x)), 0)
        blocking = free & (z <= 0)
        feasible = ~jnp.any(blocking)
        # Not feasible: go towards z until the first coefficients are 0, and fix these.
        ratio = jnp.where(blocking, x / jnp.where(blocking, x - z, 1), jnp.inf)
        ratio = jnp.where(blocking & (x <= 0), 0, ratio)
        length = jnp.min(ratio)
        leaves = blocking & (ratio <= length)
        moved = jnp.where(leaves, 0, jnp.maximum(x + jnp.where(feasible, 0, length) * (z - x), 0))
        # Feasible: z it is, and the steepest of the others joins.
        descent = jnp.where(free | state.barred, -jnp.inf, (c - a @ z) @ a)
        best = jnp.argmax(descent)
        done = feasible & ~(descent[best] > tolerance)
        joined = free | ((jnp.arange(n) == best) & ~done)
        barred = jnp.where(feasible, state.barred, jnp.where(length > 0, False, state.barred | leaves))
        steps = state.steps + 1
        code = jnp.where(done, jnp.int32(StopReason.GRADIENT_NORM), jnp.int32(0))
        code = jnp.where((code == 0) & (steps >= limit), jnp.int32(StopReason.MAX_STEPS), code)
        return _State(jnp.where(feasible, z, moved), jnp.where(feasible, joined, free & ~leaves), barred, steps, code)

    none = jnp.zeros(n, bool)
    finite = jnp.all(jnp.isfinite(a)) & jnp.all(jnp.isfinite(c))
    code = jnp.where(finite, jnp.int32(0), jnp.int32(StopReason.NON_FINITE))
    start = _State(jnp.zeros(n, a.dtype), none, none, jnp.int32(0), code)
    end = jax.lax.while_loop(lambda state: state.code == 0, step, start)
    return end.x / scale, end.steps, end.code


def _check(a: Any, b: Any) -> tuple[jax.Array, jax.Array]:
    a, b = jnp.asarray(a), jnp.asarray(b)
    for name, x in (("a", a), ("b", b)):
        if not is_inexact(x) or jnp.iscomplexobj(x):
            raise TypeError(f"nnls: `{name}` must be an array of real floating numbers, got {describe(x)}.")
    if a.ndim != 2 or not a.shape[1]:
        raise ValueError(f"nnls: `a` must have shape (m, n) with n > 0, got {a.shape}.")
    if b.shape != a.shape[:1]:
        raise ValueError(f"nnls: `b` must have shape ({a.shape[0]},), as many as rows of `a`, got {b.shape}.")
    dtype = numerics.wide_dtype(a.dtype, b.dtype)
    return jnp.asarray(a, dtype), jnp.asarray(b, dtype)
