"""Conjugate gradients on pytrees that stop at negative curvature and at the boundary of a ball."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree


class ModelStep(NamedTuple):
    """A step p towards the minimum of the model gᵀp + ½pᵀBp.

    >>> from funcgd.solvers.truncated_cg import ModelStep
    >>> ModelStep._fields
    ('p', 'predicted', 'boundary')
    """

    p: Any  # like g, in at least float32
    predicted: jax.Array  # (), −gᵀp − ½pᵀBp
    boundary: jax.Array  # (), bool: whether the radius ended it


class _State(NamedTuple):
    z: Any  # the step so far
    r: Any  # g + Bz
    d: Any  # the next direction, conjugate to those before
    rr: jax.Array  # (), ‖r‖²
    count: jax.Array  # (), int32: products so far
    over: jax.Array  # (), bool: whether curvature or radius ended it
    boundary: jax.Array  # (), bool


def truncated_cg(
    product: Callable[[Any], Any], g: Any, tolerance: jax.Array, radius: jax.Array | None, max_products: int
) -> ModelStep:
    """Conjugate gradients for Bp = −g from p = 0, until ‖Bp + g‖ ≤ tolerance·‖g‖.

    Where a direction has curvature ≤ 0 up to rounding, or leads out of the ball ‖p‖ ≤ radius, it ends on the sphere
    (Steihaug). Without a radius it ends where it is; if that is p = 0, with the step −g‖g‖²/|gᵀBg|, or −g where the
    curvature is 0. The model decreases along the way, and p always leads downhill.

    Args:
        product: v ↦ Bv, linear and symmetric, on trees like g.
        g: a tree; what is computed in is at least float32.
        tolerance: (), no unit.
        radius: (), of the ball; None for none.
        max_products: at most so many products.

    Reference: Hestenes, Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49, 1952;
    Steihaug, The conjugate gradient method and trust regions in large scale optimization, SIAM J. Numer. Anal. 20,
    1983; Nocedal, Wright, Numerical optimization, 2006, algorithms 7.1 and 7.2.
    """
    g = jax.tree.map(numerics.widen, g)
    length = tree.norm(g)
    real, size = length.dtype, jnp.where(length > 0, length, 1)
    g = jax.tree.map(lambda a: a / jnp.asarray(size, a.dtype), g)  # so that squares stay in range; p is linear in g
    eps, largest = float(jnp.finfo(real).eps), float(jnp.finfo(real).max) ** 0.5
    limit = None if radius is None else jnp.minimum(jnp.asarray(radius, real) / size, largest)

    def body(s: _State) -> _State:
        bd = product(s.d)
        curvature = jnp.asarray(tree.real_vdot(s.d, bd), real)
        negative = ~(curvature > eps * tree.norm(s.d) * tree.norm(bd))
        step = s.rr / jnp.where(negative, 1, curvature)
        if limit is None:
            left = negative
            instead = jnp.where(s.count > 0, 0, jnp.where(curvature < 0, s.rr / jnp.abs(curvature), 1))
            boundary = jnp.bool_(False)
        else:
            left = boundary = negative | ~(tree.norm(along(s.z, step, s.d)) < limit)
            instead = to_boundary(s.z, s.d, limit)
        step = jnp.where(left, instead, step)
        z, r = along(s.z, step, s.d), along(s.r, step, bd)
        rr = jnp.asarray(tree.real_vdot(r, r), real)
        d = along(jax.tree.map(jnp.negative, r), rr / s.rr, s.d)
        return _State(z, r, d, rr, s.count + 1, left, boundary)

    def go_on(s: _State) -> jax.Array:
        return ~s.over & (s.count < max_products) & (jnp.sqrt(s.rr) > tolerance)

    no = jnp.bool_(False)
    rr = jnp.asarray(tree.real_vdot(g, g), real)
    minus = jax.tree.map(jnp.negative, g)
    end = jax.lax.while_loop(go_on, body, _State(tree.zeros_like(g), g, minus, rr, jnp.int32(0), no, no))
    model = -jnp.asarray(tree.real_vdot(end.z, tree.add(g, end.r)), real) / 2
    p = jax.tree.map(lambda a: a * jnp.asarray(size, a.dtype), end.z)
    return ModelStep(p, model * size * size, end.boundary)


def to_boundary(z: Any, d: Any, radius: jax.Array) -> jax.Array:
    """The τ ≥ 0 with ‖z + τd‖ = radius, for ‖z‖ ≤ radius; no square of the radius or of d is formed."""
    length = tree.norm(d)
    unit = jnp.where(length > 0, length, 1)
    inside = tree.norm(z) / radius
    b = jnp.asarray(tree.real_vdot(scaled(1 / radius, z), scaled(1 / unit, d)), radius.dtype)
    c = jnp.maximum((1 - inside) * (1 + inside), 0)
    root = jnp.sqrt(b * b + c)
    t = jnp.where(b > 0, c / jnp.where(b > 0, b + root, 1), root - b)  # the form without cancellation
    return t * (radius / unit)


def along(x: Any, step: jax.Array, d: Any) -> Any:
    """x + αd, in the dtypes of x."""
    return jax.tree.map(lambda a, b: a + jnp.asarray(step, a.dtype) * b, x, d)


def scaled(step: jax.Array, x: Any) -> Any:
    """αx, in the dtypes of x."""
    return jax.tree.map(lambda a: jnp.asarray(step, a.dtype) * a, x)


def forcing(gradient_norm: jax.Array, first: jax.Array) -> jax.Array:
    """η = min(½, √(‖g‖/‖g₀‖)): how exactly Newton's equation is solved; no unit.

    Reference: Dembo, Steihaug, Truncated-Newton algorithms for large-scale unconstrained optimization, Math.
    programming 26, 1983.
    """
    return jnp.minimum(0.5, jnp.sqrt(gradient_norm / jnp.where(first > 0, first, 1)))
