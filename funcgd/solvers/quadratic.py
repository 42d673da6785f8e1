"""Whether a method that is exact for quadratics met one."""

import jax
import jax.numpy as jnp

MISMATCH = 1e-2  # the part of the gradients that a prediction may be off; that of no quadratic is off by about 1


def is_mispredicted(predicted: jax.Array, found: jax.Array, scale: jax.Array) -> jax.Array:
    """Whether a gradient differs from what a quadratic has there; `scale` is the size of the terms it is a sum of."""
    rounding = 1e4 * float(jnp.finfo(found.dtype).eps) * scale
    size = jnp.linalg.norm(predicted) + jnp.linalg.norm(found)
    return jnp.linalg.norm(predicted - found) > jnp.maximum(MISMATCH * size, rounding)
