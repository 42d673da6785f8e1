"""The last m pairs of a step and the change of the gradient, and the inverse Hessian that they suggest."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.types import Params


class Pairs(NamedTuple):
    """The last m pairs (s, y), in slots that are filled in turn, with what is known of their products.

    R is the triangle of the products sᵢᵀyⱼ where pair i is not younger than pair j. Its inverse gains a column with
    each pair and loses, with the oldest, its first row and column; so nothing is ever solved.

    >>> from funcgd.core.pairs import Pairs
    >>> Pairs._fields
    ('s', 'y', 'inverse', 'yy', 'sy', 'scale', 'slot')
    """

    s: Params  # (m, …) for each leaf, x_{k+1} − x_k
    y: Params  # (m, …) for each leaf, ∇f(x_{k+1}) − ∇f(x_k)
    inverse: jax.Array  # (m, m), R⁻¹; rows and columns of empty slots are 0
    yy: jax.Array  # (m, m), YᵀY
    sy: jax.Array  # (m,), sᵢᵀyᵢ
    scale: jax.Array  # (), γ = sᵀy/yᵀy of the last pair, [param]²/[loss]; 1 before
    slot: jax.Array  # (), int32: where the next pair goes


def no_pairs(x: Params, m: int) -> Pairs:
    """Room for m pairs of trees like x."""
    dtype = numerics.wide_dtype(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(x)))

    def rows() -> Params:  # arrays of their own each, so that all may be donated
        return jax.tree.map(lambda a: jnp.zeros((m, *jnp.shape(a)), jnp.result_type(a)), x)

    def square() -> jax.Array:
        return jnp.zeros((m, m), dtype)

    return Pairs(rows(), rows(), square(), square(), jnp.zeros(m, dtype), jnp.ones((), dtype), jnp.int32(0))


def add_pair(pairs: Pairs, s: Params, y: Params) -> Pairs:
    """`pairs` with another one in place of the oldest, unless its curvature is too small: yᵀs ≤ ε‖y‖‖s‖."""
    dtype, slot = pairs.sy.dtype, pairs.slot
    new_sy, ss, new_yy = (jnp.asarray(tree.real_vdot(*pair), dtype) for pair in ((s, y), (s, s), (y, y)))
    good, curvature = has_curvature(new_sy, ss, new_yy)
    here = jnp.arange(pairs.sy.size, dtype=jnp.int32) == slot
    # Zeros in the row and the column of the oldest pair; then the column of the new one.
    kept = ~here & (pairs.sy > 0)
    inverse = jnp.where(kept[:, None] & kept[None, :], pairs.inverse, 0)
    column = -(inverse @ products(pairs.s, y, dtype)) / curvature
    inverse = jnp.where(here[None, :], jnp.where(here, 1 / curvature, column)[:, None], inverse)
    row = jnp.where(here, new_yy, products(pairs.y, y, dtype))
    yy = jnp.where(here[None, :], row[:, None], jnp.where(here[:, None], row[None, :], pairs.yy))
    new = Pairs(
        _put(pairs.s, s, slot, good),
        _put(pairs.y, y, slot, good),
        inverse,
        yy,
        jnp.where(here, curvature, pairs.sy),
        curvature / jnp.where(good, new_yy, 1),
        (slot + 1) % pairs.sy.size,
    )
    small = tree.where(good, new[2:], pairs[2:])
    return Pairs(new.s, new.y, *small)


def no_curvature(pairs: Pairs, when: jax.Array) -> Pairs:
    """`pairs`, or where `when` holds none of them; their arrays stay, and are no longer looked at."""
    inverse = jnp.where(when, 0, pairs.inverse)
    return pairs._replace(inverse=inverse, sy=jnp.where(when, 0, pairs.sy), scale=jnp.where(when, 1, pairs.scale))


def times_inverse_hessian(pairs: Pairs, g: Params) -> Params:
    """Hg, where H is what BFGS makes of γ·I and the pairs, oldest first.

    Reference: Byrd, Nocedal, Schnabel, Representations of quasi-Newton matrices and their use in limited memory
    methods, Math. Program. 63, 1994, equation 3.1.
    """
    dtype, gamma, inverse = pairs.sy.dtype, pairs.scale, pairs.inverse
    t = inverse @ products(pairs.s, g, dtype)
    a = inverse.T @ (pairs.sy * t + gamma * (pairs.yy @ t - products(pairs.y, g, dtype)))
    b = -gamma * t

    def leaf(g: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
        along_s, along_y = (jnp.tensordot(jnp.asarray(c, g.dtype), rows, 1) for c, rows in ((a, s), (b, y)))
        return jnp.asarray(gamma, g.dtype) * g + along_s + along_y

    return jax.tree.map(leaf, g, pairs.s, pairs.y)


def products(rows: Params, x: Params, dtype: Any) -> jax.Array:
    """(m,), the inner products of x with each of the m trees in `rows`."""

    def leaf(rows: jax.Array, x: jax.Array) -> jax.Array:
        rows, x = numerics.widen(rows, dtype), numerics.widen(x, dtype)
        return jnp.real(jnp.tensordot(jnp.conj(rows), x, jnp.ndim(x)))

    return jax.tree.reduce(jnp.add, jax.tree.map(leaf, rows, x), jnp.zeros((), dtype))


def has_curvature(sy: jax.Array, ss: jax.Array, yy: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether yᵀs > ε‖y‖‖s‖, so that a pair keeps the matrix positive definite; and yᵀs there, else 1."""
    least = jnp.finfo(sy.dtype).eps * jnp.sqrt(ss) * jnp.sqrt(yy)
    good = (sy > least) & (sy > jnp.finfo(sy.dtype).tiny) & jnp.isfinite(yy)
    return good, jnp.where(good, sy, 1)


def _put(rows: Params, row: Params, slot: jax.Array, good: jax.Array) -> Params:
    def leaf(rows: jax.Array, row: jax.Array) -> jax.Array:
        oldest = jax.lax.dynamic_index_in_dim(rows, slot, keepdims=False)
        return jax.lax.dynamic_update_index_in_dim(rows, jnp.where(good, row, oldest), slot, 0)

    return jax.tree.map(leaf, rows, row)
