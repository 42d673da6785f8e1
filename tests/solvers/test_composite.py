"""Methods for f + h: against scikit-learn and SciPy, the theorems on their speed, and their optimality conditions."""

import dataclasses
import functools

import jax
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


@pytest.mark.parametrize("method", [fg.ProximalGradient, fg.FISTA, fg.CoordinateDescent, fg.ADMM])
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
        "turns": fg.ADMM(h),
        "sweeps": fg.CoordinateDescent(h),
        "restarted": fg.FISTA(h),
    }.items():
        run = fg.minimize(f, jnp.asarray(start), method, max_steps=400, record=True)
        gap[name] = np.asarray(run.history["value"])[1:] - value(solution)
        np.testing.assert_allclose(run.history["value"][7], value(np.asarray(run.history["params"][7])), rtol=1e-13)
        if name in ("ista", "fista"):
            x = np.asarray(run.history["params"][9])
            z = x - a.T @ (a @ x - b) / lipschitz
            z = np.sign(z) * np.maximum(np.abs(z) - strength / lipschitz, 0)
            assert run.history["gradient_norm"][9] == pytest.approx(np.linalg.norm(x - z) * lipschitz, rel=1e-9)
    far = np.sum((start - solution) ** 2)
    assert np.all(gap["ista"] <= lipschitz * far / (2 * k))
    assert np.all(gap["fista"] <= 2 * lipschitz * far / (k + 1) ** 2)
    assert np.all(np.diff(gap["ista"]) <= 1e-15)
    assert gap["fista"][-1] < 0.1 * gap["ista"][-1]
    assert np.all(np.diff(gap["sweeps"]) <= 1e-15)
    assert gap["turns"][-1] < 0.1 * gap["ista"][-1]
    assert gap["sweeps"][-1] < 0.5 * gap["ista"][-1]
    assert gap["restarted"][-1] < 0.1 * gap["fista"][-1]


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
    assert (run.history["params"][0] == 0).all()  # it begins at the projection


def portfolio(seed=2):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(8, 8))
    return root @ root.T / 8 + 0.05 * np.eye(8), rng.normal(size=8) / 2


