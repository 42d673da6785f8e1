"""The dogleg: a path of two straight lines from −∇f to Newton's step, followed to the boundary of a ball."""

import jax
import jax.numpy as jnp

from funcgd.core.numerics import divide, full_precision
from funcgd.solvers.hessian import cholesky, cholesky_solve
from funcgd.solvers.truncated_cg import ModelStep, to_boundary, truncated_cg


@full_precision
def dogleg(h: jax.Array, g: jax.Array, tolerance: jax.Array, radius: jax.Array, max_products: int | None) -> ModelStep:
    """The step of Powell's dogleg for the model gᵀp + ½pᵀHp in the ball ‖p‖ ≤ radius.

    Where H is not positive definite, Steihaug's step, for which are `tolerance` and `max_products`.

    Args:
        h: (n, n), symmetric and finite.
        g: (n,).
        tolerance: (), relative to ‖g‖.
        radius: (), positive.
        max_products: as in `truncated_cg`.

    Reference: Powell, A new algorithm for unconstrained optimization, Nonlinear programming, 1970; Nocedal, Wright,
    Numerical optimization, 2006, section 4.1.
    """
    lower, definite = cholesky(h)
    radius = jnp.asarray(radius, g.dtype)
    return jax.lax.cond(
        definite & jnp.any(g != 0),
        lambda: _step(h, lower, g, radius),
        lambda: truncated_cg(lambda v: h @ v, g, tolerance, radius, max_products),
    )


def _step(h: jax.Array, lower: jax.Array, g: jax.Array, radius: jax.Array) -> ModelStep:
    size = jnp.linalg.norm(g / jnp.max(jnp.abs(g))) * jnp.max(jnp.abs(g))
    g, limit = g / size, radius / size  # so that squares stay in range
    newton = -cholesky_solve(lower, g)
    cauchy = -g * (g @ g) / (g @ (h @ g))
    p = two_lines(cauchy, newton, limit)
    return ModelStep(p * size, -(g @ p + p @ (h @ p) / 2) * size * size)


def two_lines(cauchy: jax.Array, newton: jax.Array, radius: jax.Array) -> jax.Array:
    """The point of the path 0 → cauchy → newton at the distance `radius` from 0, or its end if that is nearer."""
    short, second = jnp.linalg.norm(cauchy), newton - cauchy
    tau = jnp.clip(to_boundary(cauchy, second, radius), 0, 1)
    along = jnp.where(short < radius, cauchy + tau * second, divide(radius, short) * cauchy)
    return jnp.where(jnp.linalg.norm(newton) <= radius, newton, along)
