"""The classical test functions that are no quadratics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.problems.problem import Problem, as_dimension


def _rosenbrock(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock(dimension: int = 2) -> Problem:
    """Rosenbrock's banana valley: curved, flat along its floor, steep across it.

        f(x) = Σᵢ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²,    i = 1 … n−1,    minimum 0 at (1, …, 1)

    In two dimensions the condition number at the minimiser is about 2508. From n = 4 on there is a local minimum near
    (−1, 1, …, 1). The start is (−1.2, 1, −1.2, 1, …).

    Args:
        dimension: n ≥ 2.

    Raises:
        ValueError: if n < 2.

    Reference: Rosenbrock, An automatic method for finding the greatest or least value of a function, Computer Journal
    3, 1960.

    >>> import funcgd as fg
    >>> problem = fg.problems.rosenbrock()
    >>> float(problem.fun(problem.x0))
    24.2
    """
    n = as_dimension("rosenbrock", dimension, least=2)
    source = (
        "Rosenbrock, An automatic method for finding the greatest or least value of a function, Computer J. 3, 1960"
    )
    start = np.where(np.arange(n) % 2, 1.0, -1.2)
    return Problem("rosenbrock", _rosenbrock, start, np.ones((1, n)), 0.0, source, domain=[(-2.0, 2.0)] * n)


def _beale(x: Any) -> jax.Array:
    x1, x2 = jnp.asarray(x)
    return (1.5 - x1 + x1 * x2) ** 2 + (2.25 - x1 + x1 * x2**2) ** 2 + (2.625 - x1 + x1 * x2**3) ** 2


def beale() -> Problem:
    """Beale's function: a flat valley that sharp walls surround.

        f(x) = (1.5 − x₁ + x₁x₂)² + (2.25 − x₁ + x₁x₂²)² + (2.625 − x₁ + x₁x₂³)²,    minimum 0 at (3, ½)

    Reference: Beale, On an iterative method for finding a local minimum of a function of more than one variable,
    Technical report 25, Princeton, 1958.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.problems.beale().fun(jnp.array([3.0, 0.5])))
    0.0
    """
    source = "Beale, On an iterative method for finding a local minimum of a function of more than one variable, 1958"
    return Problem("beale", _beale, [1, 1], [[3, 0.5]], 0.0, source, domain=[(-4.5, 4.5)] * 2)


def _himmelblau(x: Any) -> jax.Array:
    x1, x2 = jnp.asarray(x)
    return (x1**2 + x2 - 11) ** 2 + (x1 + x2**2 - 7) ** 2


def himmelblau() -> Problem:
    """Himmelblau's function: four minima of equal value, so that the start decides.

        f(x) = (x₁² + x₂ − 11)² + (x₁ + x₂² − 7)²

    The minimum is 0, at (3, 2) and, rounded, at (−2.805, 3.131), (−3.779, −3.283), (3.584, −1.848).

    Reference: Himmelblau, Applied nonlinear programming, McGraw-Hill, 1972.

    >>> import funcgd as fg
    >>> fg.problems.himmelblau().minimizers.shape
    (4, 2)
    """
    minimizers = [  # beside (3, 2) the roots of both brackets, to the last digit of float64
        [3, 2],
        [-2.805118086952745, 3.131312518250573],
        [-3.779310253377747, -3.283185991286170],
        [3.584428340330492, -1.848126526964404],
    ]
    source = "Himmelblau, Applied nonlinear programming, McGraw-Hill, 1972"
    return Problem("himmelblau", _himmelblau, [0, 0], minimizers, 0.0, source, domain=[(-5.0, 5.0)] * 2)


def _rastrigin(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))


def rastrigin(dimension: int = 2) -> Problem:
    """Rastrigin's function: a bowl with a local minimum near every point of whole numbers.

        f(x) = Σᵢ xᵢ² + 10(1 − cos 2πxᵢ),    minimum 0 at 0,    L = 2 + 40π²

    The start is (2.2, …, 2.2), from which descent ends in the local minimum near (2, …, 2).

    Args:
        dimension: n ≥ 1.

    Raises:
        ValueError: if n < 1.

    Reference: Rastrigin, Systems of extremal control, Nauka, 1974; in n dimensions Mühlenbein, Schomisch, Born, The
    parallel genetic algorithm as function optimizer, Parallel Computing 17, 1991.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.problems.rastrigin().fun(jnp.ones(2)))
    2.0
    """
    n = as_dimension("rastrigin", dimension)
    source = "Rastrigin, Systems of extremal control, Nauka, 1974"
    smoothness = float(2 + 40 * np.pi**2)
    domain = [(-5.12, 5.12)] * n
    return Problem("rastrigin", _rastrigin, np.full(n, 2.2), np.zeros((1, n)), 0.0, source, smoothness, domain=domain)
