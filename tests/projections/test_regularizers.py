"""Proximal maps: by the condition that defines them, by Moreau's identity, and by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

REGULARIZERS = {
    "l1": fg.L1Norm(0.7),
    "l2": fg.L2Norm(0.7),
    "squared l2": fg.SquaredL2Norm(0.7),
    "elastic net": fg.ElasticNet(0.4, 1.3),
    "group lasso": fg.GroupLasso(0.7),
    "rows": fg.GroupLasso(0.7, axis=1),
    "weighted": fg.L1Norm({"a": jnp.array([[0.0, 1.0, 2.0]]), "b": 0.3}),
    "box": fg.Indicator(fg.projection_box, (-0.5, 0.5)),
    "none": fg.NoRegularizer(),
}


def point(rng):
    scale = rng.choice([0.1, 1.0, 4.0])
    return {
        "a": jnp.asarray(scale * rng.normal(size=(2, 3))),
        "b": (jnp.asarray(scale * rng.normal(size=(1, 2))), None),
    }


@pytest.mark.parametrize("name", REGULARIZERS)
def test_the_residual_is_a_subgradient(name, x64):
    """p = prox(x, η) exactly if h(z) ≥ h(p) + ⟨(x − p)/η, z − p⟩ for all z, here many near and far."""
    h, rng, eta = REGULARIZERS[name], np.random.default_rng(0), 0.8
    prox = jax.jit(h.prox)
    below = jax.jit(
        lambda x, p, z: h.value(z) - h.value(p) - fg.tree.real_vdot(fg.tree.sub(x, p), fg.tree.sub(z, p)) / eta
    )
    for _ in range(5):
        x = point(rng)
        p = prox(x, eta)
        for _ in range(20):
            z = fg.tree.add(p, point(rng)) if rng.random() < 0.5 else point(rng)
            z = prox(z, 0.0)  # of indicators only points of the set count; the others do not move by it
            assert below(x, p, z) >= -1e-12
    x = point(rng)
    if name != "box":
        jax.tree.map(np.testing.assert_array_equal, prox(x, 0.0), x)


def soft(x, t):
    return np.sign(x) * np.maximum(np.abs(x) - t, 0)


def test_moreau_identity_gives_the_balls_of_the_dual_norms(x64):
    """x = prox_{ηh}(x) + P(x), where P projects onto the ball of radius ηλ of the norm dual to h = λ‖·‖."""
    x = {"a": jnp.array([2.0, -0.3, 0.9]), "b": jnp.array([[0.1, -4.0]])}
    pairs = [(fg.L1Norm(0.5), fg.projection_linf_ball), (fg.L2Norm(0.5), fg.projection_l2_ball)]
    for eta in (0.2, 3.0, 100.0):
        for h, dual in pairs:
            parts = fg.tree.add(h.prox(x, eta), dual(x, 0.5 * eta))
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), parts, x)


def test_values_and_maps_against_numpy(x64):
    x = np.array([[3.0, -0.2], [0.5, -1.0]])
    size = np.sqrt((x**2).sum(1))
    cases = [
        (fg.L1Norm(0.5), 0.5 * np.abs(x).sum(), soft(x, 0.6)),
        (fg.SquaredL2Norm(0.5), 0.25 * (x**2).sum(), x / 1.6),
        (fg.ElasticNet(0.5, 2.0), 0.5 * np.abs(x).sum() + (x**2).sum(), soft(x, 0.6) / 3.4),
        (fg.GroupLasso(0.5, axis=1), 0.5 * size.sum(), x * np.maximum(1 - 0.6 / size, 0)[:, None]),
        (fg.L2Norm(0.5), 0.5 * np.sqrt((x**2).sum()), x * (1 - 0.6 / np.sqrt((x**2).sum()))),
    ]
    for h, value, prox in cases:
        np.testing.assert_allclose(h.value(jnp.asarray(x)), value, rtol=1e-14)
        np.testing.assert_allclose(h.prox(jnp.asarray(x), 1.2), prox, rtol=1e-13)


def test_zeros_are_exact_dtypes_kept_and_gradients_finite():
    x = {"a": jnp.array([0.5, -0.25, 0.0], jnp.bfloat16), "b": jnp.float32(1.0)}
    for h in (fg.L1Norm(0.5), fg.ElasticNet(0.5, 1.0), fg.GroupLasso(2.0), fg.L2Norm(5.0)):
        p = jax.jit(h.prox)(x, 1.0)
        assert p["a"].dtype == jnp.bfloat16
        assert p["a"].tolist() == [0.0, 0.0, 0.0]
        g = jax.jit(jax.grad(lambda x, h=h: h.value(h.prox(x, 0.1))))({"a": jnp.zeros(3), "b": jnp.float32(0.0)})
        assert np.all(np.isfinite(g["a"]))
    assert fg.GroupLasso(1.0).prox(jnp.full(2, 3e38, jnp.float32), 1.0).tolist() == pytest.approx([3e38] * 2)


def test_complex_entries_shrink_in_modulus():
    z = jnp.array([3 + 4j, 0.3j, 0], jnp.complex64)
    np.testing.assert_allclose(fg.L1Norm(1.0).prox(z, 2.5), [1.5 + 2j, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(fg.L1Norm(1.0).value(z), 5.3, rtol=1e-6)
    np.testing.assert_allclose(fg.GroupLasso(1.0).prox(z[:1], 2.5), [1.5 + 2j], rtol=1e-6)


def test_strengths_are_numbers_that_do_not_recompile_and_print_as_code():
    traces = []

    @jax.jit
    def shrunk(h, x):
        traces.append(1)
        return h.prox(x, 1.0)

    assert shrunk(fg.L1Norm(0.5), jnp.ones(2)).tolist() == [0.5, 0.5]
    assert shrunk(fg.L1Norm(0.25), jnp.ones(2)).tolist() == [0.75, 0.75]
    assert len(traces) == 1
    h = fg.ElasticNet(l1={"w": 0.5, "b": 0.0}, l2=1.0)
    assert eval(repr(h), vars(fg)) == h
    stacked = fg.stack([fg.L1Norm(0.5), fg.L1Norm(0.25)])
    assert jax.vmap(lambda h: h.prox(1.0, 1.0))(stacked).tolist() == [0.5, 0.75]
    assert jax.grad(lambda h: h.value(jnp.array([1.0, -2.0])))(fg.L1Norm(0.5)).strength == 3.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fg.L1Norm(-1.0), ValueError, r"L1Norm: `strength` must be in \[0, inf\), got -1.0"),
        (lambda: fg.ElasticNet(1.0, {"w": -1.0}), ValueError, r"ElasticNet: `l2\['w'\]` must be in"),
        (lambda: fg.L2Norm(float("nan")), ValueError, "L2Norm: `strength` must be in"),
        (lambda: fg.GroupLasso("1"), TypeError, "GroupLasso: `strength` must be a real number"),
        (lambda: fg.L1Norm({"w": 1.0}).prox(jnp.ones(2), 1.0), ValueError, "L1Norm: `strength` must be a number or"),
        (
            lambda: fg.GroupLasso(1.0, axis=1).prox(jnp.ones(2), 1.0),
            ValueError,
            "GroupLasso: `axis` must be one of each",
        ),
        (lambda: fg.Indicator(3.0), TypeError, "Indicator: `projection` must be a function"),
        (lambda: fg.Indicator(fg.projection_box, [0.0, 1.0]), TypeError, "`parameters` must be a tuple"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
