"""Methods for nonlinear least squares."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import funcgd as fg

METHODS = [fg.GaussNewton(), fg.LevenbergMarquardt(), fg.DoglegLeastSquares()]
by_name = pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
T = np.linspace(0.0, 2.0, 9)
Y = 3 * np.exp(-1.5 * T) + 0.05 * np.cos(40 * T)  # a sum of squares that is not 0
traces = []


def decay(x, y):
    traces.append(1)
    return x["a"] * jnp.exp(-x["b"] * jnp.asarray(T, x["a"].dtype)) - y


FIT = fg.least_squares(decay)


def solve(method, dtype=jnp.float64, factor=1.0, y=Y, max_steps=30):
    x0 = {"a": jnp.asarray(factor, dtype), "b": jnp.asarray([0.5], dtype), "kind": "decay", "none": None}
    return fg.minimize(FIT, x0, method, args=(jnp.asarray(factor * y, dtype),), max_steps=max_steps)


def oracle():
    return scipy.optimize.least_squares(
        lambda x: x[0] * np.exp(-x[1] * T) - Y, [1.0, 0.5], method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )


def test_the_value_is_half_the_sum_of_squares():
    x = {"a": jnp.float32(2.0), "b": jnp.float32(0.5)}
    r = 2 * np.exp(-0.5 * T) - Y
    np.testing.assert_allclose(FIT(x, jnp.asarray(Y, jnp.float32)), r @ r / 2, rtol=1e-6)
    nested = fg.least_squares(lambda x: {"re": x, "z": (jnp.full((2, 1), 3 + 4j), None)})
    np.testing.assert_allclose(nested(jnp.float32(2.0)), (4 + 2 * 25) / 2)


@by_name
def test_scipy_agrees_and_residuals_are_traced_once(method, x64):
    expected = oracle()
    traces.clear()
    run = solve(method)
    np.testing.assert_allclose([run.params["a"], run.params["b"][0]], expected.x, rtol=1e-8)
    np.testing.assert_allclose(run.value, expected.cost, rtol=1e-12)
    assert run.params["kind"] == "decay"
    # Units of the residuals and of a change nothing but those of the answer; the same program runs.
    scaled = solve(method, factor=1e6)
    np.testing.assert_allclose([scaled.params["a"] / 1e6, scaled.params["b"][0]], expected.x, rtol=1e-7)
    # Where nothing can be gained any more it ends, though nobody asked for that.
    long = solve(method, max_steps=1000)
    assert long.reason is fg.StopReason.NO_DECREASE
    assert long.evaluations < 30
    assert len(traces) == 1


def test_a_step_of_levenberg_and_marquardt(x64):
    """The normal equations with damping, for the step and for how it bends."""
    a, b = 1.0, 0.5
    e = np.exp(-b * T)
    r, j = a * e - Y, np.stack([e, -a * T * e], 1)
    d = np.sqrt((j**2).sum(0))

    def bent(damping):
        h = j.T @ j + damping * np.diag(d**2)
        p = -np.linalg.solve(h, j.T @ r)
        q = -np.linalg.solve(h, j.T @ (a * T**2 * e * p[1] ** 2 - 2 * T * e * p[0] * p[1]))
        return p + q / 2, 2 * np.linalg.norm(d * q) > 0.75 * np.linalg.norm(d * p)

    for damping, growths in ((0.3, ()), (0.05, (2, 4))):
        used = damping
        for growth in growths:
            assert bent(used)[1]
            used *= growth
        step, far = bent(used)
        assert not far
        run = solve(fg.LevenbergMarquardt(damping), max_steps=1)
        np.testing.assert_allclose([run.params["a"] - a, run.params["b"][0] - b], step, rtol=1e-10)


def test_convergence_is_of_order_2_where_residuals_vanish(x64):
    runs = [solve(fg.GaussNewton(), y=3 * np.exp(-1.5 * T), max_steps=k).params for k in range(1, 9)]
    errors = [float(np.hypot(x["a"] - 3, x["b"][0] - 1.5)) for x in runs]
    near = [(a, b) for a, b in pairwise(errors) if 1e-6 < a < 0.1]
    assert len(near) >= 2
    assert all(b <= 2 * a**2 for a, b in near)


@by_name
def test_float32_and_vmap(method):
    def run(factor):
        found = solve(method, jnp.float32, factor, max_steps=1000)
        return (
            found.params["a"] / factor,
            found.params["b"][0],
            found.value / factor**2,
            found.reason,
            found.evaluations,
        )

    a, b, value, reason, evaluations = jax.vmap(run)(jnp.array([1.0, 2.0, 1e4]))
    expected = oracle()
    np.testing.assert_allclose(a, expected.x[0], rtol=1e-5)
    np.testing.assert_allclose(b, expected.x[1], rtol=1e-5)
    np.testing.assert_allclose(value, expected.cost, rtol=1e-4)
    assert (reason == fg.StopReason.NO_DECREASE).all()
    assert (evaluations < 40).all()


def linear_residuals(x, a, b):
    return {"r": a @ jnp.concatenate([x["u"], x["v"].ravel()]) - b}


LINEAR = fg.least_squares(linear_residuals)
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("m", [6, 2], ids=["tall", "wide"])
def test_gauss_newton_solves_linear_problems_in_one_step(m, x64):
    a, b = RANDOM.normal(size=(m, 3)) * [1, 1e-3, 1e3], RANDOM.normal(size=m)
    x0 = {"u": jnp.ones(1), "v": jnp.ones((2, 1))}
    run = fg.minimize(LINEAR, x0, fg.GaussNewton(), args=(jnp.asarray(a), jnp.asarray(b)), max_steps=1)
    x = np.concatenate([run.params["u"], run.params["v"].ravel()])
    if m < 3:  # the shortest step in the norms of the columns
        d = np.linalg.norm(a, axis=0)
        expected = 1 + np.linalg.lstsq(a / d, b - a.sum(1))[0] / d
    else:
        expected = np.linalg.lstsq(a, b)[0]
    np.testing.assert_allclose(x, expected, rtol=1e-7)


@by_name
def test_a_singular_jacobian_does_no_harm(method, x64):
    a = np.stack([np.ones(6), np.ones(6), np.zeros(6)], 1)  # x₁ + x₂ alone matters
    x0 = {"u": jnp.ones(1), "v": jnp.ones((2, 1))}
    run = fg.minimize(LINEAR, x0, method, args=(jnp.asarray(a), jnp.arange(6.0)), max_steps=30)
    np.testing.assert_allclose(run.params["u"][0] + run.params["v"][0, 0], 2.5, rtol=1e-7)
    assert float(run.params["v"][1, 0]) == 1
    np.testing.assert_allclose(run.value, 17.5 / 2)


def test_complex_numbers():
    a = RANDOM.normal(size=(5, 2)) + 1j * RANDOM.normal(size=(5, 2))
    b = RANDOM.normal(size=5) + 1j * RANDOM.normal(size=5)
    fit = fg.least_squares(lambda z: jnp.complex64(a) @ z - jnp.complex64(b))
    run = fg.minimize(fit, jnp.zeros(2, jnp.complex64), fg.LevenbergMarquardt(), max_steps=20)
    np.testing.assert_allclose(run.best, np.linalg.lstsq(a, b)[0], rtol=1e-4, atol=1e-5)


def odd(x):
    return {"log": jnp.log(x[0]) + 2, "square": x[1] ** 2 - 1, "root": jnp.sqrt(x[2]) - 1}


@by_name
def test_ends_are_honest(method):
    fit = fg.least_squares(odd)

    def run(*x):
        return fg.minimize(fit, jnp.array(x), method, max_steps=60)

    found = run(3.0, 2.0, 4.0)  # a full step makes x₀ negative, and the derivative in x₂ infinite
    np.testing.assert_allclose(found.best, [np.exp(-2), 1, 1], rtol=1e-4)
    for start in ((-1.0, 2.0, 4.0), (3.0, 2.0, 0.0)):  # f is NaN, or has no derivative
        lost = run(*start)
        assert (lost.reason, int(lost.evaluations)) == (fg.StopReason.NON_FINITE, 1)
        assert tuple(lost.params.tolist()) == start
    flat = run(float(np.exp(-2)), 0.0, 1.0)  # a stationary point, but for the rounding of e⁻²
    np.testing.assert_allclose(flat.params, [np.exp(-2), 0, 1], rtol=1e-6)
    assert flat.reason in (fg.StopReason.NO_DECREASE, fg.StopReason.GRADIENT_NORM)


def test_aux_and_errors():
    both = fg.least_squares(lambda x: (x - 3, {"x": x}), has_aux=True)
    run = fg.minimize(both, jnp.zeros(2), fg.LevenbergMarquardt(), max_steps=20, has_aux=True)
    np.testing.assert_allclose(run.aux["x"], 3, rtol=1e-6)
    run = fg.minimize(both, jnp.zeros(2), fg.gradient_descent(1.0), max_steps=1, has_aux=True)  # any other method, too
    np.testing.assert_allclose(run.aux["x"], 3, rtol=1e-6)
    with pytest.raises(ValueError, match="minimize: `has_aux` must be that of `fun`, got False"):
        fg.minimize(both, jnp.zeros(2), fg.LevenbergMarquardt(), max_steps=3)
    for method in METHODS:
        name = type(method).__name__
        with pytest.raises(TypeError, match=rf"{name}: `fun` must be fg.least_squares\(residuals\)"):
            fg.minimize(lambda x: x**2, 1.0, method, max_steps=3)
    with pytest.raises(TypeError, match="least_squares: `residuals` must be a function"):
        fg.least_squares(3.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="must return floating or complex arrays, got no array"):
        fg.minimize(fg.least_squares(lambda x: ()), 1.0, fg.LevenbergMarquardt(), max_steps=3)
    with pytest.raises(TypeError, match="must return floating or complex arrays"):
        fg.minimize(fg.least_squares(lambda x: jnp.arange(2)), 1.0, fg.gradient_descent(1.0), max_steps=3)
