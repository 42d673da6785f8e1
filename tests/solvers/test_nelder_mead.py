"""Nelder and Mead's method, against SciPy's with the same factors: the same evaluations, to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import funcgd as fg
from funcgd.problems import more_garbow_hillstrom

ABSOLUTE = (lambda x: abs(x[0]) + abs(x[1]), [1.3, -0.7])
CASES = {
    "rosenbrock": (more_garbow_hillstrom(1).fun, [-1.2, 1.0]),
    "powell": (more_garbow_hillstrom(13).fun, [3.0, -1.0, 0.0, 1.0]),
    "absolute": ABSOLUTE,
    "one": (lambda x: (x[0] - 3.0) ** 2, [2.0]),
}


def run(fun, x0, tolerance=1e-8, max_steps=2000, **options):
    return fg.minimize(fun, x0, fg.NelderMead(tolerance, tolerance), max_steps=max_steps, **options)


@pytest.mark.parametrize("case", CASES)
def test_as_scipy(x64, case):
    fun, x0 = CASES[case]
    ours = run(fun, jnp.array(x0))
    compiled = jax.jit(fun)
    theirs = scipy.optimize.minimize(
        lambda x: float(compiled(x)),
        x0,
        method="Nelder-Mead",
        options={"adaptive": len(x0) > 1, "xatol": 1e-8, "fatol": 1e-8, "maxfev": 5000},
    )
    assert ours.reason is fg.StopReason.STEP_SIZE
    assert theirs.success
    np.testing.assert_allclose(ours.params, theirs.x, atol=2e-7)
    np.testing.assert_allclose(ours.value, theirs.fun, atol=1e-12)
    assert abs(int(ours.evaluations) - theirs.nfev) <= 0.1 * theirs.nfev  # rounding decides ties late in the run
    np.testing.assert_array_equal(ours.params, ours.best)


def test_iterates_go_down_and_the_gradient_is_not_known(x64):
    found = run(*ABSOLUTE, record=True, stop=fg.stop.gradient_norm(1e9) | fg.stop.target_value(0.01))
    values = np.asarray(found.history["value"])
    assert found.reason is fg.StopReason.TARGET_VALUE
    assert len(values) == int(found.steps) + 1 < int(found.evaluations)
    assert np.all(np.diff(values) < 0)
    assert np.all(np.isnan(found.history["gradient_norm"]))


def test_trees_of_any_shape_under_vmap_and_aux():
    traces = []

    def fun(x, centre):
        traces.append(None)
        away = x["w"] - centre
        return jnp.sum(away**2) + jnp.abs(x["z"] - 1j) ** 2, {"away": away}

    def solve(centre):
        x0 = {"w": jnp.zeros((1, 2)), "z": jnp.complex64(0.5), "none": None, "name": "x"}
        method = fg.NelderMead(1e-4, 1e-6)
        found = fg.minimize(fun, x0, method, args=(centre,), max_steps=500, has_aux=True)
        return found.params["w"], found.params["z"], found.aux["away"], found.reason

    centres = jnp.array([[[0.5, -1.0]], [[2.0, 3.0]]], jnp.float32)
    w, z, away, reason = jax.jit(jax.vmap(solve))(centres)
    assert len(traces) == 1
    assert w.dtype == jnp.float32
    np.testing.assert_allclose(w, centres, atol=2e-3)
    np.testing.assert_allclose(z, 1j, atol=2e-3)
    np.testing.assert_allclose(away, w - centres, atol=1e-6)
    np.testing.assert_array_equal(reason, fg.StopReason.STEP_SIZE)


def test_walls_of_nan_flat_functions_and_lakes_without_ground(x64):
    def functions(x, which):
        wall = jnp.where(x[0] > 1, jnp.nan, (x[0] - 2.0) ** 2 + x[1] ** 2)
        return jnp.stack([wall, 0 * x[0] + 4.0, jnp.nan * x[0], x[0]])[which]

    def solve(which):
        return run(functions, jnp.array([0.5, 0.5]), args=(which,), max_steps=10**6)

    found = jax.jit(jax.vmap(solve))(jnp.arange(4))
    reasons = list(map(fg.StopReason, found.reason.tolist()))
    assert reasons[:3] == [fg.StopReason.STEP_SIZE, fg.StopReason.STEP_SIZE, fg.StopReason.NON_FINITE]
    assert reasons[3] in (fg.StopReason.UNBOUNDED, fg.StopReason.NO_DECREASE)
    np.testing.assert_allclose(found.params[0], [1, 0], atol=1e-3)
    np.testing.assert_array_equal(found.params[1], [0.5, 0.5])


def test_it_gives_up(x64):
    """No simplex is smaller than 0, and after some time nothing is lower than a corner."""
    patient = fg.NelderMead(size_tolerance=0, value_tolerance=0, max_trials=10)
    found = fg.minimize(lambda x: jnp.sum(jnp.abs(x)), jnp.array([1.0, 0.0]), patient, max_steps=10**6)
    assert found.reason in (fg.StopReason.NO_DECREASE, fg.StopReason.STEP_SIZE)
    np.testing.assert_allclose(found.params, 0, atol=1e-6)


def test_its_solution_is_differentiable(x64):
    def solution(c):
        return run(lambda x, c: jnp.sum((x - c) ** 4) + x @ x, jnp.ones(2), args=(c,), differentiate="implicit").params

    c = jnp.array([2.0, -1.0])
    x, slopes = jax.jit(lambda c: (solution(c), jax.jacrev(solution)(c)))(c)
    curvature = 12 * (x - c) ** 2
    np.testing.assert_allclose(slopes, np.diag(curvature / (curvature + 2)), rtol=1e-10)


def test_errors():
    with pytest.raises(ValueError, match=r"NelderMead: `edge` must be in \(0, inf\), got 0.0"):
        fg.NelderMead(edge=0)
    with pytest.raises(ValueError, match=r"NelderMead: `max_trials`: expected at least 1, got 0"):
        fg.NelderMead(max_trials=0)
