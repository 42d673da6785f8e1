"""Single units learn: their rules by the lecture's formulas, with the right sign, and Rosenblatt's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.calculus import delta_rule
from funcgd.core.numerics import float64_mode

W, X, Y = np.array([0.3, 0.1, -0.4]), np.array([0.5, -1.0, 2.0]), 1.0
Z = W @ X
S = 1 / (1 + np.exp(-Z))
UNITS = {  # name or function: ŷ, ∂L/∂w by hand
    "linear": (Z, -(Y - Z) * X),
    "sigmoid": (S, -(Y - S) * S * (1 - S) * X),
    "softplus": (np.log(1 + np.exp(Z)), -(Y - np.log(1 + np.exp(Z))) * S * X),
    "relu": (0, 0 * X),  # z < 0: a unit that is off does not learn
    "tanh": (np.tanh(Z), -(Y - np.tanh(Z)) * (1 - np.tanh(Z) ** 2) * X),
    jnp.sin: (np.sin(Z), -(Y - np.sin(Z)) * np.cos(Z) * X),
}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: getattr(unit, "__name__", unit))
def test_row_30_single_units_by_hand_and_by_jax(unit):
    """Linear −(y − wᵀx)x, sigmoid −(y − σ)σ(1 − σ)x; the lecture's sigmoid lacks the minus sign."""
    with float64_mode():
        output, delta, gradient = delta_rule(unit, W, X, Y)
        function = (lambda z: z) if unit == "linear" else unit if callable(unit) else getattr(jax.nn, unit)
        by_jax = jax.grad(lambda w: 0.5 * (Y - function(w @ X)) ** 2)(jnp.asarray(W))
    expected_output, expected = UNITS[unit]
    np.testing.assert_allclose(output, expected_output, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, by_jax, rtol=1e-12)
    np.testing.assert_allclose(float(delta) * X, gradient, rtol=1e-12)


def test_row_30_the_sign_of_the_sigmoid_unit():
    """y = 1, σ = ½: δ = −(1 − ½)·½·½ = −⅛, so that descent raises the output."""
    output, delta, gradient = delta_rule("sigmoid", jnp.zeros(2), jnp.array([1.0, 2]), 1.0)
    assert (float(output), float(delta), gradient.tolist()) == (0.5, -0.125, [-0.125, -0.25])
    w = -1.0 * gradient
    assert delta_rule("sigmoid", w, jnp.array([1.0, 2]), 1.0).output > output


def test_row_30_a_unit_is_a_network_of_one_layer():
    x, y = jnp.asarray(np.float32([X, -X, 2 * X])), jnp.array([1.0, 0.0, 0.5])
    rule = delta_rule("sigmoid", np.float32(W), x, y)
    model = fg.multilayer_perceptron([3, 1], ["sigmoid"], bias=False)
    backward = fg.backpropagate(model, ({"w": jnp.asarray(np.float32(W))[None]},), x, y[:, None], fg.l2_loss)
    np.testing.assert_allclose(rule.output, backward.a[1][:, 0], rtol=1e-6)
    np.testing.assert_allclose(rule.delta, backward.delta[0][:, 0], rtol=1e-6)
    np.testing.assert_allclose(rule.gradient, backward.gradient[0]["w"][0], rtol=1e-5)


def test_row_29_a_batch_of_linear_units_descends_the_sum_of_squares():
    """∇L(X, Y, w) = (1/N) Σ −(yᵢ − wᵀxᵢ) xᵢ of L = (1/2N) Σ (yᵢ − ŷᵢ)²."""
    rng = np.random.default_rng(1)
    x, y, w = np.float32(rng.standard_normal((6, 3))), np.float32(rng.standard_normal(6)), np.float32(W)
    gradient = delta_rule("linear", w, x, y).gradient
    np.testing.assert_allclose(gradient, -sum((y - x @ w)[i] * x[i] for i in range(6)) / 6, rtol=1e-5)
    np.testing.assert_allclose(gradient, jax.grad(lambda w: fg.sum_of_squares(x @ w, y))(jnp.asarray(w)), rtol=1e-5)


def test_row_30_the_perceptron_corrects_mistakes_only():
    x = jnp.array([[1.0, 2.0]])
    for y, right in ((1.0, False), (-1.0, True)):  # wᵀx = −3: the output is −1
        output, delta, gradient = delta_rule("perceptron", jnp.array([1.0, -2.0]), x, jnp.array([y]))
        assert output.tolist() == [-1]
        assert delta.tolist() == [0 if right else -y]
        assert gradient.tolist() == [0, 0] if right else (-y * x[0]).tolist()
    assert delta_rule("perceptron", jnp.zeros(2), x[0], -1).output == -1  # 1 only where 0 < wᵀx


def test_row_30_the_perceptron_learns_what_a_line_separates():
    """Novikoff: at most (R/γ)² mistakes, where a unit vector u separates with y·uᵀx ≥ γ and ‖x‖ ≤ R."""
    rng = np.random.default_rng(2)
    u = np.array([0.6, -0.8, 0.0])
    x = rng.uniform(-1, 1, (60, 3))
    x = x[abs(x @ u) > 0.2]
    y = np.sign(x @ u)
    bound = np.max(np.sum(x**2, axis=1)) / np.min(y * (x @ u)) ** 2

    @jax.jit
    def epoch(w):
        def visit(w, example):
            rule = delta_rule("perceptron", w, *example)
            return w - rule.gradient, rule.delta != 0

        return jax.lax.scan(visit, w, (jnp.float32(x), jnp.float32(y)))

    w, mistakes = jnp.zeros(3), 0
    for _ in range(int(bound) + 1):
        w, wrong = epoch(w)
        mistakes += int(wrong.sum())
        if not wrong.any():
            break
    assert 0 < mistakes <= bound
    assert not fg.zero_one_loss(jnp.sign(jnp.float32(x) @ w), jnp.float32(y)).any()


def test_row_30_the_perceptron_descends_the_perceptron_loss():
    x, w = jnp.float32(np.random.default_rng(3).standard_normal((8, 3))), jnp.float32(W)
    y = jnp.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    slope = jax.grad(lambda w: fg.perceptron_loss(x @ w, y).mean())(w)
    np.testing.assert_allclose(delta_rule("perceptron", w, x, y).gradient, slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sigmod", W, X, Y), r"`unit`: expected one of .*'sigmoid'.* got 'sigmod'"),
        (("softmax", W, X, Y), r"`unit` must act on one number, but 'softmax' is of a layer"),
        ((jnp.sum, W, np.stack([X, X]), np.ones(2)), r"`unit` must keep the shape; it turned \(2,\) into \(\)"),
        (("linear", W, X[:2], Y), r"`w` must have shape .* got \(3,\) and \(2,\)"),
        (("linear", W[None], X, Y), r"`w` must have shape .* got \(1, 3\) and \(3,\)"),
        (("linear", W, X, [Y, Y]), r"`y` must have shape \(\), one target for each example, got \(2,\)"),
        (("linear", W, X[None], Y), r"`y` must have shape \(1,\)"),
        (("linear", [1, 2, 3], X, Y), r"`w` must be floating, got int32"),
        (("linear", W, X + 1j, Y), r"`x` must be real, got complex64"),
        (("perceptron", W, X, 0.0), r"`y` must be in \{-1, 1\} for a perceptron, got `y` = 0.0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((ValueError, TypeError), match=f"delta_rule: {message}"):
        delta_rule(*arguments)
