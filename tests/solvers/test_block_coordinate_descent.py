"""Block coordinate descent: blocks of different curvature, factorisation, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import funcgd as fg


def test_leaves_of_different_curvature_do_not_slow_each_other(x64):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    y = rng.normal(size=30)
    exact = np.linalg.lstsq(np.concatenate([a, 1000 * b], axis=1), y, rcond=None)[0]

    def f(p):
        return jnp.sum((a @ p["a"] + 1000 * b @ p["b"] - y) ** 2) / 2

    x0, stop = {"a": jnp.zeros(4), "b": jnp.zeros(3)}, fg.stop.gradient_norm(1e-8)
    blocks = fg.minimize(f, x0, fg.BlockCoordinateDescent(), max_steps=2000, stop=stop, record=True)
    assert blocks.reason.name in ("GRADIENT_NORM", "NO_DECREASE")
    np.testing.assert_allclose(np.concatenate([blocks.params["a"], blocks.params["b"]]), exact, atol=1e-7)
    assert np.all(np.diff(blocks.history["value"]) <= 1e-12)
    changed = np.stack([np.any(np.diff(blocks.history["params"][leaf], axis=0) != 0, axis=1) for leaf in "ab"])
    assert not np.any(changed.all(axis=0))  # one leaf at a time
    together = fg.ProximalGradient(fg.L1Norm(0.0), memory=1)
    assert blocks.evaluations < fg.minimize(f, x0, together, max_steps=2000, stop=stop).evaluations


def test_lasso_with_a_free_intercept_is_that_of_scikit_learn(x64):
    from sklearn.linear_model import Lasso

    x, y = load_diabetes(return_X_y=True)
    x = x / x.std(axis=0)
    known = Lasso(alpha=2.0, tol=1e-12, max_iter=100_000).fit(x, y)
    h = fg.L1Norm({"w": 2.0, "b": 0.0})

    def f(p):
        return jnp.mean((x @ p["w"] + p["b"] - y) ** 2) / 2

    x0, stop = {"w": jnp.zeros(10), "b": jnp.array(0.0)}, fg.stop.gradient_norm(1e-8)
    run = fg.minimize(f, x0, fg.BlockCoordinateDescent(h), max_steps=5000, stop=stop)
    np.testing.assert_allclose(run.params["w"], known.coef_, atol=1e-6)
    np.testing.assert_allclose(run.params["b"], known.intercept_, atol=1e-6)
    assert ((run.params["w"] != 0) == (known.coef_ != 0)).all()


def test_non_negative_matrix_factorisation_of_a_product(x64):
    rng = np.random.default_rng(0)
    w, h = rng.uniform(size=(6, 2)), rng.uniform(size=(2, 5))
    v = w @ h

    def f(p):
        return jnp.sum((p["w"] @ p["h"] - v) ** 2) / 2

    method = fg.BlockCoordinateDescent(fg.Indicator(fg.projection_non_negative))
    start = {"w": jnp.asarray(rng.uniform(size=(6, 2))), "h": -jnp.ones((2, 5)).at[0].set(-2.0)}
    run = fg.minimize(f, start, method, max_steps=5000, stop=fg.stop.gradient_norm(1e-9), record=True)
    assert run.value < 1e-12
    assert min(run.params["w"].min(), run.params["h"].min()) >= 0
    assert np.all(np.diff(run.history["value"]) <= 1e-14)
    assert np.all(run.history["params"]["h"] >= 0)  # it begins at the projection


def test_a_given_step_can_be_unrolled_and_agrees_with_the_implicit_derivative(x64):
    def f(p, target):
        return 0.5 * ((p["a"] - target) ** 2 + 4 * (p["b"] - p["a"]) ** 2)

    def solution(target, differentiate):
        method = fg.BlockCoordinateDescent(fg.SquaredL2Norm(1.0), step_size=0.2)
        x0 = {"a": jnp.array(0.0), "b": jnp.array(0.0)}
        run = fg.minimize(f, x0, method, args=(target,), max_steps=400, differentiate=differentiate)
        return run.params["a"] + 2 * run.params["b"]

    # a + a − t − 4(b − a) = 0 and b + 4(b − a) = 0 give b = 4a/5 and a = t/(2 + 4/5)
    slope = (1 + 8 / 5) / (2 + 4 / 5)
    for differentiate in ("unroll", "implicit"):
        assert jax.grad(solution)(1.5, differentiate) == pytest.approx(slope, rel=1e-9)


def test_it_ends_where_nothing_moves():
    run = fg.minimize(
        lambda p: p["a"] ** 2 + p["b"] ** 2, {"a": 0.0, "b": 0.0}, fg.BlockCoordinateDescent(), max_steps=99
    )
    assert run.reason is fg.StopReason.NO_DECREASE
    assert run.evaluations <= 4


@pytest.mark.parametrize("h", [fg.L2Norm(1.0), fg.Indicator(fg.projection_simplex)])
def test_what_ties_leaves_together_is_refused(h):
    with pytest.raises(TypeError, match=r"BlockCoordinateDescent: `regularizer` must be a sum over the leaves of x"):
        fg.BlockCoordinateDescent(h)
