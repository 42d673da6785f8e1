"""Methods for f + h: against scikit-learn and SciPy, the theorems on their speed, and their optimality conditions."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet

import funcgd as fg


@functools.cache
def diabetes():
    x, y = load_diabetes(return_X_y=True)
    return x * np.sqrt(len(y)), y


def fit_loss(params, x, y):
    """That of scikit-learn: ‖y − Xw − b‖²/2n; the intercept b is not penalised."""
    return 0.5 * jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


def by_sklearn(x, y, alpha, l1_ratio):
    return ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-15, max_iter=10**6).fit(x, y)


@pytest.mark.parametrize("method", [fg.ProximalGradient, fg.FISTA])
def test_lasso_and_elastic_net_are_those_of_scikit_learn(method, x64):
    x, y = diabetes()
    start = {"w": jnp.zeros(10), "b": jnp.array(0.0)}
    for alpha, l1_ratio in ((0.5, 1.0), (3.0, 1.0), (0.5, 0.7)):
        known = by_sklearn(x, y, alpha, l1_ratio)
        h = fg.ElasticNet({"w": alpha * l1_ratio, "b": 0.0}, {"w": alpha * (1 - l1_ratio), "b": 0.0})
        run = fg.minimize(fit_loss, start, method(h), args=(x, y), max_steps=3000, stop=fg.stop.gradient_norm(1e-8))
        assert run.reason.name == "GRADIENT_NORM"
        np.testing.assert_allclose(run.params["w"], known.coef_, atol=1e-6)
        np.testing.assert_allclose(run.params["b"], known.intercept_, atol=1e-6)
        assert ((run.params["w"] != 0) == (known.coef_ != 0)).all()
        w = known.coef_
        total = np.mean((x @ w + known.intercept_ - y) ** 2) / 2
        total += alpha * (l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum())
        assert run.value == pytest.approx(total, rel=1e-13)  # f + h, not f alone


def ill_conditioned():
    """A lasso with Hessian of condition number 10⁴, its Lipschitz constant L, and its solution x.

    Its optimality condition, aᵀ(ax − b) = −λs with s = sign(x) on the support and |s| ≤ 1 elsewhere, is solved for b.
    """
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(40, 20)))
    v, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    a = u * np.geomspace(1, 1e-2, 20) @ v
    x = rng.normal(size=20) * (rng.random(20) < 0.5)
    s, strength = np.where(x == 0, rng.uniform(-0.9, 0.9, size=20), np.sign(x)), 1e-4
    b = a @ (x + strength * np.linalg.solve(a.T @ a, s))
    return a, b, strength, np.linalg.norm(a, 2) ** 2, x


def test_speeds_are_within_their_theorems(x64):
    """ISTA: F(x_k) − F* ≤ L‖x₀ − x*‖²/2k; FISTA: ≤ 2L‖x₀ − x*‖²/(k + 1)², which ISTA misses."""
    a, b, strength, lipschitz, solution = ill_conditioned()

    def value(x):
        return 0.5 * np.sum((a @ x - b) ** 2) + strength * np.abs(x).sum()

    def f(x):
        return 0.5 * jnp.sum((a @ x - b) ** 2)

    h, k, start = fg.L1Norm(strength), np.arange(1, 401), 3 * np.ones(20)
    gap = {}
    for name, method in {
        "ista": fg.ProximalGradient(h, step_size=1 / lipschitz),
        "fista": fg.FISTA(h, step_size=1 / lipschitz, restart=False),
        "found": fg.FISTA(h, restart=False),
        "restarted": fg.FISTA(h),
    }.items():
        run = fg.minimize(f, jnp.asarray(start), method, max_steps=400, record=True)
        gap[name] = np.asarray(run.history["value"])[1:] - value(solution)
        np.testing.assert_allclose(run.history["value"][7], value(np.asarray(run.history["params"][7])), rtol=1e-13)
    far = np.sum((start - solution) ** 2)
    assert np.all(gap["ista"] <= lipschitz * far / (2 * k))
    assert np.all(gap["fista"] <= 2 * lipschitz * far / (k + 1) ** 2)
    assert np.all(gap["found"] <= 2 * 10 * lipschitz * far / (k + 1) ** 2)  # η may be 1/10L after a rejected trial
    assert np.all(np.diff(gap["ista"]) <= 1e-15)
    assert gap["fista"][-1] < 0.1 * gap["ista"][-1]
    assert gap["restarted"][-1] < 0.1 * gap["fista"][-1]


def test_the_norm_is_that_of_the_gradient_mapping(x64):
    a, b, strength, lipschitz, _ = ill_conditioned()
    eta = 0.5 / lipschitz
    for method in (fg.ProximalGradient, fg.FISTA):
        run = fg.minimize(
            lambda x: 0.5 * jnp.sum((a @ x - b) ** 2),
            jnp.ones(20),
            method(fg.L1Norm(strength), step_size=eta),
            max_steps=5,
            record=True,
        )
        for x, norm in zip(run.history["params"], run.history["gradient_norm"], strict=True):
            x = np.asarray(x)
            z = x - eta * a.T @ (a @ x - b)
            z = np.sign(z) * np.maximum(np.abs(z) - eta * strength, 0)
            assert norm == pytest.approx(np.linalg.norm(x - z) / eta, rel=1e-9)


def test_non_negative_least_squares_from_an_infeasible_start(x64):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(30, 12)), rng.normal(size=30)
    known, residual = nnls(a, b)
    run = fg.minimize(
        lambda x: 0.5 * jnp.sum((a @ x - b) ** 2),
        -jnp.ones(12),
        fg.ProjectedGradient(fg.projection_non_negative),
        max_steps=500,
        stop=fg.stop.gradient_norm(1e-10),
        record=True,
    )
    assert run.reason.name == "GRADIENT_NORM"
    np.testing.assert_allclose(run.params, known, atol=1e-9)
    assert ((run.params > 0) == (known > 0)).all()
    assert run.value == pytest.approx(residual**2 / 2)
    assert run.history["params"].min() >= 0  # the infeasible start is no iterate
    assert run.best.min() >= 0
    assert run.evaluations >= run.steps + 2


def portfolio(seed=2):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(8, 8))
    return root @ root.T / 8 + 0.05 * np.eye(8), rng.normal(size=8) / 2


@pytest.mark.parametrize(
    "method",
    [fg.ProjectedGradient(fg.projection_simplex), fg.MirrorDescent(), fg.FISTA(fg.Indicator(fg.projection_simplex))],
)
def test_quadratics_over_the_simplex_satisfy_their_conditions(method, x64):
    """p solves the problem exactly if all gradients on its support are equal and none elsewhere is lower."""
    q, c = portfolio()

    def f(x):
        p = jnp.concatenate([x["a"], x["b"]])
        return 0.5 * p @ q @ p - c @ p

    start = {"a": jnp.full(3, 5.0), "b": jnp.zeros(5)}  # not feasible
    run = fg.minimize(f, start, method, max_steps=3000, stop=fg.stop.gradient_norm(1e-8))
    p = np.concatenate([run.params["a"], run.params["b"]])
    g = q @ p - c
    assert run.reason.name == "GRADIENT_NORM"
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1, abs=1e-14)
    assert p @ (g - g.min()) <= 1e-7
    assert 1 < np.sum(p > 1e-6) < 8
