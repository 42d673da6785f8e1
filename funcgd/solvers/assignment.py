"""Assignments: pairs of rows and columns of least total cost."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import is_traced
from funcgd.core.validate import is_inexact

__all__ = ["base_hungarian_algorithm", "hungarian_algorithm"]


def hungarian_algorithm(cost_matrix: Any) -> tuple[jax.Array, jax.Array]:
    """Match rows and columns so that the sum of their costs is least.

        min Σₖ C[iₖ, jₖ]   over min(n, m) pairs, no row and no column in two of them

    The method of Kuhn with the shortest paths of Jonker and Volgenant: rows take their cheapest column where no other
    row has; each row that is left is added along a shortest augmenting path, with prices uᵢ + vⱼ ≤ Cᵢⱼ that are tight
    on all pairs, which proves the result optimal. min(n, m)² max(n, m) operations at most, in vectors of length
    max(n, m); typically few of them. It works under `jit` and `vmap`, and `C[i, j].sum()` has its gradient.

    Exact for integers below 2²⁸ in size. Floating costs are computed with as many digits as they have, float32 at
    least, so assignments whose costs differ by rounding are equal to it; of equal ones it gives any. A pair of cost ∞
    is forbidden: if every assignment has such a pair, so has the one that is returned.

    Args:
        cost_matrix: C of shape (n, m), real or integer.

    Returns:
        (i, j), int32 arrays of length min(n, m); i ascends.

    Raises:
        TypeError, ValueError: if C is no real matrix, or has NaN or −∞ where that can be seen; traced ones count as ∞.

    References: Kuhn, The Hungarian method for the assignment problem, 1955; Munkres 1957; Jonker, Volgenant, A shortest
    augmenting path algorithm for dense and sparse linear assignment problems, Computing 38, 1987; Crouse, On
    implementing 2D rectangular assignment algorithms, 2016.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> cost = jnp.array([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    >>> i, j = fg.assignment.hungarian_algorithm(cost)
    >>> i.tolist(), j.tolist(), int(cost[i, j].sum())
    ([0, 1, 2], [1, 0, 2], 5)
    """
    return _solve("hungarian_algorithm", cost_matrix, greedy=True)


def base_hungarian_algorithm(cost_matrix: Any) -> tuple[jax.Array, jax.Array]:
    """`hungarian_algorithm` without its first step: every row is added along a shortest augmenting path.

    Args:
        cost_matrix: C of shape (n, m), real or integer.

    Returns:
        (i, j), as there; of several best assignments it may give another.

    References: Kuhn 1955; Munkres, Algorithms for the assignment and transportation problems, 1957; Crouse 2016.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> i, j = fg.assignment.base_hungarian_algorithm(jnp.array([[1.0, 2.0], [1.0, 4.0], [9.0, 0.5]]))
    >>> i.tolist(), j.tolist()
    ([0, 2], [0, 1])
    """
    return _solve("base_hungarian_algorithm", cost_matrix, greedy=False)


def _solve(who: str, cost_matrix: Any, greedy: bool) -> tuple[jax.Array, jax.Array]:
    if np.ndim(cost_matrix) != 2:
        raise ValueError(f"{who}: `cost_matrix` must be a matrix, got shape {np.shape(cost_matrix)}.")
    if jnp.iscomplexobj(cost_matrix):
        raise TypeError(f"{who}: `cost_matrix` must be real, got {jnp.result_type(cost_matrix)}.")
    if not is_traced(cost_matrix) and np.any(_not_costs(np.asarray(cost_matrix))):
        raise ValueError(f"{who}: `cost_matrix` must not have NaN or -inf in it; +inf forbids a pair.")
    return _assign(jax.lax.stop_gradient(jnp.asarray(cost_matrix)), greedy)


def _not_costs(c: Any) -> Any:
    return (c != c) | (c == -np.inf) if is_inexact(c) else False


@functools.partial(jax.jit, static_argnames="greedy")
def _assign(c: jax.Array, greedy: bool) -> tuple[jax.Array, jax.Array]:
    if is_inexact(c):
        c = jnp.where(_not_costs(c), jnp.inf, numerics.widen(c))
        c = _in_range(c)
    else:
        c = jnp.asarray(c, jax.dtypes.canonicalize_dtype(np.promote_types(c.dtype, np.int32)))
    if not c.size:
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32)
    n, m = c.shape
    column_of = _columns(c if n <= m else c.T, greedy)
    if n <= m:
        return jnp.arange(n, dtype=jnp.int32), column_of
    i = jnp.argsort(column_of).astype(jnp.int32)
    return column_of[i], i


def _in_range(c: jax.Array) -> jax.Array:
    """`c` times a power of two with which prices, as large as a few costs, do not overflow, nor differences vanish."""
    info, largest = jnp.finfo(c.dtype), jnp.max(jnp.abs(c), initial=0, where=jnp.isfinite(c))
    upward = 2.0 ** (info.maxexp // 2)
    return c * jnp.where(largest > float(info.max) / 16, 1 / 16, jnp.where(largest < 1 / upward, upward, 1))


class _Matching(NamedTuple):
    column_of: jax.Array  # (n,): of each row; −1 is none
    row_of: jax.Array  # (m,): of each column
    u: jax.Array  # (n,): prices of rows; u + v ≤ C for all rows that are matched, with equality on the pairs
    v: jax.Array  # (m,): prices of columns, at most 0, and 0 where a column has no row


def _columns(c: jax.Array, greedy: bool) -> jax.Array:
    """The column of each row; there are at least as many columns as rows."""
    n, m = c.shape
    none = jnp.full(n, -1, jnp.int32), jnp.full(m, -1, jnp.int32)
    start = _Matching(*none, jnp.zeros(n, c.dtype), jnp.zeros(m, c.dtype))
    if greedy:
        start = _cheapest_first(c, start)
    rows = jnp.arange(n, dtype=jnp.int32)

    def left(matching: _Matching) -> jax.Array:
        return jnp.any(matching.column_of < 0)

    def add(matching: _Matching) -> _Matching:
        return _augment(c, matching, jnp.min(jnp.where(matching.column_of < 0, rows, n - 1)))

    return jax.lax.while_loop(left, add, start).column_of


def _cheapest_first(c: jax.Array, matching: _Matching) -> _Matching:
    """Every row asks for its cheapest column, and the first that asks gets it."""
    n, m = c.shape
    rows, wish, price = jnp.arange(n, dtype=jnp.int32), jnp.argmin(c, axis=1).astype(jnp.int32), jnp.min(c, axis=1)
    first = jnp.full(m, n, jnp.int32).at[wish].min(rows)
    gets = (first[wish] == rows) & (price < _infinity(c))
    row_of = jnp.full(m, -1, jnp.int32).at[jnp.where(gets, wish, m)].set(rows, mode="drop")
    return matching._replace(column_of=jnp.where(gets, wish, -1), row_of=row_of, u=jnp.where(gets, price, 0))


class _Search(NamedTuple):
    row: jax.Array  # whose costs are looked at next
    length: jax.Array  # of the shortest path to it
    lengths: jax.Array  # (m,): of the shortest paths to columns that are known by now
    before: jax.Array  # (m,): the row before each column on them
    done: jax.Array  # (m,): columns whose shortest path is final
    end: jax.Array  # the column without a row that was reached first; −1 is none yet


def _augment(c: jax.Array, old: _Matching, row: jax.Array) -> _Matching:
    """One row more, along a shortest path from it to a column without a row, in reduced costs C − u − v (Dijkstra)."""
    infinity, m = _infinity(c), c.shape[1]

    def look(search: _Search) -> _Search:
        reduced = search.length + (c[search.row] - old.u[search.row] - old.v)
        reduced = jnp.where(c[search.row] < infinity, reduced, infinity)
        shorter = ~search.done & (reduced < search.lengths)
        lengths = jnp.where(shorter, reduced, search.lengths)
        before = jnp.where(shorter, search.row, search.before)
        length = jnp.min(jnp.where(search.done, infinity, lengths))
        # Of columns at the same distance one without a row, if there is one: the path ends there.
        nearest = jnp.argmax(jnp.where(~search.done & (lengths == length), jnp.where(old.row_of < 0, 2, 1), 0))
        free = jnp.argmax(old.row_of < 0)
        stuck = length >= infinity  # all paths are forbidden: then take any column, at the cost of ∞
        end = jnp.where(stuck, free, jnp.where(old.row_of[nearest] < 0, nearest, -1)).astype(jnp.int32)
        before = jnp.where(stuck, row, before)
        return _Search(old.row_of[nearest], length, lengths, before, search.done.at[nearest].set(True), end)

    start = _Search(
        row, jnp.zeros((), c.dtype), jnp.full(m, infinity), jnp.full(m, row), jnp.zeros(m, bool), jnp.int32(-1)
    )
    found = jax.lax.while_loop(lambda search: search.end < 0, look, start)

    # Prices move so that the path becomes tight, and no reduced cost negative. If it is forbidden, they stay.
    possible = found.length < infinity
    gain = jnp.where(found.done & possible, found.length - found.lengths, 0)
    u = old.u + jnp.where(old.column_of >= 0, gain[old.column_of], 0)
    u = u.at[row].add(jnp.where(possible, found.length, 0))

    def swap(state: tuple) -> tuple:
        column_of, row_of, j = state
        i = found.before[j]
        return column_of.at[i].set(j), row_of.at[j].set(i), jnp.where(i == row, -1, column_of[i])

    column_of, row_of, _ = jax.lax.while_loop(lambda state: state[2] >= 0, swap, (old.column_of, old.row_of, found.end))
    return _Matching(column_of, row_of, u, old.v - gain)


def _infinity(c: jax.Array) -> jax.Array:
    return jnp.asarray(jnp.inf if is_inexact(c) else jnp.iinfo(c.dtype).max, c.dtype)
