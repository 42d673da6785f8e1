"""Norms of units, which are parts of an array: its columns, its examples or all of it."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics


def split_norm(x: jax.Array, axis: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """(scale, r) with ‖x‖₂ = scale · r along `axis`, which is kept; r² neither overflows nor underflows.

    The scale is about the largest entry, so that r is about 1 to √n, and r = 0 where all entries are 0.
    """
    size = jnp.maximum(jnp.abs(x.real), jnp.abs(x.imag)) if jnp.iscomplexobj(x) else jnp.abs(x)
    largest = jnp.max(size, axis=axis, keepdims=True, initial=0)
    tiny = float(jnp.finfo(size.dtype).tiny)
    # Its inverse is a normal number. Not tiny for zeros: XLA makes (a/b)/c to a/(b·c), and b·c may be 0.
    scale = jax.lax.stop_gradient(jnp.where(largest == 0, 1, jnp.clip(largest, tiny, 1 / tiny)))
    return scale, numerics.sqrt(jnp.sum(numerics.square(_divide(x, scale)), axis=axis, keepdims=True))


def norm(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """‖x‖₂ along `axis`, which is kept; the largest number of the dtype where it is beyond that."""
    scale, r = split_norm(x, axis)
    return jnp.where(jnp.isfinite(r), jnp.minimum(scale * r, float(jnp.finfo(r.dtype).max)), jnp.nan)


def shorten(x: jax.Array, axis: tuple[int, ...], bound: Any) -> tuple[jax.Array, jax.Array]:
    """x · min(1, bound / ‖x‖₂) along `axis`, and whether it was longer.

    What is not longer passes unchanged to the last digit. A unit with NaN or ∞ in it has no norm, and becomes NaN.
    """
    scale, r = split_norm(x, axis)
    fits = scale * r <= bound
    factor = jnp.where(jnp.isfinite(r), numerics.divide(bound, r), jnp.nan)
    with jax.numpy_dtype_promotion("standard"):  # for a complex array and a real factor
        return jnp.where(fits, x, _divide(x, scale) * factor), ~fits


def _divide(x: jax.Array, scale: jax.Array) -> jax.Array:
    with jax.numpy_dtype_promotion("standard"):
        return x / scale
