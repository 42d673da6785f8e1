"""Least squares: LevenbergMarquardt on NIST's 27 regressions from both starts in float64, beside SciPy's methods.

An evaluation is one of the residuals, here always with their Jacobian, which both sides get by JAX. They are counted up
to the first point whose sum of squares is the certified one to nine digits, and the times are those of whole runs.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from harness import compare

import funcgd as fg
from funcgd.core.numerics import float64_mode
from funcgd.problems.nist import Regression

DIGITS, MAX_STEPS = 6, 1000


def goal(p: Regression) -> float:
    """½Σr² to reach; of Lanczos1 the certified one, 1.4e-25, is below the rounding of values near 2.5."""
    return p.sum_of_squares / 2 * (1 + 1e-9) + 1e-20 * float(p.y @ p.y)


def with_funcgd(method: Any, p: Regression) -> Callable:
    """fg.minimize: b, down to a value or to the precision → (where it ended, evaluations)."""
    fit = fg.least_squares(p.residuals)

    def run(b: Any, value: float = -1.0) -> tuple[Any, int]:
        stop = fg.stop.target_value(value)
        found = fg.minimize(fit, jnp.asarray(b), method, max_steps=MAX_STEPS, stop=stop)
        return found.params, found.evaluations

    return run


def with_scipy(method: str, p: Regression) -> Callable:
    """scipy.optimize.least_squares around compiled residuals and Jacobian."""
    residuals, jacobian = jax.jit(p.residuals), jax.jit(jax.jacfwd(p.residuals))

    def run(b: Any, value: float = -1.0) -> tuple[Any, int]:
        values = []

        def fun(b: Any) -> np.ndarray:
            r = np.asarray(residuals(b))
            values.append(np.linalg.norm(r) ** 2 / 2)
            return r

        options: Any = {"jac": lambda b: np.asarray(jacobian(b)), "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
        end = scipy.optimize.least_squares(fun, b, method=method, max_nfev=MAX_STEPS, **options).x
        reached = [i for i, f in enumerate(values) if f <= value]
        return end, reached[0] + 1 if reached else len(values)

    return run


METHODS = {
    "funcgd": functools.partial(with_funcgd, fg.LevenbergMarquardt()),
    "scipy lm": functools.partial(with_scipy, "lm"),
    "scipy trf": functools.partial(with_scipy, "trf"),
}


def digits(p: Regression, b: Any) -> float:
    """How many digits of the parameter with the fewest are the certified ones."""
    return -np.log10(np.max(np.abs(np.asarray(b) / p.certified - 1)) + 1e-16)


def main() -> None:
    with float64_mode():
        problems = [fg.problems.nist(name) for name in fg.problems.nist_names()]
        starts = [(k, b) for k, p in enumerate(problems) for b in p.starts]
        runs = {name: [make(p) for p in problems] for name, make in METHODS.items()}
        solved, counts = {}, {}
        for name, run in runs.items():
            solved[name] = [digits(problems[k], run[k](b)[0]) >= DIGITS for k, b in starts]
            counts[name] = [int(run[k](b, goal(problems[k]))[1]) for k, b in starts]
        by_all = [i for i in range(len(starts)) if all(found[i] for found in solved.values())]
        for name in runs:
            calls = [counts[name][i] for i in by_all]
            failed = [f"{problems[k].name} {1 + i % 2}" for i, (k, _) in enumerate(starts) if not solved[name][i]]
            print(
                f"  {name:<12}{sum(solved[name]):>3} of {len(starts)} to {DIGITS} digits; evaluations where all do: "
                f"{sum(calls)}, geometric mean {math.exp(np.mean(np.log(calls))):.1f}; not solved: {failed}"
            )
        whole = {
            name: lambda run=run: [run[starts[i][0]](starts[i][1])[0] for i in by_all] for name, run in runs.items()
        }
        compare(f"the {len(by_all)} runs that all solve, one after the other", whole, repeats=5)


if __name__ == "__main__":
    main()