@pytest.mark.parametrize(
    "method",
    [
        fg.ProjectedGradient(fg.projection_simplex),
        fg.MirrorDescent(),
        fg.FISTA(fg.Indicator(fg.projection_simplex)),
        fg.ADMM(fg.Indicator(fg.projection_simplex)),
    ],
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


def test_mirror_descent_on_positive_numbers_never_goes_up(x64):
    rng = np.random.default_rng(3)
    a = np.abs(rng.normal(size=(12, 6))) + 0.1
    x = rng.uniform(0.5, 2, size=6)
    b = a @ x
    run = fg.minimize(
        lambda x: jnp.sum(a @ x - b * jnp.log(a @ x)),  # a Poisson likelihood: its gradient has no Lipschitz constant
        jnp.ones(6),
        fg.MirrorDescent("positive"),
        max_steps=2000,
        stop=fg.stop.gradient_norm(1e-6),
        record=True,
    )
    assert run.reason.name == "GRADIENT_NORM"
    assert np.max(np.diff(run.history["value"])) <= 1e-13
    np.testing.assert_allclose(run.params, x, atol=1e-4)


L1 = fg.L1Norm(0.5)
METHODS = {
    "proximal gradient": fg.ProximalGradient(L1),
    "fista": fg.FISTA(L1),
    "coordinate descent": fg.CoordinateDescent(L1),
    "admm": fg.ADMM(L1),
}
CENTRE = {"a": jnp.array([[2.0, -0.25, -3.0]], jnp.float32), "b": (jnp.float32(1.0), None)}


@pytest.mark.parametrize("name", METHODS)
def test_trees_populations_and_one_trace(name):
    """f = ‖x − c‖²/2 with c shrunk by λ as its solution, for several λ at once; float32, a scalar and a None."""
    traces = []

    def f(x, centre):
        traces.append(1)
        return 0.5 * fg.tree.norm(fg.tree.sub(x, centre)) ** 2, fg.tree.norm(x)

    def solve(method, centre):
        return fg.minimize(
            f,
            fg.tree.zeros_like(centre),
            method,
            args=(centre,),
            max_steps=60,
            has_aux=True,
            stop=fg.stop.gradient_norm(1e-5),
        )

    strengths = [0.5, 1.5, 9.0]
    methods = fg.stack([METHODS[name], *(_with(METHODS[name], s) for s in strengths[1:])])
    runs = jax.vmap(solve, (0, None))(methods, CENTRE)
    assert len(traces) == 1
    for i, strength in enumerate(strengths):
        for leaf, centre in zip(jax.tree.leaves(runs.params), jax.tree.leaves(CENTRE), strict=True):
            known = np.sign(centre) * np.maximum(np.abs(centre) - strength, 0)
            np.testing.assert_allclose(leaf[i], known, atol=2e-5)
            assert leaf.dtype == jnp.float32
    assert np.all(runs.reason == int(fg.StopReason.GRADIENT_NORM))
    assert np.all(runs.evaluations >= runs.steps + 1)


def _with(method, strength):
    return dataclasses.replace(method, regularizer=fg.L1Norm(strength))


def test_complex_parameters_shrink_in_modulus():
    c = jnp.array([3 + 4j, 0.1j], jnp.complex64)
    for method in (fg.FISTA(fg.L1Norm(2.5)),):
        run = fg.minimize(
            lambda x: 0.5 * jnp.sum(jnp.abs(x - c) ** 2),
            jnp.ones(2, jnp.complex64),
            method,
            max_steps=60,
            stop=fg.stop.gradient_norm(1e-5),
        )
        np.testing.assert_allclose(run.params, [1.5 + 2j, 0], atol=1e-4)


def test_derivatives_of_the_steps_taken(x64):
    """The solution is c − λ: its derivative with respect to λ is −1, to c 1."""

    def solution(strength, centre):
        method = fg.ProximalGradient(fg.L1Norm(strength), step_size=0.5)
        f = lambda x, c: 0.5 * (x - c) ** 2  # noqa: E731
        return fg.minimize(f, 0.0, method, args=(centre,), max_steps=40, differentiate="unroll").params

    by_strength, by_centre = jax.grad(solution, (0, 1))(0.5, 2.0)
    assert by_strength == pytest.approx(-1, abs=1e-9)
    assert by_centre == pytest.approx(1, abs=1e-9)


def test_trials_outside_the_domain_are_rejected(x64):
    for method in (fg.FISTA(fg.L1Norm(1.0)),):
        run = fg.minimize(
            lambda x: jnp.sum(-jnp.log(x)),  # plus |x|: the minimum is at 1
            jnp.array([0.1, 3.0]),
            method,
            max_steps=2000,
            stop=fg.stop.gradient_norm(1e-8),
        )
        np.testing.assert_allclose(run.params, 1, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_ends_are_honest(name):
    def only_at_one(x):
        return jnp.where(x == 1, x, jnp.nan)

    def minimize(f, x, **options):
        return fg.minimize(f, x, METHODS[name], max_steps=30, **options)

    if name in ("proximal gradient", "fista"):
        run = minimize(only_at_one, 1.0)
        assert run.reason.name == "NO_DECREASE"
        assert minimize(only_at_one, jnp.nan).reason.name == "NON_FINITE"
        assert float(run.params) == 1.0
        assert 5 < int(run.evaluations) <= 41
    else:
        run = minimize(lambda x: jnp.sum(x**4), jnp.array([1.0, 3.0]))
        assert run.reason.name == "NOT_QUADRATIC"
        assert "FISTA" in run.reason.advice
        flat = minimize(lambda x: 0.0 * jnp.sum(x), jnp.ones(2), stop=fg.stop.gradient_norm(1e-6))
        assert flat.reason.name == "GRADIENT_NORM"
        np.testing.assert_allclose(flat.params, 0, atol=1e-6)  # h alone


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fg.ProximalGradient(0.1), TypeError, "ProximalGradient: `regularizer` must be a regularizer such as"),
        (lambda: fg.FISTA(L1, step_size=0.0), ValueError, r"FISTA: `step_size` must be in \(0, inf\)"),
        (lambda: fg.FISTA(L1, restart="value"), ValueError, "FISTA: `restart` must be one of"),
        (lambda: fg.ProximalGradient(L1, memory=0), ValueError, "ProximalGradient: `memory`: expected at least 1"),
        (lambda: fg.ProjectedGradient(1.0), TypeError, "ProjectedGradient: `projection` must be a function"),
        (lambda: fg.CoordinateDescent(fg.L2Norm(1.0)), TypeError, "must be a sum over the entries"),
        (lambda: fg.Indicator(fg.projection_simplex, (-1.0,)), ValueError, r"Indicator: `parameters\[0\]` must be in"),
        (lambda: fg.ADMM(L1, penalty=-1.0), ValueError, "ADMM: `penalty`"),
        (lambda: fg.MirrorDescent("ball"), ValueError, "MirrorDescent: `geometry` must be one of"),
        (
            lambda: fg.minimize(jnp.sum, jnp.ones(2, complex), fg.MirrorDescent(), max_steps=1),
            TypeError,
            "MirrorDescent: `x0` must be real",
        ),
        (
            lambda: fg.ProjectedGradient(fg.projection_box, (jnp.ones(2), 0.0)),
            ValueError,
            "ProjectedGradient: `lower` must be at most `upper`",
        ),
        (
            lambda: fg.minimize(lambda x: x, jnp.ones(2), fg.FISTA(L1), max_steps=1),
            TypeError,
            "`fun` must return a real scalar",
        ),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
