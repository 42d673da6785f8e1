"""A thousand small fits at once: minimize under vmap, against a loop over SciPy's L-BFGS-B, in float64.

Each problem is a decay a·exp(−bt) + c through 20 noisy points, its loss half the sum of squares. SciPy gets value and
gradient from one compiled function, and from NumPy written by hand, which has less to call.
"""

import functools
import importlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.core.numerics import float64_mode

PROBLEMS, POINTS, TOLERANCE = 1000, 20, 1e-6
TIMES = np.linspace(0, 3, POINTS)


def loss(x: Any, y: Any) -> jax.Array:
    """Half the sum of squares of a decay's errors."""
    a, b, c = x
    return 0.5 * jnp.sum((a * jnp.exp(-b * TIMES) + c - y) ** 2)


def by_hand(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss and its gradient in NumPy."""
    a, b, c = x
    decay = np.exp(-b * TIMES)
    error = a * decay + c - y
    return 0.5 * error @ error, np.array([error @ decay, -a * (error * TIMES) @ decay, error.sum()])


def main() -> None:
    optimize = importlib.import_module("scipy.optimize")
    minimize = functools.partial(optimize.minimize, jac=True, method="L-BFGS-B")
    rng = np.random.default_rng(0)
    truth = rng.uniform([1, 0.5, -1], [3, 2, 1], size=(PROBLEMS, 3))
    data = truth[:, :1] * np.exp(-truth[:, 1:2] * TIMES) + truth[:, 2:] + rng.normal(0, 0.05, (PROBLEMS, POINTS))
    start, stop = np.ones(3), fg.stop.gradient_norm(TOLERANCE, norm="max")
    with float64_mode():
        method, y = fg.LBFGS(10), jnp.asarray(data)
        solve = jax.jit(jax.vmap(lambda y: fg.minimize(loss, start, method, args=(y,), max_steps=500, stop=stop)))
        began = time.perf_counter()
        found = jax.block_until_ready(solve(y))
        print(f"first call {time.perf_counter() - began:.2f} s, {PROBLEMS} problems")
        compiled = jax.jit(jax.value_and_grad(loss))

        def called(x: np.ndarray, y: jax.Array) -> tuple[float, np.ndarray]:
            value, grad = compiled(x, y)
            return float(value), np.asarray(grad)

        options = {"gtol": TOLERANCE, "ftol": 0.0, "maxiter": 500}
        runs = {"jitted": (called, list(y)), "NumPy": (by_hand, list(data))}
        for name, (fun, columns) in runs.items():
            ratios = []
            for _ in range(3):
                began = time.perf_counter()
                jax.block_until_ready(solve(y))
                middle = time.perf_counter()
                ends = [minimize(fun, start, (column,), options=options) for column in columns]
                ratios.append((time.perf_counter() - middle) / (middle - began))
            off = np.max(np.abs(np.stack([end.x for end in ends]) - found.params))
            mean = np.mean([end.nfev for end in ends])
            print(
                f"SciPy with {name} value and gradient: {sorted(ratios)[1]:.0f} times as long ({mean:.1f} evaluations "
                f"each, {np.mean(found.evaluations):.1f} here); largest difference of the solutions {off:.1e}"
            )


if __name__ == "__main__":
    main()
