"""The last m pairs of a step and the change of the gradient, and the inverse Hessian that they suggest."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.types import Params


class Pairs(NamedTuple):
    """The last m pairs (s, y), with what is known of their products.

    They lie in m + 1 slots, which are filled in turn: the free one takes a new pair before it is known whether the pair
    is any good. R is the triangle of the products sᵢᵀyⱼ where pair i is not younger than pair j. Its inverse gains a
    column with each pair and loses, with the oldest, its first row and column; so nothing is ever solved.

    >>> from funcgd.core.pairs import Pairs
    >>> Pairs._fields
    ('rows', 'inverse', 'yy', 'sy', 'scale', 'slot')
    """

    rows: Params  # (2(m + 1), size) for each leaf: s = x_{k+1} − x_k, y = ∇f(x_{k+1}) − ∇f(x_k), and so on
    inverse: jax.Array  # (m + 1, m + 1), R⁻¹; rows and columns of empty slots are 0
    yy: jax.Array  # (m + 1, m + 1), YᵀY
    sy: jax.Array  # (m + 1,), sᵢᵀyᵢ; 0 for empty slots
    scale: jax.Array  # (), γ = sᵀy/yᵀy of the last pair, [param]²/[loss]; 1 before
    slot: jax.Array  # (), int32: the free slot


def no_pairs(x: Params, m: int) -> Pairs:
    """Room for m pairs of trees like x."""
    dtype = numerics.wide_dtype(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(x)))
    rows = jax.tree.map(lambda a: jnp.zeros((2 * (m + 1), jnp.size(a)), jnp.result_type(a)), x)
    inverse, yy = jnp.zeros((m + 1, m + 1), dtype), jnp.zeros((m + 1, m + 1), dtype)  # arrays of their own each
    return Pairs(rows, inverse, yy, jnp.zeros(m + 1, dtype), jnp.ones((), dtype), jnp.int32(0))


def add_pair(pairs: Pairs, s: Params, y: Params) -> Pairs:
    """`pairs` with another one in place of the oldest, unless its curvature is too small: yᵀs ≤ ε‖y‖‖s‖."""
    dtype, slot = pairs.sy.dtype, pairs.slot
    rows = jax.tree.map(lambda rows, s, y: _put(rows, slot, s, y), pairs.rows, s, y)
    along_s, along_y = products(rows, y, dtype)
    sy, yy = along_s[slot], along_y[slot]
    good, curvature = has_curvature(sy, jnp.asarray(tree.real_vdot(s, s), dtype), yy)
    following = (slot + 1) % pairs.sy.size  # the oldest pair, whose slot is the next free one
    i = jnp.arange(pairs.sy.size, dtype=jnp.int32)
    here, dropped = (i == slot) & good, (i == following) & good
    column = jnp.where(here, 1, -jnp.sum(pairs.inverse * along_s, axis=1)) / curvature
    inverse = jnp.where(here, column[:, None], pairs.inverse)
    return Pairs(
        rows,
        jnp.where(dropped[:, None], 0, inverse),  # and so its column, which has entries in no other row
        jnp.where(here, along_y[:, None], jnp.where(here[:, None], along_y, pairs.yy)),
        jnp.where(here, along_s, jnp.where(dropped, 0, pairs.sy)),
        jnp.where(good, sy / jnp.where(good, yy, 1), pairs.scale),
        jnp.where(good, following, slot),
    )


def no_curvature(pairs: Pairs, when: jax.Array) -> Pairs:
    """`pairs`, or where `when` holds none of them; their arrays stay, and are no longer looked at."""
    inverse = jnp.where(when, 0, pairs.inverse)
    return pairs._replace(inverse=inverse, sy=jnp.where(when, 0, pairs.sy), scale=jnp.where(when, 1, pairs.scale))


def times_inverse_hessian(pairs: Pairs, g: Params) -> Params:
    """Hg, where H is what BFGS makes of γ·I and the pairs, oldest first.

    Reference: Byrd, Nocedal, Schnabel, Representations of quasi-Newton matrices and their use in limited memory
    methods, Math. Program. 63, 1994, equation 3.1.
    """
    gamma, inverse = pairs.scale, pairs.inverse
    along_s, along_y = products(pairs.rows, g, pairs.sy.dtype)
    # Sums in place of products of matrices: so small ones are compiled into less, and never rounded to fewer digits.
    t = jnp.sum(inverse * along_s, axis=1)
    u = pairs.sy * t + gamma * (jnp.sum(pairs.yy * t, axis=1) - along_y)
    weights = jnp.stack([jnp.sum(inverse * u[:, None], axis=0), -gamma * t], axis=1).ravel()

    def leaf(g: jax.Array, rows: jax.Array) -> jax.Array:
        along = jnp.dot(jnp.asarray(weights, g.dtype), rows, precision=jax.lax.Precision.HIGHEST)
        return jnp.asarray(gamma, g.dtype) * g + along.reshape(g.shape)

    return jax.tree.map(leaf, g, pairs.rows)


def products(rows: Params, x: Params, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """(m + 1,) each: the inner products of x with every s, and with every y."""

    def leaf(rows: jax.Array, x: jax.Array) -> jax.Array:
        rows, x = numerics.widen(rows, dtype), numerics.widen(x, dtype)
        return jnp.real(jnp.dot(jnp.conj(rows), x.ravel(), precision=jax.lax.Precision.HIGHEST))

    both = jax.tree.reduce(jnp.add, jax.tree.map(leaf, rows, x), jnp.zeros((), dtype))
    return both[::2], both[1::2]


def has_curvature(sy: jax.Array, ss: jax.Array, yy: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether yᵀs > ε‖y‖‖s‖, so that a pair keeps the matrix positive definite; and yᵀs there, else 1."""
    least = jnp.finfo(sy.dtype).eps * jnp.sqrt(ss) * jnp.sqrt(yy)
    good = (sy > least) & (sy > jnp.finfo(sy.dtype).tiny) & jnp.isfinite(yy)
    return good, jnp.where(good, sy, 1)


def _put(rows: jax.Array, slot: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
    """`rows` with another pair, and 0 for what is not finite: it is to count for nothing, and 0·∞ is not 0."""
    pair = jnp.stack([s.ravel(), y.ravel()])
    return jax.lax.dynamic_update_slice_in_dim(rows, jnp.where(jnp.isfinite(pair), pair, 0), 2 * slot, 0)
