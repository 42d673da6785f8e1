"""Every method for smooth functions on the problems 1 to 16 of Moré, Garbow and Hillstrom: the table is the test.

Each method is compiled once: the problem is a branch, chosen by a number. Where a problem has fewer than four
variables, others that it does not depend on are added to it with their squares.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd import StopReason

NUMBERS = range(1, 17)
PROBLEMS = [fg.problems.more_garbow_hillstrom(i) for i in NUMBERS]
WIDTH = max(problem.dimension for problem in PROBLEMS)
LENGTH = max(len(problem.residuals(problem.x0)) for problem in PROBLEMS) + WIDTH

LINE_SEARCHES = {
    "SteepestDescent": fg.SteepestDescent(),
    "BarzilaiBorwein": fg.BarzilaiBorwein(),
    "NonlinearCG, Polak–Ribière": fg.NonlinearCG("polak_ribiere+"),
    "NonlinearCG, Fletcher–Reeves": fg.NonlinearCG("fletcher_reeves"),
    "NonlinearCG, Hestenes–Stiefel": fg.NonlinearCG("hestenes_stiefel"),
    "NonlinearCG, Dai–Yuan": fg.NonlinearCG("dai_yuan"),
    "BFGS": fg.BFGS(),
    "BFGS, Hager–Zhang": fg.BFGS(search=fg.HagerZhang()),
    "LBFGS": fg.LBFGS(),
    "LBFGS, backtracking": fg.LBFGS(search=fg.Backtracking()),
    "LBFGSB without bounds": fg.LBFGSB(-jnp.inf, jnp.inf),
    "Newton": fg.Newton(),
    "NewtonCG": fg.NewtonCG(),
    "TrustRegion, Steihaug": fg.TrustRegion(),
    "TrustRegion, dogleg": fg.TrustRegion(subproblem="dogleg"),
}
LEAST_SQUARES = {
    "GaussNewton": fg.GaussNewton(),
    "LevenbergMarquardt": fg.LevenbergMarquardt(),
    "LevenbergMarquardt, Moré's scaling": fg.LevenbergMarquardt(forget=1.0),
    "DoglegLeastSquares": fg.DoglegLeastSquares(),
}
METHODS = {**LINE_SEARCHES, **LEAST_SQUARES, "NelderMead": fg.NelderMead()}

# Where a method may fail within 2000 steps: slow methods in long valleys, and Meyer's function (10), whose Hessian has
# a condition number of 1e14 or so. Everything else must be solved.
UNSOLVED = {
    "SteepestDescent": {1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15},
    "BarzilaiBorwein": {3, 4, 10},
    "NonlinearCG, Polak–Ribière": {10},
    "NonlinearCG, Fletcher–Reeves": {10},
    "NonlinearCG, Hestenes–Stiefel": {10},
    "NonlinearCG, Dai–Yuan": {10},
    "BFGS": {10},
    "BFGS, Hager–Zhang": {10},
    "LBFGS": {10},
    "LBFGS, backtracking": {10},
    "LBFGSB without bounds": {10},
    "NewtonCG": {11},
    # Steps by a model without second derivatives of r, where the residuals stay large.
    "GaussNewton": {2, 6, 11, 16},
    "LevenbergMarquardt": {16},
    "DoglegLeastSquares": {16},
    "NelderMead": {4, 7, 12},
}

ENDS = (StopReason.GRADIENT_NORM, StopReason.NO_DECREASE, StopReason.STEP_SIZE)


def padded(problem):
    def residuals(x):
        r, rest = problem.residuals(x[: problem.dimension]), x[problem.dimension :]
        return jnp.concatenate([r, rest, jnp.zeros(LENGTH - r.size - rest.size, x.dtype)])

    return residuals


RESIDUALS = [padded(problem) for problem in PROBLEMS]


def residuals(x, which):
    return jax.lax.switch(which, RESIDUALS, x)


def half_sum_of_squares(x, which):
    r = residuals(x, which)
    return jnp.sum(r * r) / 2


@pytest.mark.parametrize("name", METHODS)
def test_the_table(name, x64):
    fun = fg.least_squares(residuals) if name in LEAST_SQUARES else half_sum_of_squares
    stop = fg.stop.gradient_norm(1e-7)

    def solve(x0, which):
        start = half_sum_of_squares(x0, which)
        return start, fg.minimize(fun, x0, METHODS[name], args=(which,), max_steps=2000, stop=stop)

    x0 = np.stack([np.pad(problem.x0, (0, WIDTH - problem.dimension)) for problem in PROBLEMS])
    solve_all = jax.jit(lambda *problems: jax.lax.map(lambda problem: solve(*problem), problems))
    starts, run = solve_all(jnp.asarray(x0), jnp.arange(len(PROBLEMS)))
    assert (run.value <= starts).all()
    assert (run.evaluations > run.steps).all()
    unsolved = set()
    for number, problem, value, reason in zip(NUMBERS, PROBLEMS, 2 * run.value, run.reason, strict=True):
        assert StopReason(int(reason)) in ENDS or number in UNSOLVED.get(name, ())
        minima = np.array([problem.minimum, *problem.local_minima])
        if not np.any(np.abs(value - minima) <= 1e-6 * np.maximum(1, np.abs(minima))):
            unsolved.add(number)
    assert unsolved <= UNSOLVED.get(name, set())
