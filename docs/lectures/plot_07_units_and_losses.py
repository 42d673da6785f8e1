"""
7 · Units, losses, softmax
==========================

What a single unit computes, how wrong it is, and which pairs of the two can be learnt by descent.
"""

# %%
# Three units
# -----------
#
# A unit multiplies its inputs by weights, adds them up to z = wᵀx, and makes its output of z: the *perceptron* a step,
# 1 or −1, the *linear* unit z itself, the *sigmoid* something between the two, σ(z) = 1/(1 + e⁻ᶻ), which has a slope
# everywhere, σ′ = σ(1 − σ), and it is ¼ at most. Other functions have taken its place in hidden layers: tanh, which is
# 2σ(2z) − 1, ReLU, max(0, z), whose slope does not fade for z > 0 but is 0 for z < 0, and softplus, ln(1 + eᶻ), a ReLU
# without the corner, whose slope is σ.

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg
from funcgd import plots

np.set_printoptions(precision=4, suppress=True)

z = jnp.linspace(-4, 4, 161)
units = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "ReLU": jax.nn.relu, "softplus": jax.nn.softplus}
slopes = {name: jax.vmap(jax.grad(unit))(z) for name, unit in units.items()}
np.testing.assert_allclose(slopes["sigmoid"], units["sigmoid"](z) * (1 - units["sigmoid"](z)), atol=1e-6)
np.testing.assert_allclose(units["tanh"](z), 2 * units["sigmoid"](2 * z) - 1, atol=1e-6)
np.testing.assert_allclose(slopes["softplus"], units["sigmoid"](z), atol=1e-6)
assert slopes["sigmoid"].max() == 0.25
assert jax.grad(jax.nn.relu)(0.0) == 0  # at the corner, by convention

_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
plots.learning_curves({name: f(z) for name, f in units.items()}, z, log=False, xlabel="z", ax=left).set(ylabel="output")
plots.learning_curves(slopes, z, log=False, xlabel="z", ax=right).set(ylabel="slope")

# %%
# Where do you draw the line?
# ---------------------------
#
# Thirty points of two kinds, labels 1 and −1. The line where wᵀx = 0 should separate them. The natural loss counts
# mistakes, which is the *0–1 loss*. Look at it as a function of the two weights: it is made of plains. Nothing slopes,
# the gradient is 0 wherever there is one, and descent stays where it is. Half the mean squared error of the linear
# unit is a bowl over the same plane:

keys = jax.random.split(jax.random.key(0), 2)
y = jnp.where(jnp.arange(30) < 15, 1.0, -1.0)
x = jax.random.normal(keys[0], (30, 2)) + 0.9 * y[:, None] * jnp.array([1.0, 0.6])


def mistakes(w):
    return fg.zero_one_loss(jnp.where(x @ w > 0, 1.0, -1.0), y).sum()


def squares(w):
    return fg.sum_of_squares(x @ w, y)


start = jnp.array([-0.8, 0.9])
assert fg.gradient(mistakes, start).tolist() == [0, 0]
run = fg.minimize(squares, start, fg.gradient_descent(0.2), max_steps=30, record=True)
print(f"{mistakes(start):.0f} mistakes at the start, {mistakes(run.params):.0f} at the minimum of the squares")
assert mistakes(run.params) < mistakes(start)

_, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
plots.contour(mistakes, (-1, 1.2), (-1, 1.2), levels=[2.5, 5.5, 10.5, 15.5, 20.5], ax=left)
left.set(title="mistakes", xlabel="$w_1$", ylabel="$w_2$")
plots.contour(squares, (-1, 1.2), (-1, 1.2), paths={"descent": run}, ax=right)
right.set(title="(1/2N) Σ (y − wᵀx)²", xlabel="$w_1$", ylabel="$w_2$")

# %%
# The delta rule
# --------------
#
# For one example and L = ½(y − ŷ)² the chain rule gives ∂L/∂w = δx, with an error δ = ∂L/∂z that depends on the unit:
#
# .. formula::
#
#    linear       δ = −(y − wᵀx)
#    sigmoid      δ = −(y − σ) σ (1 − σ)
#    perceptron   no derivative; Rosenblatt's rule takes δ = 0 where ŷ = y, else −y

w, one, target = jnp.array([0.5, -1.0]), jnp.array([1.0, 2.0]), 1.0
s = 1 / (1 + np.exp(1.5))  # wᵀx = −1.5
expected = {"linear": -(1 + 1.5), "sigmoid": -(1 - s) * s * (1 - s), "perceptron": -1.0}
for unit, delta in expected.items():
    rule = fg.delta_rule(unit, w, one, target)
    print(f"{unit:<11} output {rule.output:+.4f}   δ {rule.delta:+.4f}   ∂L/∂w {rule.gradient}")
    np.testing.assert_allclose(rule.delta, delta, rtol=1e-5)
    np.testing.assert_allclose(rule.gradient, delta * np.array([1, 2]), rtol=1e-5)
for unit, function in (("linear", lambda z: z), ("sigmoid", jax.nn.sigmoid)):
    gradient = fg.gradient(lambda w, f=function: fg.l2_loss(f(w @ one), target), w)
    np.testing.assert_allclose(fg.delta_rule(unit, w, one, target).gradient, gradient, rtol=1e-5)

# %%
# What each loss makes of a score a = wᵀx for a point of the class 1. The perceptron's loss is its rule as a gradient;
# the hinge asks for a margin; the cross-entropy of the sigmoid never quite rests; the square punishes points that are
# right by too much.

