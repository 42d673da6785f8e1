"""The gradient noise scale against per-example gradients in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(1)
X = RNG.standard_normal((40, 3)).astype(np.float32)
Y = (X @ [1, 2, 3] + RNG.standard_normal(40)).astype(np.float32)


def loss(params, batch):
    predictions = batch["x"] @ params["w"] + params["b"]
    return jnp.mean(fg.squared_error(predictions, batch["y"])), fg.Aux()


def by_hand(w, x, y):
    """tr Σ and |G|² from the gradients 2(wᵀx − y)(x, 1) of the examples."""
    x1 = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(np.float64)
    g = 2 * (x1 @ w - y)[:, None] * x1
    variance = np.trace(np.cov(g, rowvar=False))
    return variance, (g.mean(axis=0) ** 2).sum() - variance / len(x)


@pytest.mark.parametrize("at_once", [1, 16])
def test_linear_regression(at_once):
    w = np.array([0.5, 0.0, -0.5, 0.25])
    params = {"w": jnp.asarray(w[:3], jnp.float32), "b": jnp.float32(w[3]), "steps": jnp.int32(7)}
    found = fg.gradient_noise_scale(loss, params, {"x": X, "y": Y}, at_once=at_once)
    variance, squared_norm = by_hand(w, X, Y)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-5)
    np.testing.assert_allclose(found.squared_norm, squared_norm, rtol=1e-5)
    np.testing.assert_allclose(found.noise_scale, variance / squared_norm, rtol=1e-5)


def test_estimates_are_those_of_two_batch_sizes_and_unbiased():
    """Over many batches of 4 from a population, the means are tr Σ and |G|² of the population."""
    w = np.array([0.5, 0.0, -0.5, 0.25])
    params = {"w": jnp.asarray(w[:3], jnp.float32), "b": jnp.float32(w[3])}
    rows = RNG.integers(0, 40, (4000, 4))
    find = jax.jit(jax.vmap(lambda batch: fg.gradient_noise_scale(loss, params, batch, at_once=4)))
    found = find({"x": X[rows], "y": Y[rows]})
    x1 = np.concatenate([X, np.ones((40, 1))], axis=1).astype(np.float64)
    g = 2 * (x1 @ w - Y)[:, None] * x1
    true = g.mean(axis=0)
    for estimate, exact in ((found.variance, g.var(axis=0).sum()), (found.squared_norm, true @ true)):
        error = np.std(estimate) / np.sqrt(4000)
        assert abs(np.mean(estimate) - exact) < 4 * error
    one = g[rows[0]]  # equation A.2 of the paper for batches of 1 and 4
    big, small = (one.mean(axis=0) ** 2).sum(), (one**2).sum(axis=1).mean()
    np.testing.assert_allclose(found.squared_norm[0], (4 * big - small) / 3, rtol=1e-4)
    np.testing.assert_allclose(found.variance[0], (small - big) / (1 - 1 / 4), rtol=1e-4)


def test_little_noise_is_not_lost_to_rounding():
    """Gradients 1000 ± 0.01: from differences of squares float32 would have no digit of the variance."""
    batch = jnp.asarray(1000 + 0.01 * RNG.standard_normal(50), jnp.float32)
    found = fg.gradient_noise_scale(lambda w, batch: jnp.mean(w * batch), jnp.float32(1), batch)
    np.testing.assert_allclose(found.variance, np.var(np.float64(batch), ddof=1), rtol=1e-2)


def test_no_signal():
    found = fg.gradient_noise_scale(lambda w, batch: jnp.mean(w * batch), jnp.float32(1), jnp.array([1.0, -1.0]))
    assert found.noise_scale == np.inf
    assert found.squared_norm == -1  # 0 − 2/2
    found = fg.gradient_noise_scale(lambda w, batch: jnp.mean(w * batch), jnp.float32(1), jnp.array([1.0, jnp.nan]))
    assert np.isnan(found.noise_scale)


def test_bad_arguments():
    w = jnp.float32(1)
    with pytest.raises(ValueError, match=r"must be the mean of the losses of its examples, but it is 6 where .* is 3"):
        fg.gradient_noise_scale(lambda w, batch: jnp.sum(w * batch), w, jnp.array([2.0, 4.0]))
    with pytest.raises(ValueError, match="`batch` must have at least 2 examples, got 1"):
        fg.gradient_noise_scale(lambda w, batch: jnp.mean(w * batch), w, jnp.ones(1))
    with pytest.raises(TypeError, match="gradient_noise_scale: the loss must return a real scalar"):
        fg.gradient_noise_scale(lambda w, batch: w * batch, w, jnp.ones(2))
    with pytest.raises(ValueError, match="`at_once`: expected at least 1, got 0"):
        fg.gradient_noise_scale(loss, w, jnp.ones(2), at_once=0)
