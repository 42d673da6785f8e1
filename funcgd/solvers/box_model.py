"""The quadratic model of L-BFGS-B, and its minimum in a box: the Cauchy point, then the subspace of what is free."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.numerics import full_precision
from funcgd.core.pairs import has_curvature


class Model(NamedTuple):
    """The last m pairs, scaled to ‖s‖ = 1, which changes nothing, and their products.

    >>> from funcgd.solvers.box_model import Model
    >>> Model._fields
    ('s', 'y', 'sy', 'ss', 'lower', 'theta', 'slot')
    """

    s: jax.Array  # (m, n)
    y: jax.Array  # (m, n), [loss]/[param]²
    sy: jax.Array  # (m,), sᵢᵀyᵢ; 0 in empty slots
    ss: jax.Array  # (m, m), SᵀS
    lower: jax.Array  # (m, m), L: sᵢᵀyⱼ where pair i is younger than pair j
    theta: jax.Array  # (), θ = yᵀy/sᵀy of the last pair; 1 before
    slot: jax.Array  # (), int32: where the next pair goes


def no_model(n: int, m: int, dtype: jax.typing.DTypeLike) -> Model:
    """Room for m pairs of n numbers."""
    rows, square = jnp.zeros((m, n), dtype), jnp.zeros((m, m), dtype)
    return Model(rows, rows, jnp.zeros(m, dtype), square, square, jnp.ones((), dtype), jnp.int32(0))


@full_precision
def learn_pair(model: Model, s: jax.Array, y: jax.Array) -> Model:
    """The model with another pair in place of the oldest, unless its curvature is too small."""
    good, curvature = has_curvature(s @ y, s @ s, y @ y)
    length = jnp.where(good, jnp.sqrt(s @ s), 1)
    s, y, curvature, slot = s / length, y / length, curvature / length**2, model.slot
    new_s, new_y = model.s.at[slot].set(s), model.y.at[slot].set(y)
    used = (model.sy > 0) & (jnp.arange(model.sy.size, dtype=jnp.int32) != slot)
    products = new_s @ s
    new = Model(
        new_s,
        new_y,
        model.sy.at[slot].set(curvature),
        model.ss.at[slot, :].set(products).at[:, slot].set(products),
        model.lower.at[:, slot].set(0).at[slot, :].set(jnp.where(used, model.y @ s, 0)),
        (y @ y) / curvature,
        (slot + 1) % model.sy.size,
    )
    return tree.where(good, new, model)


def forget_pairs(model: Model, when: jax.Array) -> Model:
    """The model, or where `when` holds an empty one."""
    return jax.tree.map(lambda a: jnp.where(when, 0, a), model)._replace(theta=jnp.where(when, 1, model.theta))


@full_precision
def minimizer(model: Model, x: jax.Array, g: jax.Array, lower: jax.Array, upper: jax.Array) -> jax.Array:
    """A point of the box that is low for g·z + zᵀBz/2, z = x̄ − x; B = θI − W K⁻¹ Wᵀ, W = [Y θS].

    Reference: Byrd, Lu, Nocedal, Zhu, A limited memory algorithm for bound constrained optimization, SIAM J. Sci.
    Comput. 16, 1995, sections 3 to 5; Morales, Nocedal, Remark on algorithm 778, ACM Trans. Math. Softw. 38, 2011.
    """
    theta, empty = model.theta, model.sy <= 0
    w = jnp.concatenate([model.y, theta * model.s]).T  # (n, 2m)
    w = jnp.where(jnp.concatenate([empty, empty]), 0, w)
    ss = jnp.where(empty[:, None] | empty[None, :], jnp.diag(jnp.where(empty, 1, 0)), theta * model.ss)
    off = jnp.where(empty[:, None] | empty[None, :], 0, model.lower)
    k = jnp.block([[jnp.diag(jnp.where(empty, -1, -model.sy)), off.T], [off, ss]])
    inverse = jnp.linalg.inv(k)
    cauchy = cauchy_point(w, theta, inverse, x, g, lower, upper)

    free = (cauchy > lower) & (cauchy < upper)
    z = cauchy - x
    r = jnp.where(free, g + theta * z - w @ (inverse @ (z @ w)), 0)
    w_free = jnp.where(free[:, None], w, 0)
    v = jnp.linalg.solve(k - w_free.T @ w_free / theta, r @ w_free)
    d = -(r + w_free @ v / theta) / theta
    d = jnp.where(jnp.isfinite(d), d, 0)
    projected = jnp.clip(cauchy + d, lower, upper)
    room = jnp.where(d > 0, (upper - cauchy) / jnp.where(d > 0, d, 1), jnp.inf)
    room = jnp.where(d < 0, (lower - cauchy) / jnp.where(d < 0, d, 1), room)
    cut = jnp.clip(cauchy + jnp.minimum(1, jnp.min(room)) * d, lower, upper)
    return jnp.where((projected - x) @ g < 0, projected, cut)


def cauchy_point(
    w: jax.Array, theta: jax.Array, inverse: jax.Array, x: jax.Array, g: jax.Array, lower: jax.Array, upper: jax.Array
) -> jax.Array:
    """The first local minimiser of the model along P(x − tg), from its slopes and curvatures on all pieces at once."""
    t = jnp.where(g < 0, x - upper, x - lower) / jnp.where(g == 0, 1, g)
    t = jnp.where(g == 0, jnp.inf, jnp.maximum(t, 0))  # where each coordinate meets its bound
    d = jnp.where(t > 0, -g, 0)
    order = jnp.argsort(t)
    ends, wd, dd = t[order], w[order] * d[order][:, None], d[order] ** 2
    begins = jnp.concatenate([jnp.zeros(1, t.dtype), ends[:-1]])
    # On piece j the first j coordinates rest, and the others move: p = Wᵀd, c = Wᵀz where the piece begins.
    moving = jnp.cumsum(dd[::-1])[::-1]
    p = jnp.cumsum(wd[::-1], axis=0)[::-1]
    rests = jnp.cumsum(jnp.where(jnp.isfinite(ends), ends, 0)[:, None] * wd, axis=0)
    start = jnp.where(jnp.isfinite(begins), begins, 0)
    c = jnp.concatenate([jnp.zeros((1, w.shape[1]), w.dtype), rests[:-1]]) + start[:, None] * p
    mp = p @ inverse
    slope = (theta * start - 1) * moving - jnp.sum(mp * c, axis=1)
    curvature = jnp.maximum(theta * moving - jnp.sum(mp * p, axis=1), jnp.finfo(t.dtype).eps * theta * moving)
    best = start - jnp.minimum(slope, 0) / jnp.where(curvature > 0, curvature, 1)
    stops = (slope >= 0) | (best <= ends)
    first = jnp.argmax(stops)
    # Where all coordinates rest before it: at their last corner.
    last = jnp.max(jnp.where(d != 0, t, 0))
    where = jnp.where(jnp.any(stops), best[first], last)
    corner = jnp.where(g < 0, upper, lower)
    return jnp.where((d != 0) & (t <= where), corner, jnp.clip(x + where * d, lower, upper))
