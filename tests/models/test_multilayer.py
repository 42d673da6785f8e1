"""Networks of layers, held to the gradients that lectures print."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.core.numerics import float64_mode
from funcgd.models import linear, multilayer_perceptron
from funcgd.models.activations import ACTIVATIONS

KEY = jax.random.key(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def as_params(*weights):
    return tuple({"w": jnp.asarray(w)} for w in weights)


def test_two_three_one_with_a_linear_hidden_layer(rng):
    # O = Wᴶx, y = σ(Wᴷ O), E = ½(y − y*)²
    wj, wk, x, target = rng.standard_normal((3, 2)), rng.standard_normal((1, 3)), rng.standard_normal(2), 0.3
    o = wj @ x
    y = sigmoid(wk @ o)
    delta = (y - target) * y * (1 - y)
    with float64_mode():
        model = multilayer_perceptron([2, 3, 1], [None, "sigmoid"], bias=False, dtype="float64")
        loss = lambda p: 0.5 * jnp.sum((model.apply(p, x) - target) ** 2)  # noqa: E731
        gj, gk = (layer["w"] for layer in jax.grad(loss)(as_params(wj, wk)))
    np.testing.assert_allclose(gk[0], delta * o, rtol=1e-12)
    np.testing.assert_allclose(gj, delta * np.outer(wk[0], x), rtol=1e-12)


def test_sigmoid_everywhere_over_a_batch(rng):
    # E = (1/N) Σₙ Σₖ (oₙₖ − dₙₖ)²
    n, i, j, k = 5, 3, 4, 2
    w1, w2 = rng.standard_normal((j, i)), rng.standard_normal((k, j))
    x, d = rng.standard_normal((n, i)), rng.random((n, k))
    y = sigmoid(x @ w1.T)
    o = sigmoid(y @ w2.T)
    delta = 2 * (o - d) * o * (1 - o)
    hidden = (delta @ w2) * y * (1 - y)
    with float64_mode():
        model = multilayer_perceptron([i, j, k], ["sigmoid", "sigmoid"], bias=False, dtype="float64")
        params = as_params(w1, w2)
        np.testing.assert_allclose(model.apply(params, x), o, rtol=1e-12)
        g1, g2 = (p["w"] for p in jax.grad(lambda p: jnp.sum((model.apply(p, x) - d) ** 2) / n)(params))
    np.testing.assert_allclose(g2, sum(np.outer(delta[m], y[m]) for m in range(n)) / n, rtol=1e-12)
    np.testing.assert_allclose(g1, sum(np.outer(hidden[m], x[m]) for m in range(n)) / n, rtol=1e-12)


def test_the_linear_unit_learns_by_the_delta_rule():
    w, x, y = np.array([0.3, 0.1, -0.4]), np.array([0.5, -1.0, 2.0]), 1.0
    model = linear(3, 1, bias=False)
    g = jax.grad(lambda p: 0.5 * (y - model.apply(p, x)[0]) ** 2)({"w": jnp.asarray(w)[None]})["w"][0]
    np.testing.assert_allclose(g, -(y - w @ x) * x, rtol=1e-5)


def test_the_perceptron_unit_is_a_step():
    # the logical AND, with nothing on the boundary counted as 1
    model = multilayer_perceptron([2, 1], ["step"])
    params = ({"w": jnp.array([[1.0, 1.0]]), "b": jnp.array([-1.0])},)
    x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(model.apply(params, x)[:, 0], [0, 0, 0, 1])
    gradient = jax.grad(lambda p: model.apply(p, x).sum())(params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient))


def test_one_activation_is_for_the_hidden_layers():
    single, listed = (
        multilayer_perceptron([3, 4, 5, 2], "tanh"),
        multilayer_perceptron([3, 4, 5, 2], ["tanh", jnp.tanh, None]),
    )
    params = jax.tree.map(lambda p: p + 0.1, single.init(KEY))
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    hidden = np.float64(x)
    for i, layer in enumerate(params):
        z = hidden @ np.asarray(layer["w"], np.float64).T + np.asarray(layer["b"], np.float64)
        hidden = z if i == 2 else np.tanh(z)
    np.testing.assert_allclose(single.apply(params, x), hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(single.apply(params, x), listed.apply(params, x))


def test_layers_may_differ():
    model = multilayer_perceptron([2, 3, 3, 2], ["softplus", lambda z: z**2, "softmax"])
    p = np.asarray(model.apply(model.init(KEY), jnp.array([[1.0, -1.0], [0.5, 2.0]])))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)


def test_every_named_activation_keeps_shape_and_dtype():
    def run(z):
        return {name: function(z) for name, function in ACTIVATIONS.items()}

    for dtype in (jnp.float32, jnp.bfloat16):
        for name, z in jax.eval_shape(run, jax.ShapeDtypeStruct((2, 3), dtype)).items():
            assert (z.shape, z.dtype) == ((2, 3), dtype), name


def test_bfloat16_parameters_take_float32_input():
    model = multilayer_perceptron([4, 3, 2], "relu", dtype="bfloat16")
    assert model.apply(model.init(KEY), jnp.ones((5, 4), jnp.float32)).dtype == jnp.bfloat16


def test_many_starts_at_once():
    model = multilayer_perceptron([3, 4, 2], "tanh")
    starts = jax.jit(jax.vmap(model.init))(jax.random.split(KEY, 6))
    assert starts[0]["w"].shape == (6, 4, 3)
    assert len(np.unique(np.asarray(starts[0]["w"]))) == 72
    assert jax.vmap(model.apply, in_axes=(0, None))(starts, jnp.ones((7, 3))).shape == (6, 7, 2)


def test_zeros_leave_hidden_units_alike():
    model = multilayer_perceptron([3, 4, 1], "sigmoid", initializer="zeros")
    loss = lambda p: jnp.sum((model.apply(p, jnp.array([1.0, 2.0, 3.0])) - 1) ** 2)  # noqa: E731
    step = jax.jit(lambda p: jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(loss)(p)))
    params = model.init(KEY)
    for _ in range(3):
        params = step(params)
    w = np.asarray(params[0]["w"])
    assert w.any()
    np.testing.assert_array_equal(w, np.broadcast_to(w[:1], w.shape))


def test_the_layers_start_differently():
    first, second = multilayer_perceptron([3, 3, 3], "relu").init(KEY)
    assert not np.allclose(first["w"], second["w"])


def apply(model, x):
    return model.apply(model.init(KEY), x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: multilayer_perceptron([3], "relu"), r"`widths`: expected at least two widths"),
        (lambda: multilayer_perceptron([3, 0], "relu"), r"`widths`: expected at least 1, got 0"),
        (lambda: multilayer_perceptron([3, 2.0], "relu"), r"`widths`: expected an integer, got 2.0"),
        (lambda: multilayer_perceptron(3, "relu"), r"`widths`: .*int"),
        (
            lambda: multilayer_perceptron([3, 2, 1], ["relu"]),
            r"`activations` must have one entry .* 2 for widths \(3, 2, 1\), got 1",
        ),
        (lambda: multilayer_perceptron([3, 2], ["rely"]), r"`activations`: expected one of .*'relu'.* got 'rely'"),
        (lambda: multilayer_perceptron([3, 2], 5), r"`activations`: expected a name, a function or None, got 5"),
        (
            lambda: apply(multilayer_perceptron([64, 2], "relu"), jnp.ones((8, 63))),
            r"`x` must have 64 features on its last axis, got shape \(8, 63\)",
        ),
        (
            lambda: apply(multilayer_perceptron([2, 2, 2], jnp.sum), jnp.ones(2)),
            r"`activations` must keep the shape; in layer 0 it turned \(2,\) into \(\)",
        ),
        (
            lambda: multilayer_perceptron([2, 2], "relu").apply(
                ({"w": jnp.ones((3, 2)), "b": jnp.ones(2)},), jnp.ones(2)
            ),
            r"`params\[0\]\['w'\]` must be of shape \(2, 2\)",
        ),
    ],
)
def test_errors(build, message):
    with pytest.raises((ValueError, TypeError), match=f"multilayer_perceptron: {message}"):
        build()
