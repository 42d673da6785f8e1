"""Newton, Newton-CG and trust regions: what holds for all methods that know the Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

METHODS = {
    "Newton": fg.Newton(),
    "NewtonCG": fg.NewtonCG(),
    "steihaug": fg.TrustRegion(),
    "dogleg": fg.TrustRegion("dogleg"),
}
each = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
VALLEY = fg.problems.rosenbrock()


def valley(x, unit):
    return unit * VALLEY.fun(x)


@each
def test_valley_from_the_standard_start_in_any_unit_of_the_loss(x64, method):
    x0 = jnp.asarray(VALLEY.x0)
    runs = [
        fg.minimize(
            valley, x0, method, args=(unit,), max_steps=100, record=True, stop=fg.stop.gradient_norm(unit * 1e-9)
        )
        for unit in (1.0, 1024.0)
    ]
    np.testing.assert_allclose(runs[0].params, [1, 1], atol=1e-8)
    assert runs[0].reason == runs[1].reason == fg.StopReason.GRADIENT_NORM
    assert runs[0].evaluations <= 100
    np.testing.assert_allclose(*(run.history["params"] for run in runs), atol=1e-7)


def exponentials(x):
    """Minimum at (−½ log 2, 0): Boyd, Vandenberghe, Convex optimization, 2004, equation 9.20."""
    return jnp.exp(x[0] + 3 * x[1] - 0.1) + jnp.exp(x[0] - 3 * x[1] - 0.1) + jnp.exp(-x[0] - 0.1)


@pytest.mark.parametrize("name", ["Newton", "dogleg"])
def test_order_is_2(x64, name):
    x0 = 0.5 ** jnp.arange(1.0, 9)
    run = fg.minimize(lambda x: jnp.sum(jnp.exp(x) - x), x0, METHODS[name], max_steps=5, record=True)
    errors = np.abs(run.history["params"])  # of each coordinate: e − 1 + exp(−e) = ½e² − … follows e
    now, then = errors[1:].ravel(), errors[:-1].ravel()
    seen = (then < 0.1) & (then > 1e-6)
    slope, constant = np.polyfit(np.log(then[seen]), np.log(now[seen]), 1)
    assert seen.sum() > 10
    assert abs(slope - 2) < 0.02
    np.testing.assert_allclose(np.exp(constant), 0.5, rtol=0.1)


def test_inexact_newton_steps_converge_with_order_above_1(x64):
    run = fg.minimize(exponentials, jnp.array([-1.0, 0.2]), fg.NewtonCG(), max_steps=12, record=True)
    errors = np.linalg.norm(run.history["params"] - np.array([-np.log(2) / 2, 0]), axis=1)
    assert errors.min() < 1e-14
    near = (errors[:-1] < 0.2) & (errors[:-1] > 1e-10)
    assert near.sum() >= 3
    assert np.all((errors[1:] <= 10 * errors[:-1] ** 1.5)[near])


def polynomial(x, a, b):
    return x @ a @ x / 2 + b @ x


CASES = {  # A, b
    "positive definite": ([[4.0, 1.0], [1.0, 3.0]], [1.0, -2.0]),
    "bad scale": ([[1e8, 0.0], [0.0, 1e-3]], [1.0, -2.0]),
    "singular with minima": ([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0]),
    "flat": ([[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0]),
    "constant": ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
    "linear": ([[0.0, 0.0], [0.0, 0.0]], [1.0, -2.0]),
    "valley that falls": ([[1.0, 0.0], [0.0, 0.0]], [1.0, 1e-3]),
    "saddle": ([[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0]),
    "hill": ([[-1.0, 0.0], [0.0, -3.0]], [1.0, 0.0]),
}


@each
def test_quadratics_and_what_is_none(x64, method):
    x0 = jnp.array([1.0, 2.0])
    for name, case in CASES.items():
        a, b = map(jnp.asarray, case)
        run = fg.minimize(polynomial, x0, method, args=(a, b), max_steps=20)
        assert np.isfinite(run.value), name
        assert np.all(np.isfinite(run.params)), name
        assert run.value <= polynomial(x0, a, b), name
        if list(CASES).index(name) < 5:  # those with a minimum
            solution = np.linalg.lstsq(case[0], -np.array(case[1]), rcond=None)[0]
            lowest = solution @ np.array(case[0]) @ solution / 2 + solution @ np.array(case[1])
            np.testing.assert_allclose(run.value, lowest, atol=1e-9 * (1 + abs(lowest)), err_msg=name)
        else:
            assert run.value < polynomial(x0, a, b) - 1e-3, name
        if method == METHODS["Newton"] and name in ("positive definite", "bad scale"):
            one = fg.minimize(polynomial, x0, method, args=(a, b), max_steps=1)
            np.testing.assert_allclose(one.params, np.linalg.solve(case[0], -np.array(case[1])), atol=1e-12)

    run = fg.minimize(polynomial, x0 * jnp.nan, method, args=(a, b), max_steps=20)
    assert run.reason == fg.StopReason.NON_FINITE


@pytest.mark.parametrize("name", ["NewtonCG", "steihaug"])
def test_what_falls_without_end_is_unbounded(name):
    run = fg.minimize(lambda x: -(x**4), 1.0, METHODS[name], max_steps=500)
    assert run.reason == fg.StopReason.UNBOUNDED
    assert np.isfinite(run.params)


@each
def test_saddles_are_left_also_under_vmap(x64, method):
    def saddles(x):
        well = x[0] ** 4 / 4 - x[0] ** 2 / 2
        monkey = x[1] ** 3 - 3 * x[1] * x[2] ** 2 + (x[1] ** 2 + x[2] ** 2) ** 2  # r³ cos 3φ + r⁴, lowest at r = ¾
        return well + monkey + jnp.cos(x[3])

    stop = fg.stop.gradient_norm(1e-8)
    starts = jnp.array([[1e-3, 1e-2, 1e-3, -0.1], [-1e-2, -1e-2, 2e-2, 1e-3], [3.0, 1.0, 1.0, 3.0]])
    found = jax.vmap(lambda x: fg.minimize(saddles, x, method, max_steps=99, stop=stop))(starts)
    assert np.all(found.reason == fg.StopReason.GRADIENT_NORM)
    np.testing.assert_allclose(found.value, -1 / 4 - 27 / 256 - 1, atol=1e-12)
    assert len(set(found.steps.tolist())) > 1


@pytest.fixture(scope="module")
def cancer():
    data = fg.problems.breast_cancer()
    return data["x"].astype(np.float64), data["y"]


def ridge(w, x, y):
    z = x @ w["w"] + w["b"]
    return jnp.sum(jnp.logaddexp(0.0, z) - y * z) + w["w"] @ w["w"] / 2


@pytest.fixture(scope="module")
def known(cancer):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(*cancer)
    return model.coef_[0], model.intercept_[0]


@each
def test_ridge_logistic_regression_agrees_with_scikit_learn(x64, method, cancer, known):
    x, y = jnp.asarray(cancer[0]), jnp.asarray(cancer[1], jnp.float64)
    x0 = {"w": jnp.zeros(30), "b": jnp.zeros(())}
    stop = fg.stop.gradient_norm(1e-8)
    run = fg.minimize(ridge, x0, method, args=(x, y), max_steps=100, stop=stop)
    assert run.reason == fg.StopReason.GRADIENT_NORM
    assert run.evaluations < 30
    np.testing.assert_allclose(run.params["w"], known[0], atol=1e-6)
    np.testing.assert_allclose(run.params["b"], known[1], atol=1e-6)


CENTRE = {"a": (np.float32(2), None), "b": [np.array([[1 + 2j, 3j]], np.complex64)], "c": np.array([5.0, -1.0])}


@pytest.mark.parametrize("name", ["Newton", "steihaug"])
def test_any_tree_is_traced_once(x64, name):
    traces = []

    def fun(x):
        traces.append(1)
        near = jax.tree.map(lambda a, b: jnp.abs(a - b).astype(jnp.float64) ** 2, x, CENTRE)
        square = fg.tree.sum(near)
        return square + square**2, square

    x0 = jax.tree.map(lambda a: jnp.ones_like(jnp.asarray(a)), CENTRE)
    run = fg.minimize(fun, x0, METHODS[name], max_steps=50, stop=fg.stop.gradient_norm(1e-5), has_aux=True)
    assert len(traces) == 1
    assert run.reason.converged
    assert jax.tree.map(lambda a: a.dtype, run.params) == jax.tree.map(lambda a: a.dtype, CENTRE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), run.params, CENTRE)
    assert run.aux < 1e-9


@pytest.mark.parametrize("name", ["Newton", "steihaug"])
def test_float32_down_to_its_precision(name):
    def fun(x):
        return 1 + VALLEY.fun(x)

    x0 = jnp.asarray(VALLEY.x0, jnp.float32)
    run = fg.minimize(fun, x0, METHODS[name], max_steps=100, stop=fg.stop.gradient_norm(0.0))
    assert run.params.dtype == run.value.dtype == jnp.float32
    np.testing.assert_allclose(run.params, [1, 1], atol=2e-3)
    if name == "steihaug":
        assert run.reason in (fg.StopReason.NO_DECREASE, fg.StopReason.GRADIENT_NORM)


def test_a_gradient_of_another_function_is_noticed():
    @jax.custom_vjp
    def fun(x):
        return x * x

    fun.defvjp(lambda x: (x * x, x), lambda x, g: (-2 * x * g,))
    for name in ("Newton", "steihaug"):
        run = fg.minimize(fun, 1.0, METHODS[name], max_steps=99)
        assert run.reason == fg.StopReason.NO_DECREASE
        assert run.steps == 0
        assert run.params == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: fg.NewtonCG(max_products=0), ValueError, "NewtonCG: `max_products`"),
        (lambda: fg.TrustRegion("newton"), ValueError, "TrustRegion: `subproblem` must be one of"),
        (lambda: fg.TrustRegion(eta=0.25), ValueError, r"TrustRegion: `eta` must be in \[0, 0.25\), got 0.25"),
        (lambda: fg.TrustRegion(radius=0), ValueError, r"TrustRegion: `radius` must be in \(0, inf\), got 0"),
        (lambda: fg.TrustRegion(max_trials=1.5), TypeError, "TrustRegion: `max_trials`"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
