"""Backpropagation by hand: the lectures' networks by their formulas, and any network against jax.grad."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import funcgd as fg
from funcgd import calculus
from funcgd.core.numerics import float64_mode
from funcgd.models.activations import ACTIVATIONS

KEY = jax.random.key(0)
backpropagate = jax.jit(calculus.backpropagate, static_argnames="loss")
RNG = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layers(*weights):
    return tuple({"w": jnp.asarray(w)} for w in weights)


def test_row_04_two_three_one_by_hand():
    """∂E/∂Wᴷⱼ = (y − y*) y(1 − y) Oⱼ and ∂E/∂Wᴶⱼᵢ = (y − y*) y(1 − y) Wᴷⱼ xᵢ, with numbers that are exact.

    O = Wᴶx = (1, 2, 3), Wᴷ O = 0, y = ½, y* = 0: E = ⅛ and δ = (y − y*) y(1 − y) = ⅛. The derivative with respect to a
    bias is the δ of its layer, and not 1.
    """
    model = fg.multilayer_perceptron([2, 3, 1], [None, "sigmoid"])
    params = (
        {"w": jnp.array([[1.0, 0], [0, 1], [1, 1]]), "b": jnp.zeros(3)},
        {"w": jnp.array([[1.0, 1, -1]]), "b": jnp.zeros(1)},
    )
    backward = backpropagate(model, params, jnp.array([1.0, 2]), jnp.zeros(1), fg.l2_loss)
    assert float(backward.loss) == 1 / 8
    assert [v.tolist() for v in backward.z] == [[1, 2, 3], [0]]
    assert [v.tolist() for v in backward.a] == [[1, 2], [1, 2, 3], [0.5]]
    assert [v.tolist() for v in backward.delta] == [[1 / 8, 1 / 8, -1 / 8], [1 / 8]]
    hidden, output = backward.gradient
    assert output["w"].tolist() == [[1 / 8, 2 / 8, 3 / 8]]
    assert output["b"].tolist() == [1 / 8]
    assert hidden["w"].tolist() == [[1 / 8, 1 / 4], [1 / 8, 1 / 4], [-1 / 8, -1 / 4]]
    assert hidden["b"].tolist() == [1 / 8, 1 / 8, -1 / 8]


def test_row_07_sigmoid_everywhere_by_hand():
    """E = (1/N) Σₙ Σₖ (oₙₖ − dₙₖ)²; the way to the hidden weights leads through ∂o/∂y = o(1 − o) wⱼₖ."""
    n, i, j, k = 5, 3, 4, 2
    w1, w2 = RNG.standard_normal((j, i)), RNG.standard_normal((k, j))
    x, d = RNG.standard_normal((n, i)), RNG.random((n, k))
    with float64_mode():
        model = fg.multilayer_perceptron([i, j, k], ["sigmoid", "sigmoid"], bias=False, dtype="float64")
        backward = backpropagate(model, layers(w1, w2), x, d, fg.squared_error)
    y = sigmoid(x @ w1.T)
    o = sigmoid(y @ w2.T)
    by_hidden, by_output = np.zeros_like(w1), np.zeros_like(w2)
    for m in range(n):
        for c in range(k):
            error = 2 * (o[m, c] - d[m, c]) * o[m, c] * (1 - o[m, c])
            by_output[c] += error * y[m] / n
            for b in range(j):
                by_hidden[b] += error * w2[c, b] * y[m, b] * (1 - y[m, b]) * x[m] / n
    np.testing.assert_allclose(backward.loss, np.sum((o - d) ** 2) / n, rtol=1e-12)
    np.testing.assert_allclose(backward.gradient[1]["w"], by_output, rtol=1e-12)
    np.testing.assert_allclose(backward.gradient[0]["w"], by_hidden, rtol=1e-12)


def test_row_18_a_layer_as_one_function():
    model = fg.multilayer_perceptron([4, 2], ["sigmoid"])
    params = ({"w": jnp.array([[1.0, 2, -1, -2], [3, 4, -3, 4]]), "b": jnp.array([5.0, 6])},)
    backward = backpropagate(model, params, jnp.array([1.0, 2, 3, 4]), jnp.ones(2), fg.l2_loss)
    assert backward.z[0].tolist() == [-1, 24]
    np.testing.assert_allclose(backward.a[1], sigmoid(np.array([-1, 24])), rtol=1e-6)


def test_row_17_the_jacobian_of_softmax_is_not_elementwise():
    """BP1 with J = diag(p) − ppᵀ; with the cross-entropy it collapses to δ = p − y, the seed's row 29."""
    w, x, y = RNG.standard_normal((3, 2)), RNG.standard_normal(2), np.array([0.0, 1, 0])
    p = np.exp(w @ x) / np.exp(w @ x).sum()
    with float64_mode():
        model = fg.multilayer_perceptron([2, 3], ["softmax"], bias=False, dtype="float64")
        squared = backpropagate(model, layers(w), x, y, fg.l2_loss)
        crossed = backpropagate(model, layers(w), x, y, lambda q, y: -jnp.sum(y * jnp.log(q)))
    jacobian = np.array([[p[i] * ((i == j) - p[j]) for j in range(3)] for i in range(3)])
    np.testing.assert_allclose(squared.delta[0], jacobian.T @ (p - y), rtol=1e-12)
    np.testing.assert_allclose(crossed.delta[0], p - y, rtol=1e-12)
    np.testing.assert_allclose(crossed.gradient[0]["w"], np.outer(p - y, x), rtol=1e-12)


