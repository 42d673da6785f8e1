"""Eigenvalues and roots of matrices by products alone, which suit accelerators."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import as_count


def power_iteration(
    matrix: jax.Array | Callable[[Any], Any],
    v0: Any = None,
    num_iters: int = 100,
    error_tolerance: float = 1e-6,
    precision: Any = jax.lax.Precision.HIGHEST,
    key: jax.Array | None = None,
) -> tuple[jax.Array, Any]:
    """The eigenvalue of largest absolute value, and its eigenvector of norm 1.

        w = Av,   λ = v·w,   v ← w / ‖w‖   until ‖w − λv‖ ≤ ε|λ|

    For a symmetric A the error of λ is then at most (ε|λ|)² divided by the distance to the next eigenvalue. Where
    the largest two are λ and −λ, it does not converge.

    Args:
        matrix: A, (n, n), diagonalizable with real eigenvalues; or a function v → Av on vectors or pytrees.
        v0: the first v; None draws one, for a matrix.
        num_iters: products at most.
        error_tolerance: ε, relative.
        precision: of the products with a matrix.
        key: the random key of v0; None is `jax.random.key(0)`.

    Returns:
        λ, (), and v.

    Raises:
        ValueError: if A is a function and there is no `v0`, or if it is no square matrix.

    Reference: Golub, Van Loan, Matrix computations, 4th edition, section 7.3.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> value, vector = fg.power_iteration(jnp.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> round(float(value), 5), [round(abs(float(x)), 3) for x in vector]
    (3.0, [0.707, 0.707])
    """
    if callable(matrix):
        product = matrix
    else:
        a = _square("power_iteration", matrix)
        product = functools.partial(jnp.matmul, a, precision=precision)
        if v0 is None:
            v0 = jax.random.normal(jax.random.key(0) if key is None else key, a.shape[:1], a.real.dtype)
    if v0 is None:
        raise ValueError("power_iteration: `v0` must be given where `matrix` is a function, got None.")

    def unit(w: Any, otherwise: Any) -> Any:
        size = tree.norm(w)
        return jax.tree.map(lambda a, b: jnp.where(size > 0, a / jnp.where(size > 0, size, 1), b), w, otherwise)

    def measured(v: Any) -> tuple[Any, jax.Array, jax.Array]:
        w = jax.tree.map(numerics.widen, product(v))
        value = tree.real_vdot(v, w)
        return w, value, tree.norm(tree.sub(w, tree.scale(value, v)))

    def goes_on(carry: Any) -> jax.Array:
        i, _, _, value, residual = carry
        return (i < num_iters) & (residual > error_tolerance * jnp.abs(value))

    def step(carry: Any) -> Any:
        i, v, w, _, _ = carry
        v = unit(w, v)
        return i + 1, v, *measured(v)

    start = jax.tree.map(numerics.widen, v0)
    v = unit(start, start)
    _, v, _, value, _ = jax.lax.while_loop(goes_on, step, (jnp.ones((), jnp.int32), v, *measured(v)))
    return value, v


def matrix_inverse_pth_root(
    matrix: jax.Array,
    p: int,
    num_iters: int = 100,
    ridge_epsilon: float = 1e-6,
    error_tolerance: float = 1e-6,
    precision: Any = jax.lax.Precision.HIGHEST,
) -> tuple[jax.Array, jax.Array]:
    """(A + ελI)^(−1/p) of a symmetric positive semidefinite A, where λ is its largest eigenvalue.

        X ← X·Y,   M ← Yᵖ·M,   Y = ((p + 1)I − M)/p      from M = cᵖ(A + ελI), X = cI, until max|M − I| ≤ tolerance

    Products alone. Where an eigendecomposition is fast, its root is more accurate: in float32 about six times. It ends
    also where rounding lets the error grow, and returns the X before. The root of 0 is 0.

    Args:
        matrix: A, (n, n), real.
        p: an integer in [1, ∞).
        num_iters: steps at most.
        ridge_epsilon: ε ≥ 0, relative to λ.
        error_tolerance: of max|M − I|.
        precision: of the products.

    Returns:
        The root, (n, n), in at least float32, and the last max|M − I|, ().

    Raises:
        TypeError, ValueError: if A is no square matrix, or p no such integer.

    Reference: Guo, Higham, A Schur–Newton method for the matrix pth root and its inverse, SIAM J. Matrix Anal. Appl.
    28, 2006; Anil, Gupta, Koren, Regan, Singer, Scalable second order optimization for deep learning, 2020,
    arXiv:2002.09018.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> root, error = fg.matrix_inverse_pth_root(jnp.diag(jnp.array([4.0, 1.0])), 2, ridge_epsilon=0.0)
    >>> root.round(3).tolist(), float(error) < 1e-6
    ([[0.5, 0.0], [0.0, 1.0]], True)
    """
    who = "matrix_inverse_pth_root"
    a = _square(who, matrix)
    try:
        p = as_count(p)
    except (TypeError, ValueError) as wrong:
        raise type(wrong)(f"{who}: `p`: {wrong}") from None
    scale = jnp.max(jnp.abs(a), initial=0)  # the root of A is scale^(−1/p) times that of A/scale
    zero, eye = scale == 0, jnp.eye(len(a), dtype=a.dtype)
    a = jnp.where(zero, eye, a / jnp.where(zero, 1, scale))
    largest, _ = power_iteration(a, precision=precision)
    a = a + ridge_epsilon * largest * eye
    c = (0.5 * (p + 1) / jnp.linalg.norm(a)) ** (1 / p)  # the eigenvalues of cᵖA lie in (0, (p + 1)/2]

    def times(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.matmul(x, y, precision=precision)

    def error(m: jax.Array) -> jax.Array:
        return jnp.max(jnp.abs(m - eye), initial=0)

    def goes_on(carry: Any) -> jax.Array:
        i, _, _, now, good = carry
        return good & (i < num_iters) & (now > error_tolerance)

    def step(carry: Any) -> Any:
        i, x, m, now, _ = carry
        y = ((p + 1) * eye - m) / p
        new = times(_power(y, p, times), m)
        good = error(new) < jnp.where(now < 0.1, now, 1.2 * now)  # far away it may grow for a step, near it squares
        return i + 1, jnp.where(good, times(x, y), x), jnp.where(good, new, m), jnp.where(good, error(new), now), good

    m = c**p * a
    begin = (jnp.zeros((), jnp.int32), c * eye, m, error(m), jnp.ones((), bool))
    _, x, _, last, _ = jax.lax.while_loop(goes_on, step, begin)
    return jnp.where(zero, 0, x * jnp.where(zero, 1, scale) ** (-1 / p)), jnp.where(zero, 0, last)


def _power(y: jax.Array, p: int, times: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
    """yᵖ by squaring."""
    result = None
    while p:
        if p % 2:
            result = y if result is None else times(result, y)
        p //= 2
        y = times(y, y) if p else y
    return y if result is None else result


def _square(who: str, matrix: Any) -> jax.Array:
    a = numerics.widen(matrix)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"{who}: `matrix` must be square, (n, n), got shape {a.shape}.")
    return a
