"""The diagnosis of networks against gradients and shares written out in float64, and what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.diagnostics.activations import STEEPEST
from funcgd.models.activations import ACTIVATIONS

KEY = jax.random.key(0)
backpropagate = jax.jit(fg.backpropagate, static_argnames="loss")
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)).astype(np.float32), RNG.standard_normal((6, 4)).astype(np.float32)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def deep(activation, scale=1.0, layers=8, **options):
    """A network of layers with 4 units, and its parameters with weights `scale` times as large."""
    model = fg.multilayer_perceptron([4] * (layers + 1), [activation] * layers, **options)
    return model, jax.tree.map(lambda p: scale * p, model.init(KEY))


def test_row_08_diagnosis_names_the_layers_and_cures_cure():
    model, params = deep("sigmoid")
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss)
    assert found.vanishing == ("layer1", "layer2")
    assert found.exploding == ()
    assert "vanishes in layer1 and layer2" in found.verdict[0]
    assert "bound" in found.verdict[0]
    assert "relu, in place of sigmoid" in found.verdict[1]

    model, params = deep("identity", 20.0)
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss)
    assert found.exploding[:2] == ("layer1", "layer2")
    assert found.vanishing == ()
    assert "explodes in layer1, layer2" in found.verdict[0]
    for cure in ("fg.clip_by_global_norm", "fg.clip", "fg.l2_penalty", "fg.add_decayed_weights"):
        assert cure in found.verdict[1]
    gradient = backpropagate(model, params, X, Y, fg.l2_loss).gradient
    for cure, size in ((fg.clip_by_global_norm(1.0), fg.tree.norm), (fg.clip(0.1), lambda g: 10 * fg.tree.max_norm(g))):
        np.testing.assert_allclose(size(cure.update(gradient, cure.init(params), params)[0]), 1, rtol=1e-5)
    # regularised for a while, with weights that shrink; another initialisation; another activation
    shrunk = jax.tree.map(lambda p: 0.05 * p, params)
    assert fg.diagnose(model, shrunk, (X, Y), fg.l2_loss).verdict[0] == "No layer's gradient vanishes or explodes."
    model, params = deep("relu", initializer="he_normal")
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss)
    assert (found.vanishing, found.exploding) == ((), ())


def test_row_19_saturated_and_dead_units():
    """Shares of z that are far out, and of units that no example switches on, counted in NumPy."""
    w = {"sigmoid": 4.0, "tanh": 2.0, "relu": 1.0}
    x = (3 * RNG.standard_normal((40, 4))).astype(np.float32)
    weights = RNG.standard_normal((5, 4)).astype(np.float32)
    found = {}
    for name, scale in w.items():
        model = fg.multilayer_perceptron([4, 5, 1], [name, None])
        head = {"w": jnp.ones((1, 5)), "b": jnp.zeros(1)}
        bias = np.float32([0, 0, -100, 0.5, -100]) if name == "relu" else np.zeros(5, np.float32)
        params = ({"w": jnp.asarray(scale * weights), "b": jnp.asarray(bias)}, head)
        found[name] = fg.diagnose(model, params, (x, np.ones((40, 1), np.float32)), fg.l2_loss)
        z = scale * x.astype(np.float64) @ weights.T + bias
        if name == "relu":
            assert np.mean(np.all(z <= 0, axis=0)) == 0.4
            np.testing.assert_allclose(found[name].dead["layer1"], 0.4, rtol=1e-6)
            assert "Dead ReLU units, 0 for every example: 40 % in layer1. Try leaky_relu" in found[name].verdict[-1]
            assert "layer1" not in found[name].saturated
        else:
            slope = sigmoid(z) * (1 - sigmoid(z)) * 4 if name == "sigmoid" else 1 - np.tanh(z) ** 2
            expected = np.mean(slope < 4 * 0.01 * 0.99)
            np.testing.assert_allclose(found[name].saturated["layer1"], expected, rtol=1e-5)
            assert expected > 0.5
            assert "Saturated:" in found[name].verdict[-1]
            assert "layer1" not in found[name].dead
    # tanh(z) = 2σ(2z) − 1: the same units are saturated
    assert found["sigmoid"].saturated["layer1"] == found["tanh"].saturated["layer1"]


def test_row_20_gradient_ratio_is_under_the_bound():
    """‖δⁱ‖/‖δᴹ‖ ≤ ∏ ¼‖Wʲ‖, both from NumPy, in a deep chain of layers."""
    model, params = deep("sigmoid", 3.0, layers=12)
    w, b = ([np.asarray(layer[k], np.float64) for layer in params] for k in "wb")
    a, z = [X.astype(np.float64)], []
    for i in range(12):
        z.append(a[-1] @ w[i].T + b[i])
        a.append(sigmoid(z[-1]))
    delta, bound = [(a[-1] - Y) * a[-1] * (1 - a[-1])], [1.0]
    for i in reversed(range(11)):
        delta.insert(0, (delta[0] @ w[i + 1]) * a[i + 1] * (1 - a[i + 1]))
        bound.insert(0, bound[0] * np.linalg.svd(w[i + 1])[1][0] / 4)
    sizes = [np.sqrt((d**2).sum(axis=1).mean()) for d in delta]
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss)
    np.testing.assert_allclose(list(found.gradient_norm.values()), sizes, rtol=1e-4)
    np.testing.assert_allclose(list(found.gradient_ratio.values()), np.divide(sizes, sizes[-1]), rtol=1e-4)
    np.testing.assert_allclose(list(found.bound.values()), bound, rtol=1e-4)
    assert all(found.gradient_ratio[name] < found.bound[name] for name in list(found.bound)[:-1])


def test_row_20_the_bound_is_reached_where_every_slope_is_a_quarter():
    """A chain of single units with b = −w/2 and x = ½ has z = 0 everywhere."""
    model = fg.multilayer_perceptron([1] * 19, ["sigmoid"] * 18)
    params = tuple({"w": jnp.full((1, 1), 0.25), "b": jnp.full(1, -0.125)} for _ in range(18))
    found = fg.diagnose(model, params, (jnp.full((3, 1), 0.5), jnp.ones((3, 1))), fg.l2_loss)
    np.testing.assert_allclose(found.bound["layer1"], 16.0**-17, rtol=1e-5)
    np.testing.assert_allclose(found.gradient_ratio["layer1"], 16.0**-17, rtol=1e-5)  # its square is below float32
    assert found.vanishing[-1] == "layer15"


def test_table_and_updates():
    """The remaining columns from NumPy; one step of descent with η = 0.5 changes θ by 0.5 ‖∇θ‖."""
    model, params = deep("tanh", layers=2)
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss, tx=fg.sgd(0.5))
    backward = backpropagate(model, params, X, Y, fg.l2_loss)
    for i, name in enumerate(("layer1", "layer2")):
        both = (params[i], backward.gradient[i])
        flat, gradient = (np.concatenate([np.ravel(layer["w"]), np.ravel(layer["b"])]) for layer in both)
        np.testing.assert_allclose(found.activation_norm[name], np.sqrt(np.mean(backward.a[i + 1] ** 2)), rtol=1e-5)
        np.testing.assert_allclose(found.weight_norm[name], np.linalg.norm(flat), rtol=1e-5)
        np.testing.assert_allclose(found.weight_gradient_norm[name], np.linalg.norm(gradient), rtol=1e-5)
        ratio = 0.5 * np.linalg.norm(gradient) / np.linalg.norm(flat)
        np.testing.assert_allclose(found.update_ratio[name], ratio, rtol=1e-5)
    np.testing.assert_allclose(found.loss, np.mean(np.sum((backward.a[-1] - Y) ** 2 / 2, axis=1)), rtol=1e-5)
    lines = str(found).splitlines()
    names = ["layer", "activation", "‖a‖", "‖δ‖", "ratio", "bound", "saturated", "‖θ‖", "‖∇θ‖", "update"]
    assert lines[0].split() == names
    assert lines[1].startswith("layer1  tanh ")
    assert len(set(map(len, lines[:3]))) == 1, "columns stand under each other"
    assert tuple(lines[3:]) == found.verdict
    assert "dead" not in lines[0]


def test_state_of_the_optimizer():
    model, params = deep("tanh", layers=2)
    tx = fg.sgd(0.5, momentum=0.9)
    gradient = backpropagate(model, params, X, Y, fg.l2_loss).gradient
    _, state = tx.update(gradient, tx.init(params), params)
    found = fg.diagnose(model, params, (X, Y), fg.l2_loss, tx=tx, opt_state=state, layers=["layer2"])
    expected = 1.9 * 0.5 * fg.tree.norm(gradient[1]) / fg.tree.norm(params[1])
    np.testing.assert_allclose(found.update_ratio["layer2"], expected, rtol=1e-5)
    assert list(found.activation) == ["layer2"]
    assert fg.diagnose(model, params, (X, Y), fg.l2_loss, tx=fg.sgd(1e3)).verdict[-1].startswith("One update changes")


def test_not_a_number():
    model, params = deep("relu", layers=3)
    bad = (params[0], {"w": params[1]["w"].at[0, 0].set(jnp.nan), "b": params[1]["b"]}, params[2])
    found = fg.diagnose(model, bad, (X, Y), fg.l2_loss)
    assert np.isnan(found.activation_norm["layer2"])
    assert found.verdict[0].startswith("Activations are NaN or infinite from layer2 on")
    assert "nan" in str(found)
    found = fg.diagnose(model, params, (X, np.full_like(Y, np.nan)), fg.l2_loss)
    assert found.verdict[0].startswith("The loss is nan, though all activations are finite")
    found = fg.diagnose(model, params, (X, Y), lambda output, y: jnp.sum(output) * 0)
    assert found.verdict[0] == "No gradient at all: the loss is flat here."


@pytest.mark.parametrize("name", sorted(STEEPEST))
def test_slopes(name, x64):
    """The largest slope on a grid, of softmax the largest singular value of its Jacobian, is the number and no more."""
    if name == "softmax":
        z = jnp.asarray(RNG.standard_normal((200, 2)) * 3)
        slopes = jnp.linalg.norm(jax.vmap(jax.jacobian(jax.nn.softmax))(z.at[0].set(0)), 2, axis=(1, 2))
    else:
        z = jnp.concatenate([jnp.linspace(-30, 30, 60001), jnp.array([-1e-7, 1e-7])])
        slopes = jnp.abs(jax.vmap(jax.grad(ACTIVATIONS[name]))(z))
    assert float(jnp.max(slopes)) <= STEEPEST[name] * (1 + 1e-12)
    assert float(jnp.max(slopes)) >= STEEPEST[name] * (1 - 2e-5)
