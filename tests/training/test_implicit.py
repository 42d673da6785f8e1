"""Derivatives of solutions: against closed forms, difference quotients and the steps themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 4)), RNG.normal(size=20)
GRAM, MOMENT = X.T @ X / 20, X.T @ Y / 20
STOP, GD = fg.stop.gradient_norm(1e-11), fg.gradient_descent(0.2)


def solve(fun, x0, *args, method=GD, differentiate="implicit", max_steps=3000, stop=STOP, **options):
    return fg.minimize(
        fun, x0, method, args=args, max_steps=max_steps, stop=stop, differentiate=differentiate, **options
    )


def ridge(w, strength):
    return jnp.mean((jnp.asarray(X, w.dtype) @ w - jnp.asarray(Y, w.dtype)) ** 2) + strength * jnp.sum(w**2)


def exact_ridge(strength):
    """w, dw/dλ and d²w/dλ², from (G + λI)w = m."""
    a = np.linalg.inv(GRAM + strength * np.eye(4))
    w = a @ MOMENT
    return w, -a @ w, 2 * a @ a @ w


def test_ridge_regression_in_both_modes_and_twice(x64):
    w, slope, curvature = exact_ridge(0.1)

    def params(strength):
        return solve(ridge, jnp.zeros(4), strength).params

    @jax.jit
    def derivatives(s):
        return params(s), jax.jacrev(params)(s), jax.jacfwd(params)(s), jax.jacfwd(jax.jacrev(params))(s)

    ours = derivatives(0.1)
    np.testing.assert_allclose(ours[0], w, atol=1e-10)
    np.testing.assert_allclose(ours[1], slope, atol=1e-9)
    np.testing.assert_allclose(ours[2], slope, atol=1e-9)
    np.testing.assert_allclose(ours[3], curvature, rtol=1e-7)


def test_value_best_aux_and_what_fun_closes_over(x64):
    w, slope, _ = exact_ridge(0.1)

    def run(strength, x0):
        fun = lambda w: (ridge(w, strength), {"square": w @ w})  # noqa: E731
        found = solve(fun, x0, has_aux=True, record=True)
        return found.value, found.best, found.aux["square"], found.history["value"].sum()

    value, best, square, history = jax.jit(jax.jacrev(run, (0, 1)))(0.1, jnp.ones(4))
    np.testing.assert_allclose(value[0], w @ w, rtol=1e-10)  # the envelope theorem
    np.testing.assert_allclose(best[0], slope, atol=1e-9)
    np.testing.assert_allclose(square[0], 2 * w @ slope, rtol=1e-8)
    assert history[0] == 0
    assert all(np.all(np.asarray(part) == 0) for part in (value[1], best[1], square[1], history[1]))


def softmax_fit(params, data):
    """Convex, with leaves of several shapes, and one that does not vary."""
    logits = data["x"] @ params["w"] + params["b"]
    decay = data["decay"] * (jnp.sum(params["w"] ** 2) + params["b"] ** 2)
    return jnp.mean(jnp.log1p(jnp.exp(logits)) - data["y"] * logits) + decay


def test_trees_against_difference_quotients_and_unrolled_steps(x64):
    x0 = {"w": jnp.zeros(4), "b": jnp.zeros(()), "name": "logistic", "none": None}
    data = {"x": jnp.asarray(X), "y": jnp.asarray((Y > 0) * 1.0), "decay": jnp.asarray(0.05)}

    def outcome(differentiate):
        def of(data):
            params = solve(softmax_fit, x0, data, differentiate=differentiate, method=fg.gradient_descent(1.5)).params
            return jnp.sum(params["w"] ** 3) + params["b"]

        return of

    gradient = jax.jit(jax.grad(outcome("implicit")))(data)
    unrolled = jax.jit(jax.grad(outcome("unroll")))(data)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), gradient, unrolled)
    plain, h = jax.jit(outcome(None)), 1e-5
    for direction in ({"decay": 1.0}, {"x": RNG.normal(size=(20, 4))}, {"y": RNG.normal(size=20)}):
        moved = [{k: v + s * h * direction.get(k, 0.0) for k, v in data.items()} for s in (1, -1)]
        quotient = (plain(moved[0]) - plain(moved[1])) / (2 * h)
        ours = sum(float(np.sum(gradient[k] * d)) for k, d in direction.items())
        np.testing.assert_allclose(ours, quotient, rtol=1e-6)


@pytest.mark.parametrize("n", [3, 70])
def test_complex_parameters_and_large_systems(x64, n):
    """½(z − c)ᴴH(z − c) + Re(z)ᵀd has z = c − H⁻¹d for real H; 70 complex numbers are too many for a matrix."""
    h = np.diag(np.linspace(1, 3, n)) + 0.1 * np.cos(np.add.outer(np.arange(n), np.arange(n)))
    c, d = jnp.asarray(RNG.normal(size=n) + 1j * RNG.normal(size=n)), jnp.asarray(RNG.normal(size=n))

    def fun(z, c, d):
        away = z - c
        return jnp.real(jnp.vdot(away, jnp.asarray(h, complex) @ away)) / 2 + jnp.real(z) @ d

    def outcome(c, d):
        z = solve(fun, jnp.zeros(n, complex), c, d, method=fg.gradient_descent(0.25)).params
        return jnp.sum(jnp.real(z) + 2 * jnp.imag(z))

    slopes = jax.jit(jax.grad(outcome, (0, 1)))(c, d)
    np.testing.assert_allclose(slopes[0], np.full(n, 1 - 2j), atol=1e-9)
    np.testing.assert_allclose(slopes[1], -np.linalg.solve(h, np.ones(n)), atol=1e-9)


def test_members_of_a_population_in_single_precision():
    strengths = jnp.array([0.05, 0.1, 0.5], jnp.float32)
    stop = fg.stop.gradient_norm(1e-6)

    def total(strength):
        return jnp.sum(solve(ridge, jnp.zeros(4, jnp.float32), strength, stop=stop).params)

    each = jax.jit(jax.vmap(jax.grad(total)))(strengths)
    assert each.dtype == jnp.float32
    np.testing.assert_allclose(each, [exact_ridge(s)[1].sum() for s in (0.05, 0.1, 0.5)], rtol=2e-5)


def test_the_result_is_that_of_the_plain_run_and_fun_is_traced_once():
    traces = []

    def fun(w, strength):
        traces.append(None)
        return ridge(w, strength)

    run = jax.jit(jax.grad(lambda s: solve(fun, jnp.zeros(4), s, stop=None, max_steps=5).params.sum()))
    run(jnp.float32(0.1))
    assert len(traces) == 1
    ours, plain = (solve(ridge, jnp.ones(4), 0.1, differentiate=d, max_steps=7, stop=None) for d in ("implicit", None))
    assert jax.tree.structure(ours) == jax.tree.structure(plain)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@fg.value
class Proximal:
    """x ← prox(x − η∇f(x)), stationary where x = prox(x − ∇f(x)), for a `prox(x, η)`."""

    prox: object
    rate: float

    def init(self, fun, x, args):
        return ()

    def _residual(self, fun, x, args, rate):
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        return f, aux, x - self.prox(x - rate * grads, rate)

    def step(self, fun, x, state, args):
        f, aux, move = self._residual(fun, x, args, self.rate)
        return x - move, state, fg.Evaluation(f, jnp.linalg.norm(move) / self.rate, aux)

    def optimality(self, fun, x, args):
        return self._residual(fun, x, args, 1.0)[2]


def spread(n):
    """A positive definite matrix whose inverse is full, and its factor's largest eigenvalue at most 4."""
    return np.diag(np.linspace(1, 3, n)) + 0.5 * np.cos(np.subtract.outer(np.arange(n), np.arange(n))) / n


