"""Robust losses and likelihoods against NumPy, at their seams and far out."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(1)
P, Y = 2 * RNG.standard_normal((2, 30))
E = P - Y


def test_formulas():
    p, y = np.float32(P), np.float32(Y)
    huber = [e * e / 2 if abs(e) < 0.7 else 0.7 * (abs(e) - 0.35) for e in E]
    np.testing.assert_allclose(fg.huber_loss(p, y, delta=0.7), huber, rtol=1e-5)
    np.testing.assert_allclose(fg.log_cosh(p, y), np.log(np.cosh(E)), rtol=1e-5)
    np.testing.assert_allclose(fg.quantile_loss(p, y, 0.2), np.maximum(0.2 * -E, 0.8 * E), rtol=1e-5)
    np.testing.assert_allclose(fg.huber_loss(p), fg.huber_loss(p, 0 * p))
    np.testing.assert_allclose(fg.log_cosh(p), fg.log_cosh(p, 0 * p))


def test_seams():
    e = jnp.float32([-2, -1, 0, 1, 2])
    slope = lambda loss: jax.vmap(jax.grad(loss))(e).tolist()  # noqa: E731
    curvature = lambda loss: float(jax.grad(jax.grad(loss))(0.0))  # noqa: E731
    assert slope(fg.huber_loss) == [-1, -1, 0, 1, 1]
    assert curvature(fg.huber_loss) == curvature(fg.log_cosh) == 1
    assert slope(lambda e: fg.quantile_loss(e, jnp.zeros_like(e), 0.25)) == [-0.25, -0.25, -0.25, 0.75, 0.75]
    np.testing.assert_allclose(slope(fg.log_cosh), np.tanh(np.float64(e)), rtol=1e-6)


def test_far_and_near():
    far = jnp.float32([1e30, -jnp.inf, jnp.nan])
    np.testing.assert_allclose(fg.huber_loss(far), [1e30, np.inf, np.nan])
    np.testing.assert_allclose(fg.log_cosh(far), [1e30, np.inf, np.nan])
    np.testing.assert_allclose(fg.quantile_loss(far, jnp.zeros(3), 0.2), [8e29, np.inf, np.nan])
    assert jax.vmap(jax.grad(fg.huber_loss))(far[:2]).tolist() == [1, -1]
    assert jax.vmap(jax.grad(fg.log_cosh))(far[:2]).tolist() == [1, -1]
    near = np.float32([1e-3, 0.3, 0.999, 1.001])
    np.testing.assert_allclose(fg.log_cosh(near), np.log1p(2 * np.sinh(np.float64(near) / 2) ** 2), rtol=3e-7)


def test_the_quantile_is_best():
    """A quarter of the targets lies below the constant of the lowest mean loss."""
    y = np.sort(RNG.standard_normal(100)).astype(np.float32)
    means = [float(fg.quantile_loss(np.full(100, c), y, 0.25).mean()) for c in y]
    assert np.argmin(means) in (24, 25)


def test_likelihoods_are_those_of_densities():
    """Sums of e^−loss over all counts, and its integral over all targets, are 1."""
    counts = np.arange(60)
    for rate in (0.01, 1.0, 20.0):
        loss = fg.poisson_nll_loss(np.full(60, np.log(rate), np.float32), counts, full=True)
        np.testing.assert_allclose(np.exp(-np.float64(loss)).sum(), 1, rtol=1e-5)
    y = np.linspace(-20, 20, 4001)
    loss = fg.gaussian_nll_loss(np.full_like(y, 0.5), y, np.full_like(y, np.log(4)), full=True)
    p = np.exp(-np.float64(loss)) * 0.01
    np.testing.assert_allclose([p.sum(), p @ y, p @ (y - 0.5) ** 2], [1, 0.5, 4], rtol=1e-4)
    assert np.allclose(loss - fg.gaussian_nll_loss(np.full_like(y, 0.5), y, np.full_like(y, np.log(4))), 0.918939)


def test_likelihoods_at_their_ends():
    assert float(fg.poisson_nll_loss(-jnp.inf, 0)) == 0
    assert float(fg.poisson_nll_loss(-jnp.inf, 2)) == np.inf
    loss = jax.value_and_grad(fg.gaussian_nll_loss, argnums=(0, 2))
    value, slopes = loss(1.0, 1.0, -1e4)
    assert (float(value), *map(float, slopes)) == (-5e3, 0, 0.5)
