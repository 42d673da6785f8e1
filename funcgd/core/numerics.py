"""Safe numerics: formulas that stay finite and accurate where the textbook form does not.

Everything here computes in at least float32, whatever the dtype of its input.
"""

import contextlib
import functools
from collections.abc import Callable
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


@jax.custom_jvp
def ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    """`divide`, with a derivative that is finite where it can be: y² is not formed, which may be 0 in the dtype.

    >>> import jax
    >>> from funcgd.core import numerics
    >>> slopes = [jax.grad(quotient, argnums=1)(1e-30, 1e-25) for quotient in (numerics.ratio, numerics.divide)]
    >>> [f"{slope:.1e}" for slope in slopes]
    ['-1.0e+20', '-inf']
    """
    return divide(x, y)


@ratio.defjvp
def _ratio_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (x, y), (dx, dy) = primals, tangents
    q = ratio(x, y)
    return q, divide(dx - q * dy, y)


def sqrt(x: jax.Array) -> jax.Array:
    """√x for x ≥ 0, with derivative 0 (in place of ∞) at 0: differentiating through an optimizer stays finite."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), jnp.where(x == 0, 0, jnp.nan))


def root(x: jax.Array) -> jax.Array:
    """√x for x ≥ 0 as a divisor: at least √tiny, so that 0 divided by the root of 0 is 0; its derivative there is 0.

    Fewer operations than `divide` by `sqrt`, which counts where each of many leaves is compiled.
    """
    return jnp.sqrt(jnp.maximum(x, float(jnp.finfo(x.dtype).tiny)))


def saturate(x: jax.Array) -> jax.Array:
    """x with |x| limited to ¼√max, so that its square is finite; infinities and NaN stay what they are.

    Of complex numbers, the real and the imaginary part.
    """
    if jnp.iscomplexobj(x):
        return jax.lax.complex(saturate(x.real), saturate(x.imag))
    bound = 0.25 * float(jnp.finfo(x.dtype).max) ** 0.5
    return jnp.where(jnp.isinf(x), x, jnp.clip(x, -bound, bound))


def square(x: jax.Array) -> jax.Array:
    """|x|², real."""
    return x.real * x.real + x.imag * x.imag if jnp.iscomplexobj(x) else x * x


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

    Where the plain sum of squares is in range, as nearly always, the scale is 1 and nothing more is computed. Otherwise
    all entries are first multiplied by a fixed power of two, which changes no digit (Blue 1978).

    Reference: Blue, A portable Fortran program to find the Euclidean norm of a vector, ACM TOMS 4, 1978.
    """
    leaves = [x for x in leaves if x.size]
    return _split_norm(leaves) if leaves else (jnp.float32(1), jnp.float32(0))


@functools.partial(jax.jit, inline=True)  # called without jit, it compiles once for each list of shapes
def _split_norm(leaves: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    dtype = wide_dtype(*(x.dtype for x in leaves))
    parts = [widen(part, dtype) for x in leaves for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    info = jnp.finfo(dtype)
    power = 2.0 ** (3 * info.maxexp // 4)  # any finite number divided by it can be squared, and the squares summed
    plain = _sum_of_squares(parts)
    small = plain < float(info.tiny) / float(info.eps) ** 2  # squares may have lost digits to underflow
    scale = jnp.asarray(jnp.where(plain == jnp.inf, power, jnp.where(small, 1 / power, 1.0)), dtype)
    rescaled = functools.partial(_rescaled_sum_of_squares, parts, scale)
    return scale, sqrt(jax.lax.cond(scale == 1, lambda: plain, rescaled))


def _rescaled_sum_of_squares(parts: list[jax.Array], scale: jax.Array) -> jax.Array:
    # One array: compiling a branch that nearly never runs should cost little. Behind the barrier, because XLA makes
    # (cx)·(cx) to c²·x² where it knows c, and c² overflows: a norm of zeros was NaN.
    rescaled = jnp.concatenate([part.ravel() for part in parts]) * (1 / scale)
    return _sum_of_squares([jax.lax.optimization_barrier(rescaled)])


def _sum_of_squares(parts: list[jax.Array]) -> jax.Array:
    return jnp.sum(jnp.stack([jnp.sum(part * part) for part in parts]))  # a chain of additions compiles slowly


def full_precision(fun: Callable) -> Callable:
    """`fun`, whose products of matrices have all digits of their dtype; TPUs and recent GPUs drop most by default.

    For what a solver computes by itself. What it calls is changed alike, so `fun` must not call the user's functions,
    whose precision is for the user to choose.

    >>> import jax, jax.numpy as jnp
    >>> from funcgd.core import numerics
    >>> "HIGHEST" in str(jax.make_jaxpr(numerics.full_precision(jnp.dot))(jnp.ones(2), jnp.ones(2)))
    True
    """

    @functools.wraps(fun)
    def precise(*args: Any, **options: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return fun(*args, **options)

    return precise


def float64_mode(on: bool = True) -> contextlib.AbstractContextManager:
    """The context in which JAX keeps float64 (or not), under the name that the installed JAX has for it."""
    enable: Any = getattr(jax, "enable_x64", None)
    if enable is None:  # before jax 0.8
        from jax.experimental import enable_x64 as enable  # pyright: ignore[reportAttributeAccessIssue]
    return enable(on)
