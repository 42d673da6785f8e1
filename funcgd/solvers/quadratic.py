"""A quadratic objective as a matrix: for methods that are exact where f is one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.types import Params

MISMATCH = 1e-2  # the part of the gradients that a prediction may be off; that of no quadratic is off by about 1


def hessian(fun: Callable, x: Params, args: tuple) -> jax.Array:
    """∇²f(x) in the real coordinates of x: (n, n), by n products with it."""
    start = to_vector(x)

    def slope(v: jax.Array) -> jax.Array:
        return jax.grad(lambda v: fun(from_vector(v, x), args)[0])(v)

    rows = jax.vmap(lambda v: jax.jvp(slope, (start,), (v,))[1])(jnp.eye(start.size, dtype=start.dtype))
    return (rows + rows.T) / 2


def is_mispredicted(predicted: jax.Array, found: jax.Array, scale: jax.Array) -> jax.Array:
    """Whether a gradient differs from what a quadratic has there; `scale` is the size of the terms it is a sum of."""
    rounding = 1e4 * float(jnp.finfo(found.dtype).eps) * scale
    size = jnp.linalg.norm(predicted) + jnp.linalg.norm(found)
    return jnp.linalg.norm(predicted - found) > jnp.maximum(MISMATCH * size, rounding)
