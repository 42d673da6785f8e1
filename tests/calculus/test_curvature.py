"""Gauss–Newton and Fisher products against matrices and expectations written out in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3)).astype(np.float32)
V = RNG.standard_normal((3, 2)).astype(np.float32)
W = RNG.standard_normal((3, 2)).astype(np.float32)


def predict(p):
    return jnp.tanh(jnp.asarray(X) @ p["w"])


def jacobian_by_hand():
    """J of shape (5, 2, 6): ∂zₙₖ/∂wᵢⱼ = (1 − zₙₖ²) xₙᵢ δₖⱼ, and z."""
    z = np.tanh(X.astype(np.float64) @ W)
    return np.einsum("nk,ni,kj->nkij", 1 - z**2, X, np.eye(2)).reshape(5, 2, 6), z


def test_gauss_newton_of_cross_entropy():
    """Jᵀ(diag(p) − ppᵀ)J / N for softmax with cross-entropy, whatever the labels are."""
    labels = jnp.array([0, 1, 1, 0, 1])

    def loss(z):
        return jnp.mean(fg.softmax_cross_entropy_with_integer_labels(z, labels)), "beside"

    j, z = jacobian_by_hand()
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    inner = np.einsum("nk,kl->nkl", p, np.eye(2)) - np.einsum("nk,nl->nkl", p, p)
    expected = np.einsum("nka,nkl,nlb,b->a", j, inner, j, V.ravel().astype(np.float64)) / 5
    found = jax.jit(lambda v: fg.gauss_newton_vector_product(predict, loss, {"w": W}, {"w": v}))(V)
    np.testing.assert_allclose(found["w"].ravel(), expected, rtol=1e-4, atol=1e-6)
    # the Fisher matrix of the categorical likelihood is the same
    fisher = jax.jit(lambda v: fg.fisher_vector_product(predict, "categorical", {"w": W}, {"w": v}))(V)
    np.testing.assert_allclose(fisher["w"].ravel(), expected, rtol=1e-4, atol=1e-6)


def scores(likelihood, z):
    """(probabilities of the outcomes, ∇_z log p of each) of one example, from log p itself."""
    if likelihood == "categorical":
        p = np.exp(z) / np.exp(z).sum()
        return p, [np.eye(2)[c] - p for c in range(2)]
    p = 1 / (1 + np.exp(-z))  # two independent bits: log p = Σ y ln p + (1 − y) ln(1 − p)
    outcomes = [np.array([a, b]) for a in (0, 1) for b in (0, 1)]
    return [np.prod(np.where(y == 1, p, 1 - p)) for y in outcomes], [y - p for y in outcomes]


@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli"])
def test_fisher_is_the_expectation_of_scores(likelihood):
    """1/N Σₙ E_y[s sᵀ]v with the score s = Jₙᵀ ∇_z log p(y|zₙ), over all outcomes y."""
    j, z = jacobian_by_hand()
    expected = np.zeros(6)
    for n in range(5):
        for weight, score in zip(*scores(likelihood, z[n]), strict=True):
            s = j[n].T @ score
            expected += weight * s * (s @ V.ravel()) / 5
    found = jax.jit(lambda v: fg.fisher_vector_product(predict, likelihood, {"w": W}, {"w": v}))(V)
    np.testing.assert_allclose(found["w"].ravel(), expected, rtol=1e-4, atol=1e-6)


def test_fisher_of_the_gaussian():
    j, _ = jacobian_by_hand()
    expected = np.einsum("nka,nkb,b->a", j, j, V.ravel().astype(np.float64)) / 5
    for likelihood, variance in [("gaussian", 1), (lambda z: z * z / 2 / 4, 4)]:
        found = fg.fisher_vector_product(predict, likelihood, {"w": W}, {"w": V})
        np.testing.assert_allclose(found["w"].ravel(), expected / variance, rtol=1e-4, atol=1e-6)


def test_gauss_newton_is_the_hessian_of_linear_models_and_never_negative():
    def convex(z):
        return jnp.sum(jnp.exp(z["y"]))

    def linear(w):
        return {"y": X @ w}

    expected = fg.hessian_vector_product(lambda w: convex(linear(w)), W, V)
    np.testing.assert_allclose(fg.gauss_newton_vector_product(linear, convex, W, V), expected, rtol=1e-4)

    def bent(w):  # the Hessian of −w² is negative, the Gauss–Newton matrix of a convex loss is not
        return -(w**2)

    assert fg.hessian_vector_product(lambda w: bent(w), 1.0, 1.0).item() == -2
    assert fg.gauss_newton_vector_product(bent, lambda z: z, 1.0, 1.0).item() == 0
    assert fg.gauss_newton_vector_product(bent, lambda z: z**2 / 2, 1.0, 1.0).item() == 4


def test_errors():
    w, v = jnp.ones((3, 2)), jnp.ones((3, 2))
    gauss_newton, fisher = fg.gauss_newton_vector_product, fg.fisher_vector_product
    with pytest.raises(TypeError, match=r"gauss_newton_vector_product: `loss` must return one real floating number"):
        gauss_newton(lambda w: X @ w, lambda z: z, w, v)
    with pytest.raises(TypeError, match=r"gauss_newton_vector_product: `predict` must be a function, got None"):
        gauss_newton(None, jnp.sum, w, v)
    with pytest.raises(TypeError, match=r"gauss_newton_vector_product: `predict\(x\)` must be a floating .* got int32"):
        gauss_newton(lambda w: jnp.argmax(w), lambda z: jnp.float32(1), w, v)
    with pytest.raises(TypeError, match=r"gauss_newton_vector_product: `predict` must return real .* complex64"):
        gauss_newton(lambda w: jax.lax.complex(w, w), lambda z: jnp.sum(jnp.abs(z)), w, v)
    with pytest.raises(ValueError, match=r"gauss_newton_vector_product: `v` must be of shape \(3, 2\), as `x` has it"):
        gauss_newton(lambda w: X @ w, jnp.sum, w, v[0])
    with pytest.raises(ValueError, match=r"fisher_vector_product: `likelihood` must be one of 'categorical', 'bern.*'"):
        fisher(lambda w: X @ w, "poisson", w, v)
    with pytest.raises(ValueError, match=r"`predict` must return an array of shape \(examples, …, classes\), got"):
        fisher(lambda w: (X @ w)[:, 0], "categorical", w, v)
    with pytest.raises(ValueError, match=r"`predict` must return an array of shape \(examples, …\), got"):
        fisher(lambda w: jnp.sum(w), "gaussian", w, v)
    with pytest.raises(TypeError, match=r"fisher_vector_product: `x\['n'\]` must be a floating or complex array"):
        fisher(lambda p: X @ p["w"], "gaussian", {"w": w, "n": 1}, {"w": v, "n": 1})
