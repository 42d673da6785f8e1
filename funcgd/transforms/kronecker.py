"""Arrays along their axes: second moments of each axis, matrices applied to one, powers of positive matrices."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.tree_kinds import Placeholder
from funcgd.core.types import Params
from funcgd.transforms.units import norm


class Side(NamedTuple):
    """One axis of an array, and whether a matrix is kept for it."""

    axis: int
    full: bool


def sides(shape: tuple[int, ...], max_dim: int) -> tuple[Side, ...]:
    """The axes with more than one entry of an array that has at least two such; of others, none."""
    axes = [i for i, n in enumerate(shape) if n > 1]
    return tuple(Side(i, shape[i] <= max_dim) for i in axes) if len(axes) > 1 and 0 not in shape else ()


def zeros(x: Any, shape: tuple[int, ...]) -> jax.Array:
    """Zeros in the dtype of x, at least float32; real where they are no matrix."""
    like = numerics.widen(jnp.zeros((), jnp.result_type(x)))
    return jnp.zeros(shape, like.dtype if len(shape) == 2 else like.real.dtype)


def for_each(f: Callable[[Any], tuple], params: Params) -> Any:
    """A tuple of f for every leaf. It is not like the parameters, for `tree.map_params`."""
    return jnp.zeros(()) if isinstance(params, Placeholder) else jax.tree.map(f, params)


def limited(g: jax.Array) -> jax.Array:
    """g with entries so limited that the sum of their squares is finite."""
    root_n = max(g.size, 1) ** 0.5
    return numerics.saturate(numerics.saturate(g) * root_n) / root_n


def gram(g: jax.Array, axis: int) -> jax.Array:
    """Σ g gᴴ over all other axes: GGᴴ for the rows of a matrix, (GᴴG)ᵀ for its columns."""
    others = [i for i in range(g.ndim) if i != axis]
    return jnp.tensordot(g, jnp.conj(g), (others, others))


def squares(g: jax.Array, axis: int) -> jax.Array:
    """The diagonal of `gram`."""
    return jnp.sum(numerics.square(g), axis=[i for i in range(g.ndim) if i != axis])


def apply(matrices: Sequence[jax.Array], axes: Sequence[int], x: jax.Array, back: bool = False) -> jax.Array:
    """x with each matrix applied along its axis, or with its Hᴴ where `back`."""
    for matrix, axis in zip(matrices, axes, strict=True):
        side = jnp.conj(matrix) if back else matrix
        x = jnp.moveaxis(jnp.tensordot(side, x, (0 if back else 1, axis)), 0, axis)
    return x


def significant(turned: jax.Array, x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """What x became in another orthonormal basis, with 0 for what may be rounding errors of ‖x‖ along `axes`."""
    rounding = 8 * float(jnp.finfo(x.real.dtype).eps) * jax.lax.stop_gradient(norm(x, axes))
    return jnp.where(jnp.abs(turned) <= rounding, 0, turned)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def power(matrix: jax.Array, exponent: float) -> jax.Array:
    """Hᵖ of a positive semidefinite H and p < 0, of its pseudo-inverse where eigenvalues are 0 up to rounding.

    Its derivative is that of Daleckii and Krein, which is finite where eigenvalues are equal.
    """
    return _power(matrix, exponent)[0]


def _power(matrix: jax.Array, exponent: float) -> tuple[jax.Array, ...]:
    values, vectors = jnp.linalg.eigh(matrix)
    rounding = len(values) * float(jnp.finfo(values.dtype).eps) * values[-1]
    positive = values > rounding
    safe = jnp.where(positive, values, 1)
    powers = jnp.where(positive, safe**exponent, 0)
    with jax.numpy_dtype_promotion("standard"):  # real values, complex vectors
        return (vectors * powers) @ jnp.conj(vectors.T), safe, powers, vectors


@power.defjvp
def _derivative(exponent: float, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """V(F ∘ VᴴḢV)Vᴴ, with the divided differences F of λᵖ; next to the diagonal, the slope halfway."""
    result, values, powers, vectors = _power(primals[0], exponent)
    x, y, mean = values[:, None], values[None, :], (values[:, None] + values[None, :]) / 2
    near = jnp.abs(x - y) < 0.02 * mean
    both = (powers[:, None] > 0) & (powers[None, :] > 0)
    slope = jnp.where(both, exponent * mean ** (exponent - 1), 0)
    differences = (powers[:, None] - powers[None, :]) / jnp.where(near, 1, x - y)
    with jax.numpy_dtype_promotion("standard"):
        inner = jnp.conj(vectors.T) @ tangents[0] @ vectors
        change = vectors @ (jnp.where(near, slope, differences) * inner) @ jnp.conj(vectors.T)
    return result, change


def descending_eigenvectors(matrix: jax.Array) -> jax.Array:
    """The eigenvectors of a positive semidefinite matrix, that of the largest eigenvalue first."""
    return jnp.flip(jnp.linalg.eigh(matrix)[1], axis=1)


def better_eigenvectors(matrix: jax.Array, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One orthogonal iteration on eigenvectors: (their order by decreasing Rayleigh quotient, the new ones in it)."""
    quotients = jnp.sum(jnp.real(jnp.conj(vectors) * (matrix @ vectors)), axis=0)
    order = jnp.argsort(-quotients)
    return order, jnp.linalg.qr(matrix @ vectors[:, order])[0]
