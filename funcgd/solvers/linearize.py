"""Residuals with their Jacobian: what methods for least squares know at a point."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.least_squares import half_square
from funcgd.core.numerics import full_precision
from funcgd.core.types import Params


class Point(NamedTuple):
    """What is known at a point with coordinates x, n of them, and m residuals.

    >>> from funcgd.solvers.linearize import Point
    >>> Point._fields
    ('x', 'value', 'gradient', 'residuals', 'jacobian', 'columns')
    """

    x: jax.Array  # (n,), real
    value: jax.Array  # (), ½‖r‖²
    gradient: jax.Array  # (n,), Jᵀr
    residuals: jax.Array  # (m,), r
    jacobian: jax.Array  # (m, n), J
    columns: jax.Array  # (n,), the norms of the columns of J

    @property
    def is_finite(self) -> jax.Array:
        """(), bool: whether a step can start here."""
        return jnp.isfinite(self.value) & jnp.all(jnp.isfinite(self.columns)) & jnp.all(jnp.isfinite(self.gradient))

    @full_precision
    def decrease(self, p: jax.Array) -> jax.Array:
        """(), ½‖r‖² − ½‖r + Jp‖²."""
        change = self.jacobian @ p
        return -(change @ (self.residuals + change / 2))


def linearize(residuals: Callable, x: Params, args: tuple) -> tuple[Point, Any]:
    """(the residuals and their derivative at x, aux), traced once: forward over n columns, or backward over m < n rows.

    Args:
        residuals: (x, args) → (m real numbers, aux).
        x: the parameters.
        args: more arguments.
    """
    v = to_vector(x)
    r_of = in_coordinates(residuals, x, args)
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
    columns = jnp.sqrt(jnp.sum(jacobian**2, 0))
    gradient = jnp.dot(r, jacobian, precision="highest")
    return Point(v, half_square(r), gradient, r, jacobian, columns), aux


def in_coordinates(residuals: Callable, x: Params, args: tuple) -> Callable:
    """v ↦ residuals(x, args), where v are the coordinates of x."""
    return lambda v: residuals(from_vector(v, x), args)


@full_precision
def damped(jacobian: jax.Array, scale: jax.Array, damping: jax.Array) -> Callable:
    """y ↦ the p that minimises ‖y + Jp‖² + λ‖Dp‖², by orthogonal triangles, so that no condition number is squared.

    Args:
        jacobian: (m, n), J.
        scale: (n,), the diagonal of D, positive.
        damping: (), λ > 0.
    """
    n = scale.size
    rows = jnp.concatenate([jacobian / scale, jnp.sqrt(damping) * jnp.eye(n, dtype=jacobian.dtype)])
    q, triangle = jnp.linalg.qr(rows)
    return full_precision(lambda y: jax.scipy.linalg.solve_triangular(triangle, -(y @ q[: y.size])) / scale)


@full_precision
def shortest(jacobian: jax.Array, residuals: jax.Array, scale: jax.Array) -> jax.Array:
    """The p of the least ‖Dp‖ among those that minimise ‖r + Jp‖: singular values below rounding count as 0."""
    matrix, r = jacobian / scale, residuals
    if matrix.shape[0] > matrix.shape[1]:
        q, matrix = jnp.linalg.qr(matrix)
        r = r @ q
    u, s, v = jnp.linalg.svd(matrix, full_matrices=False)
    large = s > float(jnp.finfo(s.dtype).eps) * max(matrix.shape) * jnp.max(s)
    return -((jnp.where(large, 1 / jnp.where(large, s, 1), 0) * (r @ u)) @ v) / scale
