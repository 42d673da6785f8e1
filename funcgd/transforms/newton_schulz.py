"""The nearest matrix with orthonormal rows or columns, nearly, by Newton–Schulz iterations."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import describe

PRESETS = {
    # Jordan 2024: the slope at 0 as large as it can be while what starts in (0, 1] ends in about [0.7, 1.2].
    "standard": (3.4445, -4.775, 2.0315),
    # Ahn et al. 2025 (Dion): another polynomial for each of five iterations, which ends nearer to 1.
    "dion": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
}
PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")


def as_coefficients(x: Any) -> Any:
    """`x` in hashable form: the name of a preset, three numbers, or three for each iteration.

    Raises:
        TypeError, ValueError: if it is something else.
    """
    if isinstance(x, str):
        if x not in PRESETS:
            raise ValueError(f"expected one of {', '.join(map(repr, PRESETS))} or numbers, got {x!r}.")
        return x
    try:
        single = not any(isinstance(row, (tuple, list)) for row in x)
        rows = tuple(tuple(float(c) for c in row) for row in ([x] if single else x))
    except TypeError as error:
        raise TypeError(f"expected three numbers, or three for each iteration, got {describe(x)}.") from error
    if not rows or any(len(row) != 3 for row in rows):
        raise ValueError(f"expected three numbers, or three for each iteration, got {describe(x)}.")
    return rows[0] if single else rows


def coefficients_of(coefficients: Any, steps: int) -> tuple[tuple[float, float, float], ...]:
    """Those of each iteration: as many as there are, or three numbers for all `steps`."""
    rows = PRESETS[coefficients] if isinstance(coefficients, str) else coefficients
    return rows if isinstance(rows[0], tuple) else (rows,) * steps


@functools.partial(jax.jit, static_argnames=("coefficients", "preconditioning", "dtype"))
def orthogonalize(
    matrices: list[jax.Array],
    eps: Any,
    coefficients: tuple[tuple[float, float, float], ...],
    preconditioning: str = "frobenius",
    dtype: str | None = None,
) -> list[jax.Array]:
    """For each X = UΣVᴴ about UVᴴ: its singular values are taken to about 1, those that are 0 stay 0.

        X ← X / (‖X‖ + ε),   X ← aX + (bA + cA²)X with A = XXᴴ, for each (a, b, c)

    One loop iterates on all matrices. They stay apart, so that nothing is copied and each keeps its sharding; equal
    shapes are traced once, and XLA compiles equal kernels once. (Stacked, each would need a slice of its own in the
    end, which compiles for longer than all of this.)

    Args:
        matrices: arrays (…, m, n), real or complex, in at least float32.
        eps: ε ≥ 0, unit of X.
        coefficients: a, b and c of each iteration.
        preconditioning: the norm, which must not be less than the largest singular value: "frobenius"; "schatten",
            (Σσ⁴)^¼; "spectral", max σ; or "aol", which divides each row by the root of Σⱼ|Aᵢⱼ|.
        dtype: in which to iterate; None is that of each matrix.
    """
    with jax.numpy_dtype_promotion("standard"):  # real coefficients, complex matrices
        start = [_begin(x, jnp.asarray(eps, x.real.dtype), preconditioning, dtype) for x in matrices]

        def step(xs: list[jax.Array], abc: list[jax.Array]) -> tuple[list[jax.Array], None]:
            return [_polynomial(x, *(jnp.asarray(c, x.real.dtype) for c in abc)) for x in xs], None

        ends, _ = jax.lax.scan(step, start, list(jnp.asarray(coefficients, float).T))
        return [_upright(jnp.asarray(y, x.dtype), x.shape) for y, x in zip(ends, matrices, strict=True)]


def _upright(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """x turned so that it does not have more rows than columns, or back: then A is as small as it can be."""
    return jnp.swapaxes(x, -1, -2) if shape[-2] > shape[-1] else x


def _gram(x: jax.Array) -> jax.Array:
    return x @ jnp.conj(jnp.swapaxes(x, -1, -2))


@functools.partial(jax.jit, static_argnames=("preconditioning", "dtype"))
def _begin(x: jax.Array, eps: jax.Array, preconditioning: str, dtype: str | None) -> jax.Array:
    size = jnp.maximum(jnp.abs(x.real), jnp.abs(x.imag)) if jnp.iscomplexobj(x) else jnp.abs(x)
    tiny = float(jnp.finfo(size.dtype).tiny)
    # Divided by it, entries have powers in range. XLA divides by products: that of both lower bounds is tiny**0.95.
    scale = jnp.clip(jnp.max(size, axis=(-2, -1), keepdims=True, initial=0), tiny**0.7, 1 / tiny)
    scale = jax.lax.stop_gradient(scale)
    x = _upright(x / scale, x.shape)
    if preconditioning == "spectral" and x.size:
        square = jnp.linalg.eigvalsh(_gram(x))[..., -1:, None]
    elif preconditioning == "aol":
        square = jnp.sum(jnp.abs(_gram(x)), axis=-1, keepdims=True)
    elif preconditioning == "schatten":
        square = numerics.sqrt(jnp.sum(numerics.square(_gram(x)), axis=(-2, -1), keepdims=True))
    else:
        square = jnp.sum(numerics.square(x), axis=(-2, -1), keepdims=True)
    x = x / (jnp.sqrt(jnp.maximum(square, tiny**0.5)) + eps / scale)
    return x if dtype is None or jnp.iscomplexobj(x) else x.astype(dtype)


@jax.jit
def _polynomial(x: jax.Array, a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
    gram = _gram(x)
    return a * x + (b * gram + c * (gram @ gram)) @ x
