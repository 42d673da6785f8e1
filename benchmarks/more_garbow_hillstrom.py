"""L-BFGS on the problems of Moré, Garbow and Hillstrom in float64: evaluations, beside the peers that are installed.

A problem is solved where ‖g‖∞ fell to 1e-6, or to 1e-10 of what it was at the start where that is more, and the value
is that of a minimum. The geometric means are over the problems that all solve. Numbers of problems may be given as
arguments.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from solvers import PEERS, installed

import funcgd as fg
from funcgd.core.numerics import float64_mode

SMALL, RELATIVE = 1e-6, 1e-10


def evaluations(make: Any, fun: Any, x0: Any, goal: float) -> tuple[int, float, float]:
    """(evaluations, value, ‖g‖∞) at the end of a run."""
    x, calls = make(fun, tolerance=goal)(x0)
    value, grad = jax.value_and_grad(fun)(jnp.asarray(x))
    return int(calls), float(value), float(jnp.max(jnp.abs(grad)))


def main() -> None:
    makers = {name: make for name, make in PEERS.items() if "," not in name and installed(name)}
    numbers = [int(number) for number in sys.argv[1:]] or range(1, 36)
    counts, solved = {name: {} for name in makers}, {name: set() for name in makers}
    with float64_mode():
        print(f"{'':<24}" + "".join(f"{name:>12}" for name in makers))
        for number in numbers:
            problem = fg.problems.more_garbow_hillstrom(number)
            x0 = jnp.asarray(problem.x0, float)
            goal = max(SMALL, RELATIVE * float(jnp.max(jnp.abs(jax.grad(problem.fun)(x0)))))
            row = f"{number:>2} {getattr(problem, 'name', ''):<21.21}"
            for name, make in makers.items():
                calls, value, gradient = evaluations(make, problem.fun, x0, goal)
                minima = np.array([problem.minimum, *problem.local_minima])
                known = np.any(np.abs(value - minima) <= 1e-5 * np.maximum(1, np.abs(minima))) or np.isnan(minima[0])
                if gradient <= goal and known:
                    solved[name].add(number)
                    counts[name][number] = calls
                row += f"{calls:>11}{' ' if number in solved[name] else '–'}"
            print(row, flush=True)
            jax.clear_caches()
    common = sorted(set.intersection(*solved.values()))
    print(f"\nsolved by each: { ({name: len(found) for name, found in solved.items()}) }")
    anyone = set.union(*solved.values())
    print(f"solved by a peer only: {sorted(anyone - solved['funcgd'])}")
    print(f"geometric mean over the {len(common)} that all solve:")
    means = {name: float(np.exp(np.mean(np.log([counts[name][i] for i in common])))) for name in makers}
    for name, mean in means.items():
        print(f"  {name:<12}{mean:>8.1f}   ratio {mean / means['funcgd']:.2f}")


if __name__ == "__main__":
    main()
