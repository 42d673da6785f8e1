"""Solvers: L-BFGS to ‖g‖∞ ≤ 1e-6 in float64, beside those of optax, JAXopt, Optimistix and SciPy where installed.

Evaluations are of value and gradient together, and those of peers that do not count them are counted by a run that
does. The first call traces, compiles and runs with empty caches. Peers that test another norm get this one. JAXopt
counts what it evaluates without gradient, too: of 1138 on Rosenbrock's function 617 are with gradient, of 49 on the
regression 26.
"""

import functools
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import compare

import funcgd as fg
from funcgd.core.numerics import float64_mode

TOLERANCE, MEMORY, MAX_STEPS = 1e-6, 10, 2000
HURRY: dict[str, Any] = {"xla_backend_optimization_level": 0}  # as docs/solvers.md advises
if jax.__version_info__ < (0, 12):
    HURRY["xla_cpu_use_fusion_emitters"] = False


def valley(x: Any) -> jax.Array:
    """Rosenbrock's function."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def logistic() -> Callable:
    """Ridge logistic regression on the breast-cancer data, with the bias as the last of 31 parameters."""
    data = fg.problems.breast_cancer()
    x, sign = np.float64(data["x"]), 2.0 * data["y"] - 1

    def loss(w: Any) -> jax.Array:
        return jnp.mean(jax.nn.softplus(-sign * (x @ w[:-1] + w[-1]))) + 0.005 * w[:-1] @ w[:-1]

    return loss


def with_funcgd(
    fun: Callable, method: Any = None, tolerance: float = TOLERANCE, compiler_options: Any = None
) -> Callable:
    """fg.minimize, inside jax.jit as the loops of the JAX peers are."""
    method = fg.LBFGS(MEMORY) if method is None else method
    stop = fg.stop.gradient_norm(tolerance, norm="max")

    def run(x0: Any) -> tuple[Any, Any]:
        found = fg.minimize(fun, x0, method, max_steps=MAX_STEPS, stop=stop)
        return found.params, found.evaluations

    return jax.jit(run, compiler_options=compiler_options)


def called_directly(fun: Callable) -> Callable:
    """fg.minimize as users call it, with its checks and a whole Result."""
    stop = fg.stop.gradient_norm(TOLERANCE, norm="max")

    def run(x0: Any) -> tuple[Any, Any]:
        found = fg.minimize(fun, x0, fg.LBFGS(MEMORY), max_steps=MAX_STEPS, stop=stop)
        return found.params, found.evaluations

    return run


def with_optax(fun: Callable, tolerance: float = TOLERANCE) -> Callable:
    """optax.lbfgs in a while_loop; its search stores the value and gradient it ends with."""
    optax = importlib.import_module("optax")
    tx = optax.lbfgs(memory_size=MEMORY)
    value_and_grad = optax.value_and_grad_from_state(fun)

    def step(carry: Any) -> Any:
        x, state, _, k, calls = carry
        value, grad = value_and_grad(x, state=state)
        updates, state = tx.update(grad, state, x, value=value, grad=grad, value_fn=fun)
        calls += optax.tree_utils.tree_get(state, "info").num_linesearch_steps
        grad = optax.tree_utils.tree_get(state, "grad")
        return optax.apply_updates(x, updates), state, jnp.max(jnp.abs(grad)), k + 1, calls

    @jax.jit
    def run(x0: Any) -> tuple[Any, Any]:
        start = (x0, tx.init(x0), jnp.inf, 0, 1)
        end = jax.lax.while_loop(lambda c: (c[2] > tolerance) & (c[3] < MAX_STEPS), step, start)
        return end[0], end[4]

    return run


def with_jaxopt(fun: Callable, tolerance: float = TOLERANCE) -> Callable:
    """jaxopt.LBFGS, whose error is measured in the 2-norm; here its own update stands in a loop with the ∞-norm."""
    jaxopt = importlib.import_module("jaxopt")
    solver = jaxopt.LBFGS(fun, maxiter=MAX_STEPS, tol=0.0, history_size=MEMORY)

    @jax.jit
    def run(x0: Any) -> tuple[Any, Any]:
        end = jax.lax.while_loop(
            lambda c: (jnp.max(jnp.abs(c[1].grad)) > tolerance) & (c[1].iter_num < MAX_STEPS),
            lambda c: tuple(solver.update(*c)),
            (x0, solver.init_state(x0)),
        )
        return end[0], end[1].num_fun_eval

    return run


def with_optimistix(fun: Callable, tolerance: float = TOLERANCE, jit: Callable = jax.jit) -> Callable:
    """optimistix.LBFGS, with a termination by the ∞-norm of the gradient alone."""
    optimistix = importlib.import_module("optimistix")

    class Solver(optimistix.LBFGS):
        def terminate(self, fn: Any, y: Any, args: Any, options: Any, state: Any, tags: Any) -> Any:
            small = jnp.max(jnp.abs(state.f_info.grad)) <= tolerance
            return small & (state.num_accepted_steps > 0), optimistix.RESULTS.successful

    solver = Solver(rtol=0.0, atol=0.0, norm=optimistix.max_norm, history_length=MEMORY)

    def objective(x: Any, args: Any) -> jax.Array:
        return fun(x)

    def run(x0: Any) -> tuple[Any, Any]:
        end = optimistix.minimise(objective, solver, x0, max_steps=20 * MAX_STEPS, throw=False)
        return end.value, end.stats["num_steps"]

    return jit(run)


def with_scipy(fun: Callable, tolerance: float = TOLERANCE) -> Callable:
    """SciPy's L-BFGS-B around a compiled value and gradient."""
    optimize = importlib.import_module("scipy.optimize")
    value_and_grad = jax.jit(jax.value_and_grad(fun))

    def both(x: Any) -> tuple[float, np.ndarray]:
        value, grad = value_and_grad(x)
        return float(value), np.asarray(grad)

    def run(x0: Any) -> tuple[Any, Any]:
        options = {"maxcor": MEMORY, "gtol": tolerance, "ftol": 0.0, "maxiter": MAX_STEPS, "maxfun": 20 * MAX_STEPS}
        end = optimize.minimize(both, np.asarray(x0), jac=True, method="L-BFGS-B", options=options)
        return end.x, end.nfev

    return run


