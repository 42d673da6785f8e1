"""Eigenvalues and spectral density by Lanczos, against NumPy's of dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.diagnostics.lanczos import lanczos

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
MODEL = fg.multilayer_perceptron([3, 4, 2], "tanh")
X, Y = RNG.standard_normal((6, 3)).astype(np.float32), RNG.standard_normal((6, 2)).astype(np.float32)


def loss(params, batch):
    return fg.mean_squared_error(MODEL.apply(params, batch[0]), batch[1]), fg.Aux()


def quadratic(w, a):
    return w["v"] @ a @ w["v"] / 2


def spread(eigenvalues, rng=RNG):
    """A symmetric matrix with these eigenvalues."""
    q, _ = np.linalg.qr(rng.standard_normal((len(eigenvalues), len(eigenvalues))))
    return (q * eigenvalues) @ q.T


def test_all_eigenvalues_of_a_network(x64):
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), MODEL.init(KEY))
    batch = X.astype(np.float64), Y.astype(np.float64)
    dense = np.asarray(jax.jit(lambda p: fg.hessian_matrix(loss, p, batch))(params))
    expected = np.linalg.eigvalsh(dense)[::-1]
    found = fg.hessian_eigenvalues(loss, params, batch, 26, KEY)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert expected[-1] < 0 < expected[0]
    assert np.all(found.errors < 1e-6)
    rows = np.concatenate([np.asarray(leaf).reshape(26, -1) for leaf in jax.tree.leaves(found.vectors)], axis=1)
    np.testing.assert_allclose(rows @ rows.T, np.eye(26), atol=1e-9)
    np.testing.assert_allclose(rows @ dense, np.asarray(found.values)[:, None] * rows, atol=1e-7)


def test_few_steps_and_their_error():
    """The largest of 60 eigenvalues stand out; `errors` bound the distance to the nearest one, in float32."""
    eigenvalues = np.concatenate([[50.0, 20.0], np.linspace(-1, 1, 58)])
    a = jnp.asarray(spread(eigenvalues), jnp.float32)
    w = {"v": jnp.ones(60)}
    found = fg.hessian_eigenvalues(quadratic, w, a, 3, KEY, steps=14)
    np.testing.assert_allclose(found.values[:2], [50, 20], rtol=1e-5)
    distance = np.abs(np.asarray(found.values)[:, None] - eigenvalues).min(axis=1)
    assert np.all(distance <= np.asarray(found.errors) + 1e-4)
    assert found.errors[2] > 1e-3 > found.errors[1]
    assert found.vectors["v"].shape == (3, 60)


@pytest.mark.parametrize("eigenvalues", [[3.0] * 5, [0.0] * 5, [2.0, 2.0, -1.0, 0.0, 0.0]], ids=str)
def test_multiple_eigenvalues_appear_as_often_as_they_are(eigenvalues):
    a = jnp.asarray(spread(np.array(eigenvalues)), jnp.float32)
    found = lanczos(lambda v: a @ v, 5, 5, KEY)
    np.testing.assert_allclose(found.eigh()[0], np.sort(eigenvalues), atol=1e-5)
    np.testing.assert_allclose(np.dot(found.basis, found.basis.T), np.eye(5), atol=1e-5)


def test_products_of_the_basis_have_all_digits():
    program = str(jax.make_jaxpr(lambda key: lanczos(lambda v: 2 * v, 5, 3, key))(KEY))
    assert program.count("dot_general[") == program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") > 0


def test_basis_stays_orthogonal():
    """Where the largest eigenvalue converges early, plain Lanczos in float32 loses orthogonality altogether."""
    a = jnp.asarray(spread(np.concatenate([[1e4], np.linspace(1, 2, 49)])), jnp.float32)
    found = lanczos(lambda v: a @ v, 50, 30, KEY)
    np.testing.assert_allclose(np.dot(found.basis, found.basis.T), np.eye(30), atol=1e-5)
    assert np.sum(np.abs(found.eigh()[0] - 1e4) < 1) == 1


def test_largest_stable_learning_rate_of_linear_regression():
    """The Hessian is XᵀX/N: below 2/λ_max descent shrinks the error, above it grows, with momentum, too."""

    def squares(w, batch):
        return jnp.mean(fg.l2_loss(batch["x"] @ w, batch["y"]))

    batch = {"x": X, "y": X @ np.float32([1, -2, 3])}
    largest = np.linalg.eigvalsh(X.T.astype(np.float64) @ X / 6)[-1]
    for momentum in (0.0, 0.9):
        rate = fg.largest_stable_learning_rate(squares, jnp.zeros(3), batch, KEY, momentum=momentum)
        np.testing.assert_allclose(rate, 2 * (1 + momentum) / largest, rtol=1e-4)
        for factor, grows in ((0.97, False), (1.03, True)):
            eta = factor * float(rate) * largest  # along the steepest direction: e, v ← e − η(mv + λe), mv + λe
            step = np.array([[1 - eta, -eta * momentum], [1, momentum]])
            assert (np.abs(np.linalg.eigvals(step)).max() > 1) == grows


def test_nothing_curves_up():
    assert fg.largest_stable_learning_rate(lambda w, _: -w @ w, jnp.ones(3), None, KEY) == np.inf
    assert fg.largest_stable_learning_rate(lambda w, _: w.sum(), jnp.ones(3), None, KEY) == np.inf
    assert np.isnan(fg.largest_stable_learning_rate(lambda w, _: w @ w * jnp.nan, jnp.ones(3), None, KEY))


def test_moments_of_the_spectral_density():
    """Each probe's quadrature is exact for polynomials: Σ τ²θᵏ = vᵀAᵏv; their mean is the trace within its error."""
    eigenvalues = np.concatenate([[8.0], np.linspace(-1, 1, 39)])
    a = spread(eigenvalues)
    find = jax.jit(lambda key: fg.spectral_density(quadratic, {"v": jnp.ones(40)}, a32, key, steps=12, probes=16))
    a32 = jnp.asarray(a, jnp.float32)
    found = find(KEY)
    assert found.nodes.shape == found.weights.shape == (16, 12)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=1e-5)
    nodes, weights = np.asarray(found.nodes, np.float64), np.asarray(found.weights, np.float64)
    for power in (1, 2):
        mean = (weights * nodes**power).sum(axis=1).mean()
        exact = (eigenvalues**power).mean()
        variance = 2 / 42 * ((eigenvalues**power) ** 2).mean()  # of vᵀBv on the sphere, at most 2 tr B²/n(n + 2)
        assert abs(mean - exact) < 4 * np.sqrt(variance / 16)
    t, density = np.asarray(found.eigenvalues), np.asarray(found.density)
    np.testing.assert_allclose(np.trapezoid(density, t), 1, rtol=1e-3)
    assert abs(density[t > 7].sum() * (t[1] - t[0]) - 1 / 40) < 0.03  # the share of the one far out
    assert np.all(density[(t > 2) & (t < 7)] < 1e-3)


