"""BFGS and L-BFGS: known minima, the theory of their order, and what they do where curvature is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.pairs import add_pair, no_curvature, no_pairs, times_inverse_hessian

TIGHT = fg.stop.gradient_norm(1e-6, norm="max")


@pytest.mark.parametrize("n", [2, 10, 100])
@pytest.mark.parametrize("method", [fg.BFGS(), fg.LBFGS()], ids=["BFGS", "LBFGS"])
def test_rosenbrock(x64, method, n):
    problem = fg.problems.rosenbrock(n)
    run = fg.minimize(problem.fun, jnp.zeros(n), method, max_steps=1000, stop=TIGHT)
    assert run.reason is fg.StopReason.GRADIENT_NORM
    np.testing.assert_allclose(run.params, np.ones(n), atol=1e-5)
    assert np.abs(jax.grad(problem.fun)(run.params)).max() <= 1e-6
    assert int(run.evaluations) <= 7 * n + 30  # some 6 for each variable; SciPy's needs 602 at n = 100


def dense_inverse_hessian(pairs, m):
    """BFGS from the textbook: one product of matrices for each of the last m pairs, oldest first."""
    used = pairs[-m:]
    s, y = used[-1]
    h = np.eye(s.size) * (s @ y) / (y @ y)
    for s, y in used:
        rho = 1 / (s @ y)
        v = np.eye(s.size) - rho * np.outer(s, y)
        h = v @ h @ v.T + rho * np.outer(s, s)
    return h


def test_the_compact_form_is_the_product_form_while_slots_are_reused(x64):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a = a @ a.T + np.eye(6)
    memory, kept = no_pairs(jnp.zeros(6), 3), []
    add, times = jax.jit(add_pair), jax.jit(times_inverse_hessian)
    g = rng.normal(size=6)
    np.testing.assert_allclose(times(memory, jnp.asarray(g)), g)
    for _ in range(8):
        s = rng.normal(size=6)
        memory = add(memory, jnp.asarray(s), jnp.asarray(a @ s))
        memory = add(memory, jnp.asarray(s), jnp.asarray(-s))  # no curvature: no change
        kept.append((s, a @ s))
        np.testing.assert_allclose(times(memory, jnp.asarray(g)), dense_inverse_hessian(kept, 3) @ g, rtol=1e-9)
    memory = no_curvature(memory, jnp.bool_(True))
    np.testing.assert_allclose(times(memory, jnp.asarray(g)), g)
    for s, y in kept[:4]:  # over what was left in the slots
        memory = add(memory, jnp.asarray(s), jnp.asarray(y))
    np.testing.assert_allclose(times(memory, jnp.asarray(g)), dense_inverse_hessian(kept[:4], 3) @ g, rtol=1e-9)


def test_row_28_bfgs_is_superlinear(x64):
    """Nocedal, Wright, theorem 6.6: errors fall ever faster."""
    problem = fg.problems.rosenbrock(2)
    run = fg.minimize(
        problem.fun, jnp.asarray(problem.x0), fg.BFGS(), max_steps=100, stop=fg.stop.gradient_norm(1e-12), record=True
    )
    errors = np.linalg.norm(np.asarray(run.history["params"]) - 1, axis=1)
    errors = errors[(errors < 0.1) & (errors > 1e-14)]
    ratios = errors[1:] / errors[:-1]
    assert ratios[-1] < 0.02
    orders = np.log(ratios[1:]) / np.log(ratios[:-1])
    assert np.mean(orders[-3:]) > 1.3, orders


def test_logistic_regression_like_scikit_learn(x64):
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = fg.problems.breast_cancer()
    x, y = np.float64(data["x"]), data["y"]
    other = linear_model.LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12).fit(x, y)

    def loss(p):
        margin = (2.0 * y - 1) * (x @ p["w"] + p["b"])
        return jnp.sum(jax.nn.softplus(-margin)) + jnp.sum(p["w"] ** 2) / 2

    start = {"w": jnp.zeros(30), "b": jnp.zeros(()), "frozen": None}
    for method in (fg.LBFGS(), fg.BFGS()):
        run = fg.minimize(loss, start, method, max_steps=200, stop=fg.stop.gradient_norm(1e-7, norm="max"))
        assert run.reason.converged
        np.testing.assert_allclose(run.params["w"], other.coef_[0], atol=1e-6)
        np.testing.assert_allclose(run.params["b"], other.intercept_[0], atol=1e-6)


@pytest.mark.parametrize("method", [fg.BFGS(), fg.LBFGS(3)], ids=["BFGS", "LBFGS"])
def test_traced_once_vmapped_in_float32_over_trees_with_complex_numbers(method):
    traces = []

    def fun(x, target):
        traces.append(1)
        z, w = x["z"] - target["z"], x["w"][0] - target["w"][0]
        return jnp.sum(jnp.real(z) ** 2 + 3 * jnp.imag(z) ** 2 + jnp.abs(z) ** 4) + 10 * w**2 + z[0].real * w

    targets = {"z": jnp.array([[1 + 2j, -1j], [0j, 3 + 0j]], jnp.complex64), "w": (jnp.array([0.5, -2.0]),)}
    start = {"z": jnp.zeros(2, jnp.complex64), "w": (jnp.zeros(()),)}
    stop = fg.stop.gradient_norm(1e-4)
    runs = jax.vmap(lambda t: fg.minimize(fun, start, method, args=(t,), max_steps=60, stop=stop))(targets)
    assert len(traces) == 1
    assert [fg.StopReason(int(code)).name for code in runs.reason] == ["GRADIENT_NORM"] * 2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), runs.params, targets)
    assert runs.params["z"].dtype == jnp.complex64


def test_what_is_flat_linear_or_not_finite_ends_with_a_reason():
    flat = fg.minimize(lambda x: 0 * x, 1.0, fg.LBFGS(2), max_steps=5)
    assert flat.reason in (fg.StopReason.MAX_STEPS, fg.StopReason.NO_DECREASE)
    falling = fg.minimize(lambda x: -jnp.exp(x), 1.0, fg.LBFGS(2), max_steps=500)
    assert falling.reason in (fg.StopReason.NO_DECREASE, fg.StopReason.UNBOUNDED, fg.StopReason.NON_FINITE)
    assert falling.value < -np.e  # the last one that was finite
    log = fg.minimize(lambda x: x - jnp.log(x), 50.0, fg.BFGS(), max_steps=99, stop=fg.stop.gradient_norm(1e-3))
    np.testing.assert_allclose(log.params, 1, atol=1e-2)
    with pytest.raises(ValueError, match="LBFGS: `memory`: expected at least 1, got 0"):
        fg.LBFGS(0)