def test_row_17_a_batch_has_the_errors_of_its_examples_and_their_mean_gradient():
    model = fg.multilayer_perceptron([3, 4, 2], "tanh")
    params = model.init(KEY)
    x, y = jnp.asarray(RNG.standard_normal((3, 3)), jnp.float32), jnp.array([0, 1, 1])
    one = lambda x, y: backpropagate(model, params, x, y, fg.softmax_cross_entropy_with_integer_labels)  # noqa: E731
    batch, singles = one(x, y), [one(u, v) for u, v in zip(x, y, strict=True)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *singles)
    for name in ("z", "a", "delta"):
        mine, theirs = getattr(batch, name), getattr(stacked, name)
        jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-5, atol=1e-7), mine, theirs)
    for name in ("loss", "gradient"):
        mine, theirs = getattr(batch, name), getattr(stacked, name)
        jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v.mean(0), rtol=1e-5, atol=1e-7), mine, theirs)


LOSSES = {  # of one example, and its targets for outputs of shape (N, k)
    "squared_error": (fg.squared_error, lambda n, k: RNG.standard_normal((n, k))),
    "sum_of_squares": (fg.sum_of_squares, lambda n, k: RNG.standard_normal((n, k))),
    "mean_squared_error": (fg.mean_squared_error, lambda n, k: RNG.standard_normal((n, k))),
    "sigmoid_binary_cross_entropy": (fg.sigmoid_binary_cross_entropy, lambda n, k: RNG.random((n, k))),
    "softmax_cross_entropy": (fg.softmax_cross_entropy, lambda n, k: RNG.dirichlet(np.ones(k), n)),
    "integers": (fg.softmax_cross_entropy_with_integer_labels, lambda n, k: RNG.integers(0, k, n)),
    "hinge_loss": (fg.hinge_loss, lambda n, k: RNG.choice([-1.0, 1.0], (n, k))),
    "one's own": (lambda o, y: jnp.sum(jnp.cosh(o) * y) + o[0] * o[-1], lambda n, k: RNG.standard_normal((n, k))),
}
FUNCTIONS = [*ACTIVATIONS, None, lambda z: z * jnp.cos(z), lambda z: jnp.cumsum(z) / (1 + jnp.sum(z * z))]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    functions=st.lists(st.sampled_from(FUNCTIONS), min_size=3, max_size=3),
    loss=st.sampled_from(sorted(LOSSES)),
    bias=st.booleans(),
    examples=st.sampled_from([None, 2]),
)
def test_row_17_any_network_has_the_gradient_of_jax(widths, functions, loss, bias, examples):
    loss, targets = LOSSES[loss]
    n = examples or 1
    x, y = RNG.standard_normal((n, widths[0])), targets(n, widths[-1])
    model = fg.multilayer_perceptron(widths, functions[: len(widths) - 1], bias=bias, dtype="float64")

    def by_jax(params):
        outputs = model.apply(params, x) if loss is fg.sum_of_squares else None
        cost = lambda x, y: jnp.sum(loss(model.apply(params, x), y))  # noqa: E731
        return loss(outputs, y) if outputs is not None else jnp.mean(jnp.stack(list(map(cost, x, y))))

    def both(params):
        one = (x, y) if examples else (x[0], y[0])
        return backpropagate(model, params, *one, loss), jax.value_and_grad(by_jax)(params)

    with float64_mode():
        shapes = jax.eval_shape(model.init, KEY)
        params = jax.tree.map(lambda leaf: RNG.standard_normal(leaf.shape), shapes)
        backward, (value, gradient) = jax.jit(both)(params)
    np.testing.assert_allclose(backward.loss, value, rtol=1e-12)
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-9, atol=1e-14), backward.gradient, gradient)


