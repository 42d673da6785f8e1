"""L-BFGS-B: SciPy's solutions, the model's minimum by brute force, bounds of all shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import funcgd as fg
from funcgd.solvers.box_model import cauchy_point, learn_pair, minimizer, no_model

TIGHT = fg.stop.gradient_norm(1e-6, norm="max")
N = 10


def test_bounded_problems_like_scipy(x64):
    fun, bowl = fg.problems.rosenbrock(N).fun, np.random.default_rng(1).normal(size=(N, N))
    bowl = jnp.asarray(bowl @ bowl.T + 0.1 * np.eye(N))

    def objective(x, kind):
        return jnp.where(kind == 0, fun(x), x @ bowl @ x / 2 - 3 * x.sum())

    step, inf = np.where(np.arange(N) % 3 == 0, 0.5, 2.0), np.inf
    boxes = [(-1.5, step), (0.2, 0.7), (-inf, inf), (0.5, 0.5), (np.zeros(N), inf)]
    lower, upper = (
        jnp.stack([jnp.broadcast_to(jnp.asarray(b, float), N) for b in side]) for side in zip(*boxes, strict=True)
    )
    traces = []

    @jax.jit
    @jax.vmap
    @jax.vmap
    def solve(lower, upper, kind):
        def counted(x, kind):
            traces.append(1)
            return objective(x, kind)

        return fg.minimize(counted, jnp.zeros(N), fg.LBFGSB(lower, upper), args=(kind,), max_steps=500, stop=TIGHT)

    kinds = jnp.broadcast_to(jnp.arange(2), (len(boxes), 2))
    spread = [jnp.broadcast_to(b[:, None], (len(boxes), 2, N)) for b in (lower, upper)]
    runs = solve(*spread, kinds)
    assert len(traces) == 1
    assert (runs.reason == fg.StopReason.GRADIENT_NORM).all()
    assert (runs.params >= spread[0]).all()
    assert (runs.params <= spread[1]).all()
    total, theirs = 0, 0
    for i in range(len(boxes)):
        for kind in range(2):
            both = jax.jit(jax.value_and_grad(lambda x, kind=kind: objective(x, kind)))
            other = optimize.minimize(
                lambda x, both=both: tuple(map(np.asarray, both(x))),
                np.zeros(N),
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(np.asarray(lower[i]), np.asarray(upper[i]), strict=True)),
                options={"gtol": 1e-7, "ftol": 0},
            )
            np.testing.assert_allclose(runs.params[i, kind], other.x, atol=2e-5)
            total, theirs = total + int(runs.evaluations[i, kind]), theirs + other.nfev
    assert total <= 1.3 * theirs


def test_trust_constr_agrees(x64):
    fun = fg.problems.rosenbrock(2).fun
    run = fg.minimize(fun, jnp.array([-1.2, 0.4]), fg.LBFGSB(-2.0, 0.5), max_steps=100, stop=TIGHT)
    gradient = jax.jit(jax.grad(fun))
    other = optimize.minimize(
        fun,
        [-1.2, 0.4],
        jac=lambda x: np.asarray(gradient(x)),
        method="trust-constr",
        bounds=[(-2, 0.5)] * 2,
        options={"gtol": 1e-9, "xtol": 1e-12},
    )
    np.testing.assert_allclose(run.params, other.x, atol=1e-4)


def test_without_active_bounds_the_minimum_is_the_newton_point_of_the_textbook_matrix(x64):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 5))
    a = a @ a.T + np.eye(5)
    model, pairs, learn, solve = no_model(5, 3, jnp.float64), [], jax.jit(learn_pair), jax.jit(minimizer)
    free = jnp.full(5, -jnp.inf), jnp.full(5, jnp.inf)
    for k in range(6):
        s = rng.normal(size=5)
        model = learn(model, jnp.asarray(s), jnp.asarray(a @ s))
        model = learn(model, jnp.asarray(s), jnp.asarray(-s))  # no curvature: no change
        pairs.append((s, a @ s))
        b = np.eye(5) * (pairs[-1][1] @ pairs[-1][1]) / (s @ a @ s)
        for s, y in pairs[-3:]:
            b = b - np.outer(b @ s, b @ s) / (s @ b @ s) + np.outer(y, y) / (s @ y)
        x, g = rng.normal(size=5), rng.normal(size=5)
        found = solve(model, jnp.asarray(x), jnp.asarray(g), *free)
        np.testing.assert_allclose(found, x - np.linalg.solve(b, g), rtol=1e-8, err_msg=f"{k}")


def test_the_cauchy_point_is_what_a_walk_along_the_projected_path_finds(x64):
    rng = np.random.default_rng(1)
    solve, corners = jax.jit(cauchy_point), 0
    for _ in range(30):
        b = rng.normal(size=(5, 5))
        b = b @ b.T + 0.3 * np.eye(5)
        x, g = rng.normal(size=5), 3 * rng.normal(size=5)
        lower, upper = x - rng.uniform(0, 1, 5), x + rng.uniform(0, 1, 5)
        lower[0], g[1] = x[0], 0.0
        theta = 2.0  # B = θI − WMWᵀ with W = I
        found = solve(jnp.eye(5), *map(jnp.asarray, (theta, theta * np.eye(5) - b, x, g, lower, upper)))
        path = np.clip(x - np.linspace(0, 2, 20001)[:, None] * g, lower, upper)
        z = path - x
        values = z @ g + np.einsum("ki,ij,kj->k", z, b, z) / 2
        stop = np.argmax(np.diff(values, append=np.inf) >= 0)
        np.testing.assert_allclose(found, path[stop], atol=1e-3)
        corners += np.sum((path[stop] == lower) | (path[stop] == upper))
    assert 30 < corners < 120  # of 150: some coordinates rest, others do not


def test_the_derivative_of_a_solution_at_active_bounds(x64):
    def solution(target, upper):
        method = fg.LBFGSB(-1.0, upper)
        return fg.minimize(
            lambda x, t: jnp.sum((x - t) ** 2) + x[0] * x[1] / 2,
            jnp.zeros(2),
            method,
            args=(target,),
            max_steps=50,
            stop=fg.stop.gradient_norm(1e-10),
            differentiate="implicit",
        ).params

    # x₁ rests at its bound u; 2(x₀ − t₀) + u/2 = 0
    by_target, by_upper = jax.jacobian(solution, argnums=(0, 1))(jnp.array([0.3, 2.0]), jnp.float64(0.5))
    np.testing.assert_allclose(by_target, [[1, 0], [0, 0]], atol=1e-9)
    np.testing.assert_allclose(by_upper, [-0.25, 1], atol=1e-9)


def test_an_infeasible_start_is_projected_and_never_evaluated():
    box = fg.LBFGSB({"a": 1.0, "b": jnp.array([0.5, -jnp.inf])}, {"a": 2.0, "b": 3.0})

    def fun(x):
        return jnp.log(x["a"]) + jnp.sum((x["b"] + 1) ** 2)  # NaN at the start

    run = fg.minimize(
        fun, {"a": -1.0, "b": jnp.array([9.0, 9.0])}, box, max_steps=50, stop=fg.stop.gradient_norm(1e-5), record=True
    )
    np.testing.assert_allclose(run.history["params"]["a"][0], 1.0)
    np.testing.assert_allclose(run.history["params"]["b"][0], [3.0, 3.0])
    assert run.reason is fg.StopReason.GRADIENT_NORM
    np.testing.assert_allclose(run.params["a"], 1.0)
    np.testing.assert_allclose(run.params["b"], [0.5, -1.0], atol=1e-5)
    assert np.isfinite(run.value)


@pytest.mark.parametrize(
    ("lower", "upper", "error", "message"),
    [
        (1.0, 0.0, ValueError, "LBFGSB: `lower` must not be above `upper`, got 1.0 above 0.0"),
        ([0.0, 2.0], 1.0, ValueError, "got 2.0 above 1.0"),
        (np.array([0.0, 2.0]), 1.0, ValueError, r"got 2.0 above 1.0 at \[1\]"),
        (float("nan"), 1.0, ValueError, "LBFGSB: `lower` must hold no NaN"),
        ("low", 1.0, TypeError, "LBFGSB: `lower` must be made of real numbers"),
    ],
)
def test_bounds_are_checked_early(lower, upper, error, message):
    with pytest.raises(error, match=message):
        fg.LBFGSB(lower, upper)


def test_bounds_that_do_not_fit_are_named():
    for x0, lower, error in (
        (jnp.zeros(3), np.zeros(2), ValueError),
        ({"a": 1.0}, {"b": 0.0}, ValueError),
        (1j, 0.0, TypeError),
    ):
        with pytest.raises(error, match="LBFGSB: "):
            fg.minimize(lambda x: 0.0, x0, fg.LBFGSB(lower), max_steps=1)
