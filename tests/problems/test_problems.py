"""Every problem keeps what it promises: minimisers, constants, start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd import problems
from funcgd.core.numerics import float64_mode

PROBLEMS = [
    problems.quadratic(),
    problems.quadratic(1e4, 7),
    problems.quadratic(eigenvalues=[1, 2, 5]),
    problems.quadratic(50, 4, seed=3),
    problems.elliptic_bowl(),
    problems.booth(),
    problems.matyas(),
    problems.rosenbrock(),
    problems.rosenbrock(6),
    problems.beale(),
    problems.himmelblau(),
    problems.rastrigin(),
    problems.rastrigin(3),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{p.name}-{p.dimension}")
def test_the_promises(problem):
    with float64_mode():
        evaluate = jax.jit(jax.vmap(lambda x: (problem.fun(x), jax.grad(problem.fun)(x), jax.hessian(problem.fun)(x))))
        points = np.concatenate([problem.minimizers, problem.x0[None]])
        values, gradients, hessians = map(np.asarray, evaluate(points))
    assert values.dtype == np.float64
    scale = np.abs(hessians).max()
    np.testing.assert_allclose(values[:-1], problem.minimum, atol=1e-25 * scale**2)
    np.testing.assert_allclose(gradients[:-1], 0, atol=1e-14 * scale)
    assert np.linalg.eigvalsh(hessians[:-1]).min() > 0  # so that they are strict local minima
    assert values[-1] > problem.minimum + 1e-3
    assert np.linalg.norm(gradients[-1]) > 1e-3
    if problem.convexity is not None:
        eigenvalues = np.linalg.eigvalsh(hessians)
        np.testing.assert_allclose(eigenvalues.max(-1), problem.smoothness, rtol=1e-12)
        np.testing.assert_allclose(eigenvalues.min(-1), problem.convexity, rtol=1e-11)
        assert problem.kappa == problem.smoothness / problem.convexity
    elif problem.smoothness is not None:
        np.testing.assert_allclose(np.linalg.eigvalsh(hessians).max(), problem.smoothness, rtol=1e-12)
    if problem.domain is not None:
        low, high = np.transpose(problem.domain)
        assert np.all((low < points) & (points < high))
    assert problem.source
    assert not problem.x0.flags.writeable


@pytest.mark.parametrize(
    ("problem", "formula"),
    [
        (problems.elliptic_bowl(), lambda x, y: 9 * x**2 + y**2),
        (problems.booth(), lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2),
        (problems.matyas(), lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y),
        (problems.rosenbrock(), lambda x, y: 100 * (y - x**2) ** 2 + (1 - x) ** 2),
        (
            problems.beale(),
            lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
        ),
        (problems.himmelblau(), lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2),
        (problems.rastrigin(), lambda x, y: 20 + x**2 + y**2 - 10 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y))),
        (problems.quadratic(100), lambda x, y: 0.5 * (x**2 + 100 * y**2)),
    ],
    ids=lambda p: getattr(p, "name", ""),
)
def test_formulas(problem, formula):
    x = np.float32([0.7, -1.3])
    y = problem.fun(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, formula(0.7, -1.3), rtol=1e-5)


def test_known_numbers():
    bowl = problems.elliptic_bowl()
    gradient = np.asarray(jax.jit(jax.grad(bowl.fun))(bowl.x0))
    np.testing.assert_array_equal(gradient, [18, 4])
    np.testing.assert_allclose(gradient @ [np.sqrt(3) / 2, 0.5], 9 * np.sqrt(3) + 2, rtol=1e-6)
    with float64_mode():
        eigenvalues = np.linalg.eigvalsh(jax.jit(jax.hessian(problems.rosenbrock().fun))(jnp.ones(2)))
    np.testing.assert_allclose(eigenvalues[1] / eigenvalues[0], 2508.0, rtol=1e-4)
    np.testing.assert_allclose(problems.rosenbrock(4).x0, [-1.2, 1, -1.2, 1])
    assert problems.himmelblau().minimizers.shape == (4, 2)


def test_rotation_changes_neither_speed_nor_value():
    plain, turned = problems.quadratic(20, 3), problems.quadratic(20, 3, seed=1)
    np.testing.assert_allclose(np.linalg.norm(turned.x0), np.sqrt(3))
    assert not np.allclose(plain.x0, turned.x0)
    with float64_mode():
        hessian = np.asarray(jax.jit(jax.hessian(turned.fun))(jnp.zeros(3)))
        np.testing.assert_allclose(turned.fun(turned.x0), plain.fun(plain.x0), rtol=1e-12)
    assert abs(hessian - np.diag(np.diag(hessian))).max() > 0.1
    np.testing.assert_array_equal(turned.x0, problems.quadratic(20, 3, seed=1).x0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: problems.quadratic(0.5), r"quadratic: `kappa` must be in \[1, inf\), got 0.5"),
        (lambda: problems.quadratic(float("nan")), r"quadratic: `kappa` must be in \[1, inf\), got nan"),
        (lambda: problems.quadratic(2, 1), r"quadratic: `dimension` must be at least 2"),
        (lambda: problems.quadratic(2, 2.5), r"quadratic: `dimension`: expected an integer, got 2.5"),
        (lambda: problems.quadratic(eigenvalues=[1, -1]), r"quadratic: `eigenvalues` must be positive"),
        (lambda: problems.rosenbrock(1), r"rosenbrock: `dimension`: expected at least 2, got 1"),
        (lambda: problems.rastrigin(0), r"rastrigin: `dimension`: expected at least 1, got 0"),
        (
            lambda: problems.Problem("p", jnp.sum, [1, 2], [[0]], 0, "here"),
            r"Problem: `minimizers` must have shape \(k, 2\), as x0, got \(1, 1\)",
        ),
        (lambda: problems.Problem("p", jnp.sum, 1.0, [[0]], 0, "here"), r"Problem: `x0` must have 1 dimension"),
        (
            lambda: problems.Problem("p", jnp.sum, [1], [[0]], 0, "here", domain=[(0, 1)] * 2),
            r"Problem: `domain` must have shape \(1, 2\), got \(2, 2\)",
        ),
    ],
)
def test_errors(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()