scores = jnp.linspace(-2.5, 2.5, 101)
ones = jnp.ones(101)
losses = {
    "0–1": fg.zero_one_loss(jnp.where(scores > 0, 1.0, -1.0), ones),
    "perceptron": fg.perceptron_loss(scores, ones),
    "hinge": fg.hinge_loss(scores, ones),
    "cross-entropy": fg.sigmoid_binary_cross_entropy(scores, ones),
    "½ squared": fg.l2_loss(scores, ones),
}
ax = plots.learning_curves(losses, scores, log=False, xlabel="score a of a point of class 1")
ax.set(ylabel="loss", ylim=(-0.1, 3))

# %%
# Entropy and cross-entropy
# -------------------------
#
# Where the output is a distribution over classes, the loss should compare distributions. The entropy of P says how
# hard it is to guess what is drawn from it, −Σ P log P; the cross-entropy −Σ P log Q says how hard it is for one who
# believes in Q. It is ln 4 = 1.39 if Q is uniform over four outcomes, whatever P is; it is infinite where Q rules out
# what P does not; and it is not symmetric.

uniform, half = jnp.full(4, 0.25), jnp.array([0.5, 0.5, 0.0, 0.0])
print(f"H(half) = {fg.entropy(half):.2f}, H(half, uniform) = {fg.cross_entropy(uniform, half):.2f}, ", end="")
print(f"H(uniform, half) = {fg.cross_entropy(half, uniform)}")
np.testing.assert_allclose(fg.cross_entropy(uniform, half), np.log(4), rtol=1e-6)
np.testing.assert_allclose(fg.entropy(half), np.log(2), rtol=1e-6)
assert fg.cross_entropy(half, uniform) == jnp.inf

# %%
# Softmax
# -------
#
# It turns any numbers a into a distribution, pᵢ = eᵃⁱ/Σ eᵃʲ. Each output depends on all inputs, so its Jacobian is no
# diagonal, diag(p) − ppᵀ. In a pair with the cross-entropy all of that cancels, and what remains is the simplest
# derivative of all, ∂L/∂a = p − y. ``fg.softmax_cross_entropy`` computes both at once, which saves digits as well: a
# probability that has been rounded to 0 has lost its logarithm.

a, label = jnp.array([1.0, 3.0, -2.0]), jnp.array([0.0, 1.0, 0.0])
p = jax.nn.softmax(a)
np.testing.assert_allclose(fg.jacobian(jax.nn.softmax, a), jnp.diag(p) - jnp.outer(p, p), atol=1e-6)
slope = fg.gradient(fg.softmax_cross_entropy, a, label)
print("p =", p.round(4), "  ∂L/∂a =", slope.round(4))
np.testing.assert_allclose(slope, p - label, atol=1e-6)
far = jnp.array([0.0, 200.0])
print("loss at logits (0, 200), label 0:", float(fg.softmax_cross_entropy(far, jnp.array([1.0, 0.0]))), "and from")
print("probabilities:", float(fg.cross_entropy(jax.nn.softmax(far), jnp.array([1.0, 0.0]))))
assert fg.softmax_cross_entropy(far, jnp.array([1.0, 0.0])) == 200

# %%
# A layer, a network, several losses
# ----------------------------------
#
# Units side by side are a layer, g(x) = σ(Wx + b), with one row of W for each. Layers in a row are a network,
# described by the widths and the activations, each layer with its own. It may be taught by several losses at once, as
# their weighted sum:

layer = {"w": jnp.array([[1.0, 2, -1, -2], [3, 4, -3, 4]]), "b": jnp.array([5.0, 6])}
print("Wx + b =", fg.linear(4, 2).apply(layer, jnp.array([1.0, 2, 3, 4])))
assert fg.linear(4, 2).apply(layer, jnp.array([1.0, 2, 3, 4])).tolist() == [-1, 24]

model = fg.multilayer_perceptron([2, 8, 4, 1], ["softplus", "tanh", "identity"])


def classify(params, batch):
    return fg.sigmoid_binary_cross_entropy(model.apply(params, batch["x"])[:, 0], (batch["y"] + 1) / 2).mean()


def stay_small(params, batch):
    del batch
    return fg.tree.vdot(params, params)


both = fg.weighted_sum([classify, stay_small], [1.0, 0.001], names=["classify", "stay_small"])
data, params = {"x": x, "y": y}, model.init(keys[1])
run = fg.fit(both, params, fg.adam(0.05), data, batch_size=None, epochs=200, key=keys[0], progress=False)
print("loss", run.history["loss"][[0, -1]], "of which classify", run.history["classify"][[0, -1]])
np.testing.assert_allclose(run.history["loss"], run.history["classify"] + 0.001 * run.history["stay_small"], rtol=1e-5)
wrong = fg.zero_one_loss(jnp.sign(model.apply(run.params, x)[:, 0]), y).sum()
print(f"{wrong:.0f} mistakes, where the line made {mistakes(jnp.linalg.lstsq(x, y)[0]):.0f}")
assert wrong < mistakes(jnp.linalg.lstsq(x, y)[0])

# %%
# Slips in the sources
# --------------------
#
# One course loses the minus sign of the sigmoid unit's gradient, and so of δ: it is −(y − σ)σ(1 − σ)x, as above, or
# learning climbs. It reads off the class as sign(σ), which is always 1; compare σ with ½. The picture of its example
# for the cross-entropy is lost. 1.39 is ln 4, the value here, in natural logarithms.
