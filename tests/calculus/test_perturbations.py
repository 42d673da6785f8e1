"""Perturbed functions against closed forms: means over many keys must lie within five of their standard errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import funcgd as fg

X = jnp.array([0.3, -0.5, 1.0])
GUMBEL, NORMAL = fg.Gumbel(), fg.Normal()


def is_unbiased(estimate, exact, error=0.02, keys=200):
    """`estimate(key)` has the mean `exact`; its standard error must be so small that this says something."""
    found = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(0), keys))
    assert jax.tree.structure(found) == jax.tree.structure(exact)
    for draws, expected in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        draws = np.asarray(draws, np.float64)
        deviation = draws.std(0) / keys**0.5
        assert np.all(deviation < error * max(1, np.max(np.abs(expected))))
        assert np.all(np.abs(draws.mean(0) - expected) < 5 * deviation + 1e-6)


def one_hot_of_best(x):
    return jax.nn.one_hot(jnp.argmax(x), x.size)


@pytest.mark.parametrize(("sigma", "baseline", "jacobian"), [(0.5, True, jax.jacrev), (2.0, False, jax.jacfwd)])
def test_the_best_of_gumbel_noise_is_the_softmax(sigma, baseline, jacobian):
    soft = fg.make_perturbed_fun(one_hot_of_best, 500, sigma, GUMBEL, baseline)
    exact = jax.nn.softmax(X / sigma), jax.jacobian(lambda x: jax.nn.softmax(x / sigma))(X)
    is_unbiased(lambda key: (soft(key, X), jacobian(soft, 1)(key, X)), exact)


def test_both_modes_give_the_same():
    soft = fg.make_perturbed_fun(one_hot_of_best, 50, 0.5)
    forward, reverse = (jax.jit(jacobian(soft, 1))(jax.random.key(0), X) for jacobian in (jax.jacfwd, jax.jacrev))
    np.testing.assert_allclose(forward, reverse, rtol=1e-5, atol=1e-6)


def test_the_largest_of_gumbel_noise_is_the_log_sum_exp():
    """σ(log Σ exp(xᵢ/σ) + γ): its gradient is the softmax, its Hessian the Jacobian of that."""
    sigma, best = 0.7, fg.make_perturbed_fun(jnp.max, 500, 0.7)

    def exact(x):
        return sigma * (jax.nn.logsumexp(x / sigma) + np.euler_gamma)

    is_unbiased(lambda key: jax.value_and_grad(best, 1)(key, X), jax.value_and_grad(exact)(X))
    is_unbiased(lambda key: jax.hessian(best, 1)(key, X), jax.hessian(exact)(X), 0.05, keys=1000)


def test_normal_noise_with_respect_to_x_and_sigma():
    """E(x + σz)² = x² + σ²; the derivatives with respect to σ and both, too."""

    def mean(key, x, sigma):
        return fg.make_perturbed_fun(jnp.square, 1000, sigma, NORMAL)(key, x)

    x, sigma = 0.6, 0.8
    exact = x**2 + sigma**2, (2 * x, 2 * sigma)
    is_unbiased(lambda key: jax.value_and_grad(mean, (1, 2))(key, x, sigma), exact, 0.05)
    slopes = jax.hessian(mean, (1, 2))
    is_unbiased(lambda key: jnp.array(slopes(key, x, sigma)), np.array([[2.0, 0.0], [0.0, 2.0]]), 0.2, keys=1000)


def test_a_step_becomes_the_normal_distribution():
    step = fg.make_perturbed_fun(lambda x: x > 0, 1000, 0.5, NORMAL)
    exact = norm.cdf(X / 0.5), norm.pdf(X / 0.5) / 0.5
    is_unbiased(lambda key: jax.vmap(jax.value_and_grad(step, 1), (None, 0))(key, X), exact)


def test_the_baseline_takes_variance_away():
    def spread(baseline):
        f = fg.make_perturbed_fun(lambda x: 10 + jnp.sum(x), 100, 0.5, NORMAL, baseline)
        return jnp.std(jax.vmap(jax.grad(f, 1), (0, None))(jax.random.split(jax.random.key(1), 200), X))

    assert spread(True) < spread(False) / 5


def test_derivatives_keep_their_digits_far_from_zero():
    """σ is a rounding error of x here; the noise in the derivative is not."""
    sign = fg.make_perturbed_fun(lambda x: 3 * (x["a"] - 1e6), 2000, 1.0, NORMAL)
    is_unbiased(lambda key: jax.grad(lambda a: sign(key, {"a": a}))(1e6), 3.0, 0.05)


def test_trees_have_independent_noise():
    def f(x):
        return {"product": x["a"].astype(jnp.float32) * x["b"][0], "count": jnp.sum(x["a"] > 0), "b": x["b"]}

    x = {"a": jnp.zeros((), jnp.bfloat16), "b": (jnp.zeros(()), None)}
    mean = fg.make_perturbed_fun(f, 1000, 1.0, NORMAL)
    is_unbiased(lambda key: mean(key, x), {"product": 0.0, "count": 0.5, "b": (0.0, None)})
    out = mean(jax.random.key(0), x)
    assert jax.tree.structure(out) == jax.tree.structure(f(x))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(out)} == {"float32"}


def test_what_f_closes_over_has_its_own_derivative():
    """E θ(x + σz) = θx: by θ exactly the mean of the draws, by x the estimate."""

    def mean(key, theta, x, baseline=True):
        return fg.make_perturbed_fun(lambda y: theta * y, 1000, 0.5, NORMAL, baseline)(key, x)

    for baseline in (True, False):
        is_unbiased(lambda key, b=baseline: jax.grad(mean, (1, 2))(key, 2.0, 0.7, b), (0.7, 2.0), 0.05)


def test_the_key_decides():
    f, (one, other) = fg.make_perturbed_fun(jnp.max, 10), jax.random.split(jax.random.key(0))
    assert float(f(one, X)) == float(f(one, X)) != float(f(other, X))
    assert fg.make_perturbed_fun(jnp.max, 10, noise=fg.Gumbel())(one, X) == f(one, X)


def test_a_loss_of_assignments_has_a_gradient():
    """Costs are moved until the assignment is the one that was seen, by Fenchel–Young losses (Berthet et al.)."""
    seen = jnp.eye(4)[jnp.array([2, 0, 3, 1])]

    def least_cost(flat):
        scores = flat.reshape(4, 4)
        return jnp.sum(scores[fg.hungarian_algorithm(-scores)])

    best = fg.make_perturbed_fun(least_cost, 20, 0.5, NORMAL)
    loss = fg.make_fenchel_young_loss(lambda s, key: best(key, s))

    @jax.jit
    def descend(key):
        def step(scores, key):
            return scores - 0.1 * jax.grad(lambda s: loss(s, seen.ravel(), key))(scores), None

        return jax.lax.scan(step, jnp.zeros(16), jax.random.split(key, 200))[0]

    scores = descend(jax.random.key(0)).reshape(4, 4)
    assert fg.hungarian_algorithm(-scores)[1].tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("noise", [GUMBEL, NORMAL], ids=repr)
def test_densities_are_those_of_the_draws(noise):
    z = np.linspace(-10, 40, 100_001)
    p = np.exp(np.asarray(noise.log_prob(jnp.asarray(z, jnp.float32)), np.float64))
    step = z[1] - z[0]
    np.testing.assert_allclose(p.sum() * step, 1.0, rtol=1e-4)
    draws = np.asarray(noise.sample(jax.random.key(0), (40_000,)))
    for bound in (-1.0, 0.0, 1.0, 2.0):
        share = p[z < bound].sum() * step
        assert abs((draws < bound).mean() - share) < 5 * (share * (1 - share) / draws.size) ** 0.5 + 1e-3
    assert eval(repr(noise), vars(fg)) == noise


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fg.make_perturbed_fun(jnp.max, 0), ValueError, "make_perturbed_fun: `num_samples`: .*at least 1"),
        (lambda: fg.make_perturbed_fun(jnp.max, 10, 0.0), ValueError, "make_perturbed_fun: `sigma` .* got 0.0"),
        (lambda: fg.make_perturbed_fun(jnp.max, 10, jnp.ones(2)), TypeError, "`sigma` must be a number"),
        (lambda: fg.make_perturbed_fun(jnp.max, 10, 1.0, "normal"), TypeError, "`noise` .*'normal'"),
        (lambda: fg.make_perturbed_fun(jnp.max)(jax.random.key(0), jnp.arange(3)), TypeError, "x.*int32"),
        (lambda: fg.make_perturbed_fun(jnp.max)(jax.random.key(0), 1j * X), TypeError, "`x` must be real"),
    ],
)
def test_what_is_wrong_is_said(call, error, words):
    with pytest.raises(error, match=words), jax.numpy_dtype_promotion("standard"):
        call()