@pytest.mark.parametrize("n", [6, 80])
def test_active_bounds(x64, n):
    """Where bounds are active x is the bound, and the rest solves its own equations."""
    h, c = spread(n), 1.3 * np.cos(np.arange(n))

    def fun(x, c):
        return x @ jnp.asarray(h) @ x / 2 - c @ x

    def params(c, low):
        method = Proximal(lambda x, rate: jnp.clip(x, low, 0.6), 0.25)
        return solve(fun, jnp.zeros(n), c, method=method).params

    x = np.asarray(jax.jit(params)(c, -0.4))
    at_low, at_high = np.isclose(x, -0.4), np.isclose(x, 0.6)
    free = ~at_low & ~at_high
    assert min(at_low.sum(), at_high.sum(), free.sum()) >= 1
    by_c, by_low = np.zeros((n, n)), at_low * 1.0
    by_c[np.ix_(free, free)] = np.linalg.inv(h[np.ix_(free, free)])
    by_low[free] = -np.linalg.solve(h[np.ix_(free, free)], h[np.ix_(free, at_low)].sum(1))
    weights = np.sin(1 + np.arange(n))
    ours = jax.jit(jax.grad(lambda c, low: weights @ params(c, low), (0, 1)))(c, -0.4)
    np.testing.assert_allclose(ours[0], weights @ by_c, atol=1e-7)
    np.testing.assert_allclose(ours[1], weights @ by_low, rtol=1e-7)


