"""The dogleg: a path of two straight lines from −∇f to Newton's step, followed to the boundary of a ball."""

import jax
import jax.numpy as jnp

from funcgd.solvers.hessian import cholesky, cholesky_solve
from funcgd.solvers.truncated_cg import ModelStep, to_boundary, truncated_cg


def dogleg(h: jax.Array, g: jax.Array, tolerance: jax.Array, radius: jax.Array, max_products: int) -> ModelStep:
    """The step of Powell's dogleg for the model gᵀp + ½pᵀHp in the ball ‖p‖ ≤ radius.

    Where H is not positive definite, Steihaug's step, for which are `tolerance` and `max_products`.

    Args:
        h: (n, n), symmetric and finite.
        g: (n,).
        tolerance: (), relative to ‖g‖.
        radius: (), positive.
        max_products: at most so many products.

    Reference: Powell, A new algorithm for unconstrained optimization, Nonlinear programming, 1970; Nocedal, Wright,
    Numerical optimization, 2006, section 4.1.
    """
    lower, definite = cholesky(h)
    radius = jnp.asarray(radius, g.dtype)
    return jax.lax.cond(
        definite & jnp.any(g != 0),
        lambda: _two_lines(h, lower, g, radius),
        lambda: truncated_cg(lambda v: h @ v, g, tolerance, radius, max_products),
    )


def _two_lines(h: jax.Array, lower: jax.Array, g: jax.Array, radius: jax.Array) -> ModelStep:
    size = jnp.linalg.norm(g / jnp.max(jnp.abs(g))) * jnp.max(jnp.abs(g))
    g, limit = g / size, radius / size  # so that squares stay in range
    newton = -cholesky_solve(lower, g)
    cauchy = -g * (g @ g) / (g @ (h @ g))
    short = jnp.linalg.norm(cauchy)
    inside = jnp.linalg.norm(newton) <= limit
    along_gradient = cauchy * jnp.minimum(1, limit / short)
    second = newton - cauchy
    tau = jnp.where(short < limit, jnp.clip(to_boundary(cauchy, second, limit), 0, 1), 0)
    p = jnp.where(inside, newton, along_gradient + tau * second)
    return ModelStep(p * size, -(g @ p + p @ (h @ p) / 2) * size * size, ~inside)