def test_row_17_to_the_precision_of_the_parameters():
    rows = jnp.asarray(RNG.standard_normal((8, 3)), jnp.float32), jnp.asarray(RNG.random((8, 2)), jnp.float32)
    for dtype in ("float32", "bfloat16"):
        model = fg.multilayer_perceptron([3, 4, 2], ["relu", "softmax"], dtype=dtype)
        params = model.init(KEY)
        gradient = backpropagate(model, params, *rows, fg.sum_of_squares).gradient
        by_jax = jax.jit(jax.grad(lambda p, x, y, apply=model.apply: fg.sum_of_squares(apply(p, x), y)))(params, *rows)
        for g, expected in zip(jax.tree.leaves(gradient), jax.tree.leaves(by_jax), strict=True):
            assert g.dtype == expected.dtype == dtype
            tolerance = 4 * float(jnp.finfo(dtype).eps) * np.max(np.abs(np.float32(expected)))
            np.testing.assert_allclose(np.float32(g), np.float32(expected), atol=tolerance, rtol=0)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)


def test_row_30_a_hidden_error_is_the_weighted_sum_of_the_next_ones():
    """δ = (Σₖ wₖδₖ) σ′ for one hidden unit, and −(y − ŷ) ŷ(1 − ŷ) for an output unit, with the minus sign."""
    w1, w2, x, y = RNG.standard_normal((1, 2)), RNG.standard_normal((3, 1)), RNG.standard_normal(2), RNG.random(3)
    with float64_mode():
        model = fg.multilayer_perceptron([2, 1, 3], ["sigmoid", "sigmoid"], bias=False, dtype="float64")
        hidden, output = map(np.asarray, backpropagate(model, layers(w1, w2), x, y, fg.l2_loss).delta)
    h = sigmoid(w1 @ x)
    o = sigmoid(w2 @ h)
    np.testing.assert_allclose(output, -(y - o) * o * (1 - o), rtol=1e-12)
    np.testing.assert_allclose(hidden, sum(w2[k, 0] * output[k] for k in range(3)) * h * (1 - h), rtol=1e-12)


def test_row_31_other_pairs_and_several_losses_at_once():
    """A different activation in every layer, and a weighted sum of losses: its error is the sum of theirs."""
    model = fg.multilayer_perceptron([2, 3, 3, 2], ["relu", "softplus", None])
    params, x, y = model.init(KEY), jnp.array([0.5, -1.0]), np.float32([0.2, 0.8])

    def total(o, y):
        squared, crossed, binary = fg.l2_loss, fg.softmax_cross_entropy, fg.sigmoid_binary_cross_entropy
        return jnp.sum(squared(o, y)) + 0.5 * crossed(o, y) - 2 * jnp.sum(binary(o, y))

    backward = backpropagate(model, params, x, y, total)
    z1, z2, o = map(np.asarray, backward.z)
    np.testing.assert_allclose(backward.a[1], np.maximum(z1, 0), rtol=1e-6)
    np.testing.assert_allclose(backward.a[2], np.log(1 + np.exp(z2)), rtol=1e-6)
    error = (o - y) + 0.5 * (np.exp(o) / np.exp(o).sum() - y) - 2 * (sigmoid(o) - y)
    np.testing.assert_allclose(backward.delta[2], error, rtol=1e-5)
    w = [np.asarray(layer["w"]) for layer in params]
    first, second, _ = map(np.asarray, backward.delta)
    np.testing.assert_allclose(second, (w[2].T @ error) * sigmoid(z2), rtol=1e-5)  # ln(1 + eᶻ)′ = σ(z)
    np.testing.assert_allclose(first, (w[1].T @ second) * (z1 > 0), rtol=1e-5)


