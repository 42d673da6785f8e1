"""Quadratics: everything about a method's speed on them is known in advance."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.problems.problem import Problem, as_dimension

_NESTEROV = "Nesterov, Lectures on convex optimization, 2nd edition, 2018, section 2.1.4"
_SURVEY = "Jamil, Yang, A literature survey of benchmark functions for global optimisation problems, IJMMNO 4, 2013"


def quadratic(
    kappa: float = 100.0, dimension: int = 2, *, eigenvalues: Sequence[float] | None = None, seed: int | None = None
) -> Problem:
    """The quadratic with the condition number κ, or with given eigenvalues.

        f(x) = ½ xᵀHx,    H = Q diag(λ) Qᵀ

    The minimiser is 0, where floating numbers are dense: errors can be followed down to 1e-30. The start is Q(1, …, 1),
    which has the same share of every eigenvector; in exact arithmetic gradient descent takes the same path for every Q.

    Args:
        kappa: κ ≥ 1; the eigenvalues go from μ = 1 to L = κ with equal ratios.
        dimension: n ≥ 2, or n = 1 with κ = 1.
        eigenvalues: λ > 0, in place of κ and n.
        seed: draws the rotation Q; None is Q = I, which flatters methods that treat each coordinate by itself.

    Raises:
        ValueError: if κ < 1, or an eigenvalue is not positive and finite, or n does not fit.

    Reference: Nesterov, Lectures on convex optimization, 2nd edition, 2018, section 2.1.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> problem = fg.problems.quadratic(kappa=100)
    >>> problem.smoothness, problem.convexity, float(problem.fun(jnp.array([1.0, 1.0])))
    (100.0, 1.0, 50.5)
    """
    if eigenvalues is None:
        n = as_dimension("quadratic", dimension)
        if not 1 <= kappa < np.inf:
            raise ValueError(f"quadratic: `kappa` must be in [1, inf), got {kappa!r}.")
        if n == 1 and kappa != 1:
            raise ValueError(f"quadratic: `dimension` must be at least 2 for kappa = {kappa!r}, got 1.")
        spectrum = np.geomspace(1, kappa, n)
    else:
        spectrum = np.asarray(eigenvalues, np.float64)
        if spectrum.ndim != 1 or not spectrum.size or not np.all((spectrum > 0) & np.isfinite(spectrum)):
            raise ValueError(f"quadratic: `eigenvalues` must be positive numbers, got {eigenvalues!r}.")
    n, start = spectrum.size, np.ones(spectrum.size)
    if seed is None:

        def fun(x: Any) -> jax.Array:
            x = jnp.asarray(x)
            return 0.5 * jnp.sum(jnp.asarray(spectrum, x.dtype) * x**2)

    else:
        gaussian = np.random.default_rng(seed).standard_normal((n, n))
        q, r = np.linalg.qr(gaussian)
        q = q * np.sign(np.diag(r))  # so that Q is uniform over the rotations and reflections
        hessian, start = (q * spectrum) @ q.T, q @ start

        def fun(x: Any) -> jax.Array:
            x = jnp.asarray(x)
            return 0.5 * jnp.dot(x, jnp.dot(jnp.asarray(hessian, x.dtype), x, precision="highest"), precision="highest")

    largest, smallest = float(spectrum.max()), float(spectrum.min())
    name = f"quadratic, κ = {largest / smallest:g}, n = {n}"
    bound = 1.5 * float(np.abs(start).max())
    return Problem(name, fun, start, np.zeros((1, n)), 0.0, _NESTEROV, largest, smallest, [(-bound, bound)] * n)


def _elliptic_bowl(x: Any) -> jax.Array:
    x1, x2 = jnp.asarray(x)
    return 9 * x1**2 + x2**2


def elliptic_bowl() -> Problem:
    """The bowl whose level sets are ellipses, three times as high as wide.

        Φ(x) = 9x₁² + x₂²,    ∇Φ = (18x₁, 2x₂),    κ = 9

    The gradient flow from x is (x₁e^{−18t}, x₂e^{−2t}). The start is (1, 2), where the gradient is (18, 4).

    Reference: Boyd, Vandenberghe, Convex optimization, 2004, section 9.3.2, doubled, with γ = 9 and the axes exchanged.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> jax.grad(fg.problems.elliptic_bowl().fun)(jnp.array([1.0, 2.0])).tolist()
    [18.0, 4.0]
    """
    source = "Boyd, Vandenberghe, Convex optimization, 2004, section 9.3.2"
    return Problem("elliptic bowl", _elliptic_bowl, [1, 2], [[0, 0]], 0.0, source, 18.0, 2.0, [(-3, 3), (-3, 3)])


def _booth(x: Any) -> jax.Array:
    x1, x2 = jnp.asarray(x)
    return (x1 + 2 * x2 - 7) ** 2 + (2 * x1 + x2 - 5) ** 2


def booth() -> Problem:
    """Booth's function, a quadratic with its minimiser away from 0 and its axes on the diagonals.

        f(x) = (x₁ + 2x₂ − 7)² + (2x₁ + x₂ − 5)²,    minimum 0 at (1, 3),    H = [[10, 8], [8, 10]],    κ = 9

    Reference: Jamil, Yang, A literature survey of benchmark functions for global optimisation problems, IJMMNO 4, 2013.

    >>> import funcgd as fg
    >>> fg.problems.booth().minimizer.tolist()
    [1.0, 3.0]
    """
    return Problem("booth", _booth, [-5, -5], [[1, 3]], 0.0, _SURVEY, 18.0, 2.0, [(-10, 10), (-10, 10)])


def _matyas(x: Any) -> jax.Array:
    x1, x2 = jnp.asarray(x)
    return 0.26 * (x1**2 + x2**2) - 0.48 * x1 * x2


def matyas() -> Problem:
    """Matyas's function, a flat valley along the diagonal.

        f(x) = 0.26(x₁² + x₂²) − 0.48x₁x₂,    minimum 0 at (0, 0),    λ = 1, 0.04,    κ = 25

    Reference: Jamil, Yang, A literature survey of benchmark functions for global optimisation problems, IJMMNO 4, 2013.

    >>> import funcgd as fg
    >>> fg.problems.matyas().kappa
    25.0
    """
    return Problem("matyas", _matyas, [8, -3], [[0, 0]], 0.0, _SURVEY, 1.0, 0.04, [(-10, 10), (-10, 10)])
