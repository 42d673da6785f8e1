"""Safe numerics: formulas that stay finite and accurate where the textbook form does not.

Everything here computes in at least float32, whatever the dtype of its input.
"""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MAX_COUNT = np.iinfo(np.int32).max


def wide_dtype(*dtypes: Any) -> np.dtype:
    """The real dtype to compute in: float64 if any of the inexact `dtypes` has that precision, else float32."""
    inexact = (d for d in dtypes if jnp.issubdtype(d, jnp.inexact))
    return np.dtype(np.float64 if any(jnp.finfo(d).bits == 64 for d in inexact) else np.float32)


def widen(x: Any, dtype: Any = None) -> jax.Array:
    """`x` in at least float32, or in the precision of the real `dtype`; complex numbers stay complex."""
    dtype = wide_dtype(jnp.result_type(x)) if dtype is None else dtype
    if jnp.iscomplexobj(x):
        dtype = np.dtype(np.complex128 if dtype == np.float64 else np.complex64)
    return x if isinstance(x, jax.Array) and x.dtype == dtype else jnp.asarray(x, dtype)


def divide(x: jax.Array, y: Any) -> jax.Array:
    """x / y, and 0 where y = 0; its derivative there is 0 as well."""
    zero = y == 0
    return jnp.where(zero, 0, x / jnp.where(zero, 1, y))


def sqrt(x: jax.Array) -> jax.Array:
    """√x for x ≥ 0, with derivative 0 (in place of ∞) at 0: differentiating through an optimizer stays finite."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), jnp.where(x == 0, 0, jnp.nan))


def rsqrt(x: jax.Array) -> jax.Array:
    """1/√x, and 0 at x = 0, with derivative 0 there."""
    return divide(jnp.ones_like(x), sqrt(x))


def square(x: jax.Array) -> jax.Array:
    """|x|², real. |x| saturates at ¼√max, so that finite input has a finite square; NaN stays NaN."""
    bound = 0.25 * float(jnp.finfo(x.dtype).max) ** 0.5
    if jnp.iscomplexobj(x):
        return jnp.minimum(jnp.abs(x.real), bound) ** 2 + jnp.minimum(jnp.abs(x.imag), bound) ** 2
    return jnp.minimum(jnp.abs(x), bound) ** 2


def ema(average: jax.Array, x: jax.Array, decay: Any) -> jax.Array:
    """decay·average + (1 − decay)·x, using only 1 − decay: a decay next to 1 loses no digits by being rounded."""
    rate = 1 - decay
    return (average - rate * average) + rate * x


def bias_correction(decay: Any, count: Any) -> jax.Array:
    """1 − decayᵗ, the weight that t steps of `ema` from zero have gathered, accurate for every decay in [0, 1).

    The naive form loses all digits of a decay near 1; there −expm1(t·log1p(−(1 − decay))) is used.
    """
    rate = 1 - decay  # formed before rounding where the decay is a Python float
    dtype = wide_dtype(jnp.result_type(rate))
    return _bias_correction(jnp.asarray(rate, dtype), jnp.asarray(count, dtype))


@functools.partial(jax.jit, inline=True)
def _bias_correction(rate: jax.Array, t: jax.Array) -> jax.Array:
    near_one = rate < 0.5
    rate_near_one, decay_near_zero = jnp.where(near_one, rate, 0.5), jnp.where(near_one, 0, 1 - rate)
    return jnp.where(near_one, -jnp.expm1(t * jnp.log1p(-rate_near_one)), 1 - decay_near_zero**t)


def increment(count: jax.Array) -> jax.Array:
    """count + 1, staying at the largest int32 instead of wrapping around."""
    return jnp.where(count < MAX_COUNT, count + 1, MAX_COUNT)


def split_norm(leaves: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """(scale, r) with ‖leaves‖₂ = scale · r, where the scale is a power of two and r² neither overflows nor underflows.

    Dividing by a power of two changes no digit, so wherever the plain formula is in range the result is equal to it.
    """
    if not any(x.size for x in leaves):
        return jnp.float32(1), jnp.float32(0)
    dtype = wide_dtype(*(x.dtype for x in leaves))
    parts = [part for x in leaves if x.size for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    parts = [widen(part, dtype) for part in parts]
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(jax.lax.stop_gradient(part))) for part in parts]))
    limit = 1022 if dtype == np.float64 else 126
    _, exponent = jnp.frexp(jnp.where(jnp.isfinite(largest), largest, 1))
    exponent = jnp.clip(exponent, -limit, limit)
    scale, inverse = jnp.ldexp(jnp.ones((), dtype), exponent), jnp.ldexp(jnp.ones((), dtype), -exponent)
    return scale, sqrt(sum((jnp.sum((part * inverse) ** 2) for part in parts), start=jnp.zeros((), dtype)))


def float64_mode() -> contextlib.AbstractContextManager:
    """The context in which JAX keeps float64, under the name that the installed JAX has for it."""
    enable: Any = getattr(jax, "enable_x64", None)
    if enable is None:  # before jax 0.8
        from jax.experimental import enable_x64 as enable  # pyright: ignore[reportAttributeAccessIssue]
    return enable(True)
