"""Lanczos: a symmetric matrix that is known by its products alone, made tridiagonal."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics


class Tridiagonal(NamedTuple):
    """What m steps of Lanczos found: A Q = Q T + (what is left) eᵀ.

    >>> from funcgd.diagnostics.lanczos import Tridiagonal
    >>> Tridiagonal._fields
    ('diagonal', 'beside', 'left', 'basis')
    """

    diagonal: jax.Array  # (m,), of T
    beside: jax.Array  # (m − 1,), the entries of T beside its diagonal, ≥ 0
    left: jax.Array  # (), the norm of what is left: 0 if the basis spans an invariant space
    basis: jax.Array  # (m, n), the rows are orthonormal

    def eigh(self) -> tuple[jax.Array, jax.Array]:
        """The eigenvalues of T, ascending, and its eigenvectors as columns."""
        return jnp.linalg.eigh(jnp.diag(self.diagonal) + jnp.diag(self.beside, 1) + jnp.diag(self.beside, -1))


def lanczos(product: Callable[[jax.Array], jax.Array], n: int, steps: int, key: jax.Array) -> Tridiagonal:
    """m steps of Lanczos from a random direction, each vector orthogonalised against all before it.

        β qᵢ₊₁ = A qᵢ − Σⱼ≤ᵢ qⱼ qⱼᵀ A qᵢ

    Without that, rounding errors bring back directions that have converged, and their eigenvalues appear again. Where
    the basis spans an invariant space, as it does early where eigenvalues are multiple, the next vector is a random one
    beside it, and β is 0: so after n steps T has all eigenvalues, each as often as A.

    Args:
        product: v ↦ Av, vectors of length n.
        n: the order of A.
        steps: m, from 1 to n.
        key: of the random directions.

    Reference: Lanczos, An iteration method for the solution of the eigenvalue problem of linear differential and
    integral operators, J. Res. Natl. Bur. Stand. 45, 1950; Golub, Van Loan, Matrix computations, 4th edition, 2013,
    section 10.3.

    >>> import jax, jax.numpy as jnp
    >>> from funcgd.diagnostics.lanczos import lanczos
    >>> lanczos(lambda v: jnp.array([1.0, 2.0, 2.0]) * v, 3, 3, jax.random.key(0)).eigh()[0].round(4).tolist()
    [1.0, 2.0, 2.0]
    """
    dtype = jax.eval_shape(product, jnp.zeros(n, numerics.wide_dtype())).dtype
    keys = jax.random.split(key, steps + 1)
    first = jax.random.normal(keys[0], (n,), dtype)
    eps = float(jnp.finfo(dtype).eps)

    def advance(carry: tuple, step: tuple) -> tuple:
        basis, q, largest = carry
        i, key = step
        basis = basis.at[i].set(q)
        image = product(q)
        largest = jnp.maximum(largest, jnp.linalg.norm(image))  # a lower bound of ‖A‖, which rounding is relative to
        rest = _beside(basis, image)
        beta = jnp.linalg.norm(rest)
        stuck = beta <= 8 * eps * n**0.5 * largest
        fresh = _beside(basis, jax.random.normal(key, (n,), dtype))
        rest = jnp.where(stuck, fresh, rest)
        alpha = jnp.vdot(q, image, precision="highest")
        return (basis, rest / _norm(rest), largest), (alpha, jnp.where(stuck, 0, beta))

    start = (jnp.zeros((steps, n), dtype), first / _norm(first), jnp.zeros((), dtype))
    (basis, *_), (alpha, beta) = jax.lax.scan(advance, start, (jnp.arange(steps, dtype=jnp.int32), keys[1:]))
    return Tridiagonal(alpha, beta[:-1], beta[-1], basis)


@numerics.full_precision
def _beside(basis: jax.Array, v: jax.Array) -> jax.Array:
    """v without its part in the basis; twice is enough, to the last digits."""
    for _ in range(2):
        v = v - basis.T @ (basis @ v)
    return v


def _norm(v: jax.Array) -> jax.Array:
    norm = jnp.linalg.norm(v)
    return jnp.where(norm > 0, norm, 1)
