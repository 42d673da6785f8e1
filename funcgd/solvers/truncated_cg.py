"""Conjugate gradients on pytrees that stop at negative curvature and at the boundary of a ball."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.coordinates import to_vector


class ModelStep(NamedTuple):
    """A step p towards the minimum of the model gᵀp + ½pᵀBp.

    >>> from funcgd.solvers.truncated_cg import ModelStep
    >>> ModelStep._fields
    ('p', 'predicted')
    """

    p: Any  # like g, in at least float32
    predicted: jax.Array  # (), −gᵀp − ½pᵀBp


class _State(NamedTuple):
    z: Any  # the step so far
    r: Any  # g + Bz
    d: Any  # the next direction, conjugate to those before
    rr: jax.Array  # (), ‖r‖²
    count: jax.Array  # (), int32: products so far
    over: jax.Array  # (), bool: whether curvature or radius ended it


def truncated_cg(
    product: Callable[[Any], Any], g: Any, tolerance: jax.Array, radius: jax.Array | None, max_products: int | None
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
        max_products: at most so many products; None for 2n, where g has n real coordinates.

    Reference: Hestenes, Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49, 1952;
    Steihaug, The conjugate gradient method and trust regions in large scale optimization, SIAM J. Numer. Anal. 20,
    1983; Nocedal, Wright, Numerical optimization, 2006, algorithms 7.1 and 7.2.
    """
    g = jax.tree.map(numerics.widen, g)
    length = tree.norm(g)
    real, size = length.dtype, jnp.where(length > 0, length, 1)
    g = jax.tree.map(lambda a: a / jnp.asarray(size, a.dtype), g)  # so that squares stay in range; p is linear in g
    most = 2 * jax.eval_shape(to_vector, g).size if max_products is None else max_products
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
        else:
            left = negative | ~(tree.norm(tree.add_scale(s.z, step, s.d)) < limit)
            instead = to_boundary(s.z, s.d, limit)
        step = jnp.where(left, instead, step)
        z, r = tree.add_scale(s.z, step, s.d), tree.add_scale(s.r, step, bd)
        rr = jnp.asarray(tree.real_vdot(r, r), real)
        d = tree.sub(tree.scale(rr / s.rr, s.d), r)
        return _State(z, r, d, rr, s.count + 1, left)

    def go_on(s: _State) -> jax.Array:
        return ~s.over & (s.count < most) & (jnp.sqrt(s.rr) > tolerance)

    rr = jnp.asarray(tree.real_vdot(g, g), real)
    start = _State(tree.zeros_like(g), g, tree.scale(-1, g), rr, jnp.int32(0), jnp.bool_(False))
    end = jax.lax.while_loop(go_on, body, start)
    model = -jnp.asarray(tree.real_vdot(end.z, tree.add(g, end.r)), real) / 2
    return ModelStep(tree.scale(size, end.z), model * size * size)


def to_boundary(z: Any, d: Any, radius: jax.Array) -> jax.Array:
    """The τ ≥ 0 with ‖z + τd‖ = radius, for ‖z‖ ≤ radius; no square of the radius or of d is formed."""
    length = tree.norm(d)
    unit = jnp.where(length > 0, length, 1)
    inside = tree.norm(z) / radius
    b = jnp.asarray(tree.real_vdot(tree.scale(1 / radius, z), tree.scale(1 / unit, d)), radius.dtype)
    c = jnp.maximum((1 - inside) * (1 + inside), 0)
    root = jnp.sqrt(b * b + c)
    t = jnp.where(b > 0, c / jnp.where(b > 0, b + root, 1), root - b)  # the form without cancellation
    return t * (radius / unit)


def forcing(gradient_norm: jax.Array, first: jax.Array) -> jax.Array:
    """η = min(½, √(‖g‖/‖g₀‖)): how exactly Newton's equation is solved; no unit.

    Reference: Dembo, Steihaug, Truncated-Newton algorithms for large-scale unconstrained optimization, Math.
    programming 26, 1983.
    """
    return jnp.minimum(0.5, jnp.sqrt(gradient_norm / jnp.where(first > 0, first, 1)))