@pytest.mark.parametrize("method", [lambda s: fg.ProximalGradient(fg.L1Norm(s)), lambda s: fg.FISTA(fg.L1Norm(s))])
def test_lasso(x64, method):
    """On the support G w = m − λ sign(w), off it w = 0; so dw/dλ = −G⁻¹ sign(w) there and 0 elsewhere."""

    def run(strength):
        found = solve(lambda w: ridge(w, 0.0) / 2, jnp.zeros(4), method=method(strength))
        return found.params, found.value

    (w, _), (slope, by_value) = jax.jit(lambda s: (run(s), jax.jacrev(run)(s)))(np.abs(MOMENT).max() / 2)
    on = np.abs(w) > 0
    assert 0 < on.sum() < 4
    expected = np.zeros(4)
    expected[on] = -np.linalg.solve(GRAM[np.ix_(on, on)], np.sign(w[on]))
    np.testing.assert_allclose(slope, expected, atol=1e-8)
    np.testing.assert_allclose(by_value, np.abs(w).sum(), rtol=1e-8)  # the envelope theorem


def test_projections_and_lbfgsb(x64):
    """The nearest point of the simplex, and of a box, to c."""
    c = jnp.array([0.9, 0.4, -0.5])

    def on_simplex(c):
        method = fg.ProjectedGradient(fg.projection_simplex)
        return solve(lambda x, c: jnp.sum((x - c) ** 2) / 2, jnp.zeros(3), c, method=method).params

    def in_box(c, low):
        h = jnp.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 2]])
        method = fg.LBFGSB(low, jnp.inf)
        return solve(lambda x, c: x @ h @ x / 2 - c @ x, jnp.ones(3), c, method=method).params

    slopes, box = jax.jit(lambda c: (jax.jacrev(on_simplex)(c), jax.jacrev(in_box, (0, 1))(c, 0.0)))(c)
    np.testing.assert_allclose(slopes, [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-9)
    # x = (c₁/2, 0, 0): the slope of the second is c₁/2 − c₂ > 0, that of the third −c₃ > 0.
    np.testing.assert_allclose(box[0], [[0.5, 0, 0], [0, 0, 0], [0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(box[1], [-0.5, 1, 1], atol=1e-9)


def test_singular_systems_and_runs_that_have_not_converged(x64):
    """Of many solutions, what is the same for all is differentiable backwards; the nearest one is followed forwards."""
    wide = jnp.asarray(X[:3])

    def params(y, pull):
        fun = lambda w: jnp.sum((wide @ w - y) ** 2) / 2 + pull * w[0]  # noqa: E731
        return solve(fun, jnp.zeros(4), method=fg.gradient_descent(0.1)).params

    y, inverse = jnp.asarray(Y[:3]), np.linalg.pinv(X[:3])
    backwards = jax.jit(jax.jacrev(lambda y: (params(y, 0.0), wide @ params(y, 0.0))))(y)
    assert np.all(np.isnan(backwards[0]))
    np.testing.assert_allclose(backwards[1], np.eye(3), atol=1e-9)
    by_y, by_pull = jax.jit(jax.jacfwd(params, (0, 1)))(y, 0.0)
    np.testing.assert_allclose(by_y, inverse, atol=1e-9)
    assert np.all(np.isnan(by_pull))  # with any pull there is no minimum

    def early(centre):
        run = solve(lambda x: (x - centre) ** 4, 3.0, method=fg.gradient_descent(0.0), max_steps=1, stop=None)
        return run.params, run.reason

    slope, reason = jax.jacrev(early, has_aux=True)(1.0)
    assert int(reason) == fg.StopReason.MAX_STEPS
    np.testing.assert_allclose(slope, 1.0)  # −∂ₓᶜf / ∂ₓₓf at the point returned


def test_errors():
    with pytest.raises(ValueError, match=r"minimize: `differentiate` must be None, 'implicit' or 'unroll', got 'ift'"):
        solve(ridge, jnp.zeros(4), 0.1, differentiate="ift")
    with pytest.raises(ValueError, match=r"minimize: `stop` must not read the clock where `differentiate` is given"):
        solve(ridge, jnp.zeros(4), 0.1, stop=fg.stop.wall_time(1))
