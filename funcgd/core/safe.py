"""Counts that do not wrap around, and norms bounded from below, with derivatives that are finite."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics


def safe_increment(count: Any) -> jax.Array:
    """count + 1 in the dtype of `count`, staying at the largest number of that dtype instead of wrapping around.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> int(fg.safe_increment(jnp.uint8(254))), int(fg.safe_increment(jnp.uint8(255)))
    (255, 255)
    """
    count = jnp.asarray(count)
    info = jnp.iinfo if jnp.issubdtype(count.dtype, jnp.integer) else jnp.finfo
    largest = jnp.asarray(info(count.dtype).max, count.dtype)
    return jnp.where(count < largest, count + jnp.ones((), count.dtype), largest)


safe_int32_increment = safe_increment  # by its older name


def safe_norm(
    x: Any, min_norm: Any, ord: int | float | str | None = None, axis: Any = None, keepdims: bool = False
) -> jax.Array:
    """max(‖x‖, min_norm), with derivative 0 where that is `min_norm`; the norm does not overflow or underflow.

    Args:
        x: an array.
        min_norm: n ≥ 0.
        ord, axis, keepdims: as for `jnp.linalg.norm`.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> float(fg.safe_norm(jnp.array([3e30, 4e30]), 0.0))  # the squares overflow float32
    5e+30
    >>> jax.grad(lambda x: fg.safe_norm(x, 0.0))(jnp.zeros(2)).tolist()
    [0.0, 0.0]
    """
    x = numerics.widen(x)
    scale = 1.0 if ord == 0 else _power_of_two(x, axis)  # a count has no unit
    with jax.numpy_dtype_promotion("standard"):  # for complex x
        y = x * (1 / scale)

    def norm(y: jax.Array) -> jax.Array:
        return scale * jnp.linalg.norm(y, ord, axis, True)

    plain = jax.lax.stop_gradient(norm(y))
    least = jnp.asarray(min_norm, plain.dtype)
    above = ~(plain <= least)  # so that NaN stays NaN
    result = jnp.where(above, norm(jnp.where(above, y, jnp.ones_like(y))), least)
    return result if keepdims else jnp.squeeze(result, axis)


def safe_root_mean_squares(x: Any, min_rms: Any) -> jax.Array:
    """max(√mean|x|², min_rms) over all entries, with derivative 0 where that is `min_rms`; it does not overflow.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.safe_root_mean_squares(jnp.array([1.0, 7.0]), 0.0)), float(fg.safe_root_mean_squares(0.0, 0.5))
    (5.0, 0.5)
    """
    x = jnp.ravel(numerics.widen(x))
    root_n, least = max(x.size, 1) ** 0.5, jnp.asarray(min_rms, x.real.dtype)
    return jnp.maximum(safe_norm(x, least * root_n) / root_n, least)


def _power_of_two(x: jax.Array, axis: Any) -> jax.Array:
    """A power of two near the largest entry along `axis`, so that dividing by it changes no digit; 1 for zeros."""
    size = jnp.maximum(jnp.abs(x.real), jnp.abs(x.imag)) if jnp.iscomplexobj(x) else jnp.abs(x)
    largest = jax.lax.stop_gradient(jnp.max(size, axis, keepdims=True, initial=0))
    info = jnp.finfo(size.dtype)
    exponent = jnp.clip(jnp.frexp(largest)[1], info.minexp + 1, info.maxexp - 2)  # its inverse is a normal number, too
    usual = jnp.isfinite(largest) & (largest > 0)
    return jnp.where(usual, jnp.ldexp(jnp.ones_like(largest), exponent), 1)