def test_a_step_stops_every_gradient():
    model = fg.multilayer_perceptron([2, 2, 1], ["step", None])
    backward = backpropagate(model, model.init(KEY), jnp.ones(2), jnp.ones(1), fg.l2_loss)
    assert not backward.delta[0].any()
    assert backward.delta[1].any()


def test_it_can_be_differentiated_and_mapped_again():
    model = fg.multilayer_perceptron([1, 1], ["tanh"], bias=False)
    weights = jnp.array([[[0.5]], [[1.0]]])
    slope = lambda w: backpropagate(model, ({"w": w},), jnp.ones(1), jnp.zeros(1), fg.l2_loss).gradient[0]["w"].sum()  # noqa: E731
    t = np.tanh([0.5, 1.0])
    np.testing.assert_allclose(jax.vmap(slope)(weights), t * (1 - t**2), rtol=1e-5)
    curvature = jax.vmap(jax.grad(slope))(weights).ravel()  # (½ tanh²)″ = (1 − t²)² − 2t²(1 − t²)
    np.testing.assert_allclose(curvature, (1 - t**2) * (1 - 3 * t**2), rtol=1e-5)


MODEL = fg.multilayer_perceptron([3, 2], ["tanh"])
PARAMS = MODEL.init(KEY)
ONES = jax.tree.map(jnp.ones_like, PARAMS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((fg.linear(3, 2), ONES, jnp.ones(3), jnp.ones(2)), r"backpropagate: `model` must be an .*, got linear\("),
        ((MODEL, jax.tree.map(lambda p: p + 0j, ONES), jnp.ones(3), jnp.ones(2)), r"`params\[0\]\['b'\]` must be real"),
        (
            (MODEL, jax.tree.map(lambda p: p.astype(int), ONES), jnp.ones(3), jnp.ones(2)),
            r"backpropagate: `params\[0\]\['b'\]` must be a floating or complex array, got int32",
        ),
        ((MODEL, (ONES[0], ONES[0]), jnp.ones(3), jnp.ones(2)), r"multilayer_perceptron: `params\[1\]` must be absent"),
        ((MODEL, ONES, jnp.ones(4), jnp.ones(2)), r"`x` must have shape \(3,\), or \(N, 3\) with N ≥ 1, got \(4,\)"),
        ((MODEL, ONES, jnp.ones((2, 2, 3)), jnp.ones(2)), r"`x` must have shape .* got \(2, 2, 3\)"),
        ((MODEL, ONES, jnp.ones((0, 3)), jnp.ones((0, 2))), r"`x` must have shape .* got \(0, 3\)"),
        ((MODEL, ONES, jnp.ones(3) + 0j, jnp.ones(2)), r"`x` must be real, got complex64"),
        ((MODEL, ONES, jnp.ones((5, 3)), jnp.ones((4, 2))), r"`y` must have 5 examples, .* got shape \(4, 2\)"),
        ((MODEL, ONES, jnp.ones((5, 3)), 1.0), r"`y` must have 5 examples, .* got shape \(\)"),
        (
            (MODEL, ONES, jnp.ones((5, 3)), jnp.ones(5)),
            r"l2_loss: `targets` must have the shape of .* \(2,\)",
        ),
        (
            (MODEL, ONES, jnp.ones(3), jnp.ones(2), lambda o, y: o[:1]),
            r"`loss` must return one .* shape \(1,\)",
        ),
        (
            (MODEL, ONES, jnp.ones(3), jnp.ones(2), lambda o, y: jax.lax.complex(o, o)),
            r"`loss` must return real .* complex64",
        ),
        ((MODEL, ONES, jnp.ones(3), jnp.ones(2), lambda o, y: o > y), r"`loss` must return real .* bool"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        calculus.backpropagate(*arguments, *([fg.l2_loss] if len(arguments) == 4 else []))