PEERS = {
    "funcgd": with_funcgd,
    "funcgd, called directly": called_directly,
    "funcgd, in a hurry": functools.partial(with_funcgd, compiler_options=HURRY),
    "optax": with_optax,
    "jaxopt": with_jaxopt,  # which compiles anew at each direct call
    "optimistix": with_optimistix,
    "optimistix, called directly": functools.partial(with_optimistix, jit=lambda run: run),
    "scipy": with_scipy,
}


def installed(name: str) -> bool:
    """Whether a peer can be imported."""
    library = name.split(",")[0]
    try:
        importlib.import_module("scipy.optimize" if library == "scipy" else library)
    except ImportError:
        return False
    return True


def first_call(make: Callable, fun: Callable, x0: Any, repeats: int = 3) -> float:
    """The median of the seconds from nothing to a result."""
    seconds = []
    for _ in range(repeats):
        jax.clear_caches()
        fresh = functools.partial(fun)
        began = time.perf_counter()
        jax.block_until_ready(make(fresh)(x0))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    with float64_mode():
        makers = {name: make for name, make in PEERS.items() if installed(name)}
        problems = (("Rosenbrock-100 from zeros", valley, 100), ("ridge logistic regression", logistic(), 31))
        for title, fun, n in problems:
            x0 = jnp.zeros(n)
            first = {name: first_call(make, fun, x0) for name, make in makers.items()}
            jax.clear_caches()
            runs = {name: functools.partial(make(fun), x0) for name, make in makers.items()}
            times = compare(title, runs, repeats=31)
            for name, run in runs.items():
                x, calls = run()
                g = float(jnp.max(jnp.abs(jax.grad(fun)(jnp.asarray(x)))))
                print(
                    f"  {name:<28}{int(calls):>6} evaluations, {times[name] / int(calls) * 1e6:>8.2f} µs each, "
                    f"first call {first[name]:.2f} s, ‖g‖∞ = {g:.1e}"
                )


if __name__ == "__main__":
    main()