def test_all_steps_of_one_probe_give_the_eigenvalues():
    eigenvalues = np.array([-2.0, 0.5, 1.0, 7.0])
    a = jnp.asarray(spread(eigenvalues), jnp.float32)
    found = fg.spectral_density(quadratic, {"v": jnp.ones(4)}, a, KEY, probes=1)
    np.testing.assert_allclose(found.nodes[0], eigenvalues, atol=1e-5)


def test_bad_arguments():
    w, a = {"v": jnp.ones(2)}, jnp.eye(2)
    with pytest.raises(ValueError, match="hessian_eigenvalues: `k` must be at most 2, the number of parameters, got 3"):
        fg.hessian_eigenvalues(quadratic, w, a, 3, KEY)
    with pytest.raises(ValueError, match="`steps`: expected at least 2, got 1"):
        fg.hessian_eigenvalues(quadratic, w, a, 2, KEY, steps=1)
    with pytest.raises(TypeError, match="`key` must be one random key"):
        fg.hessian_eigenvalues(quadratic, w, a, 1, 0)
    with pytest.raises(TypeError, match="hessian_eigenvalues: the loss must return a real scalar, got shape"):
        fg.hessian_eigenvalues(lambda w, a: w["v"], w, a, 1, KEY)
    with pytest.raises(TypeError, match="`loss` must be a function"):
        fg.spectral_density(w, w, a, KEY)
    with pytest.raises(TypeError, match="nothing to train"):
        fg.hessian_eigenvalues(quadratic, {"v": jnp.arange(2)}, a, 1, KEY)
    with pytest.raises(ValueError, match=r"`momentum` must be in \[0, 1\), got 1"):
        fg.largest_stable_learning_rate(quadratic, w, a, KEY, momentum=1)
    with pytest.raises(ValueError, match=r"`width` must be in \(0, 1\], got 0"):
        fg.spectral_density(quadratic, w, a, KEY, width=0)
