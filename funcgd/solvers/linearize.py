"""Residuals with their Jacobian: what methods for least squares know at a point."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.least_squares import half_square
from funcgd.core.types import Params


class Linear(NamedTuple):
    """A model of the residuals that has ‖r + Jp‖² up to a constant: ‖c + Rp‖².

    >>> from funcgd.solvers.linearize import Linear
    >>> Linear._fields
    ('matrix', 'offset')
    """

    matrix: jax.Array  # (k, n) with k = min(m, n): R of J = QR; J itself where m ≤ n
    offset: jax.Array  # (k,): c = Qᵀr


class Point(NamedTuple):
    """What is known at a point with coordinates x, n of them, and m residuals.

    >>> from funcgd.solvers.linearize import Point
    >>> Point._fields
    ('x', 'value', 'gradient', 'linear', 'columns', 'aux')
    """

    x: jax.Array  # (n,), real
    value: jax.Array  # (), ½‖r‖²
    gradient: jax.Array  # (n,), Jᵀr
    linear: Linear
    columns: jax.Array  # (n,), the norms of the columns of J
    aux: Any


def linearize(residuals: Callable, x: Params, args: tuple) -> Point:
    """The residuals and their derivative at x, traced once: forward over n columns, or backward over m < n rows."""
    v = to_vector(x)

    def r_of(v: jax.Array) -> tuple[jax.Array, Any]:
        return residuals(from_vector(v, x), args)

    m = jax.eval_shape(r_of, v)[0].size
    if m < v.size:
        r, backward, aux = jax.vjp(r_of, v, has_aux=True)
        jacobian = jax.vmap(lambda row: backward(row)[0])(jnp.eye(m, dtype=r.dtype))
        jacobian = jnp.asarray(jacobian, r.dtype)
    else:
        # The value and aux do not depend on the tangent, so they are computed once.
        def forward(tangent: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
            return jax.jvp(r_of, (v,), (tangent,), has_aux=True)

        r, jacobian, aux = jax.vmap(forward, out_axes=(None, 1, None))(jnp.eye(v.size, dtype=v.dtype))
    if m > v.size:
        q, matrix = jnp.linalg.qr(jacobian)
        linear = Linear(matrix, q.T @ r)
    else:
        linear = Linear(jacobian, r)
    columns = jnp.sqrt(jnp.sum(jacobian**2, 0))
    return Point(v, half_square(r), jacobian.T @ r, linear, columns, aux)


def damped(linear: Linear, scale: jax.Array, damping: jax.Array) -> jax.Array:
    """The p that minimises ‖c + Rp‖² + λ‖Dp‖², by orthogonal triangles, so that no condition number is squared.

    Args:
        linear: (R, c).
        scale: (n,), the diagonal of D, positive.
        damping: (), λ > 0.
    """
    matrix, offset = linear
    n = scale.size
    rows = jnp.concatenate([matrix / scale, jnp.sqrt(damping) * jnp.eye(n, dtype=matrix.dtype)])
    q, triangle = jnp.linalg.qr(rows)
    return jax.scipy.linalg.solve_triangular(triangle, -q[: offset.size].T @ offset) / scale


def shortest(linear: Linear, scale: jax.Array) -> jax.Array:
    """The p of the least ‖Dp‖ among those that minimise ‖c + Rp‖: singular values below rounding count as 0."""
    u, s, v = jnp.linalg.svd(linear.matrix / scale, full_matrices=False)
    small = float(jnp.finfo(s.dtype).eps) * max(linear.matrix.shape) * jnp.max(s)
    inverse = jnp.where(s > small, 1 / jnp.where(s > small, s, 1), 0)
    return -((inverse * (linear.offset @ u)) @ v) / scale
