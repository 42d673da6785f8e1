"""
9 · Vanishing and exploding gradients
=====================================

Backpropagation multiplies, once per layer. Products of many numbers below 1 are nearly 0, of many above 1 enormous. How
to see which it is, in which layers, and what helps.
"""

# %%
# A chain of four units
# ---------------------
#
# One unit per layer, aⁱ = σ(wᵢaⁱ⁻¹ + bᵢ). The chain rule for the first bias reads
#
# .. formula::
#
#    ∂C/∂b₁ = σ′(z₁) · w₂ σ′(z₂) · w₃ σ′(z₃) · w₄ σ′(z₄) · ∂C/∂a₄
#
# and σ′ is ¼ at most, at z = 0. Weights of size 1 then take at least three quarters of the gradient away in each
# layer:

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg
from funcgd import plots

np.set_printoptions(precision=4, suppress=True)

chain = fg.multilayer_perceptron([1] * 5, ["sigmoid"] * 4)
w, b = np.array([0.9, -1.0, 0.8, 1.0]), np.array([0.1, 0.2, -0.3, 0.0])
params = tuple({"w": jnp.float32([[wi]]), "b": jnp.float32([bi])} for wi, bi in zip(w, b, strict=True))
x, y = jnp.array([0.5]), jnp.array([1.0])

backward = fg.backpropagate(chain, params, x, y, fg.l2_loss)
z = np.array([zi[0] for zi in backward.z], np.float64)
slope = np.exp(-z) / (1 + np.exp(-z)) ** 2
product = slope[0] * np.prod(w[1:] * slope[1:]) * (float(backward.a[-1][0]) - 1)
sizes = [float(abs(layer["b"][0])) for layer in backward.gradient]
print("|∂C/∂b| from the first layer to the last:", ", ".join(f"{size:.6f}" for size in sizes))
np.testing.assert_allclose(backward.gradient[0]["b"][0], product, rtol=1e-4)
assert all(first <= last * abs(wi) / 4 for first, last, wi in zip(sizes[:-1], sizes[1:], w[1:], strict=True))

# %%
# Ten layers, and a bound
# -----------------------
#
# With several units per layer the factors are matrices, and the norm of the error falls at least by max σ′ · ‖W‖₂ per
# layer. ``fg.diagnose`` measures how much arrives in each layer, and has the bound beside it. Here are ten layers of
# sigmoids with the usual initial weights, and the same with ReLU and weights that suit it:

batch = jax.random.normal(jax.random.key(0), (64, 16)), jnp.zeros((64, 1))


def network(activation, initializer, depth=10):
    kinds = [activation] * depth + [None]
    model = fg.multilayer_perceptron([16] * (depth + 1) + [1], kinds, initializer=initializer)
    return model, model.init(jax.random.key(1))


sigmoids, start = network("sigmoid", "glorot_normal")
vanishing = fg.diagnose(sigmoids, start, batch, fg.l2_loss)
print(vanishing)
ratio, bound = np.array(list(vanishing.gradient_ratio.values())), np.array(list(vanishing.bound.values()))
assert "layer1" in vanishing.vanishing
assert np.all(ratio <= bound * 1.0001)
factors = [np.linalg.norm(np.float64(layer["w"]), 2) for layer in start[1:]]
np.testing.assert_allclose(bound[0], 0.25**10 * np.prod(factors), rtol=1e-3)

rectifiers, he = network("relu", "he_normal")
healthy = fg.diagnose(rectifiers, he, batch, fg.l2_loss)
assert not healthy.vanishing
assert not healthy.exploding

_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
plots.gradient_norms(vanishing.gradient_ratio, bound=vanishing.bound, ylabel="share of the gradient", ax=left)
plots.gradient_norms(healthy.gradient_ratio, bound=healthy.bound, ylabel="", ax=right)
left.set_title("sigmoid, Glorot")
right.set_title("ReLU, He")

# %%
# What that means for learning: the first layers of the one hardly move, and the loss stays at what the output layer
# can do alone.

inputs = batch[0]
targets = jnp.sin(2 * inputs[:, :1]) + inputs[:, 1:2]
data = {"x": inputs, "y": targets}
curves = {}
for name, (model, params) in {"sigmoid": (sigmoids, start), "ReLU": (rectifiers, he)}.items():

    def loss(params, batch, model=model):
        return fg.mean_squared_error(model.apply(params, batch["x"]), batch["y"])

    tx = fg.chain(fg.clip_by_global_norm(1.0), fg.sgd(0.02, momentum=0.9))
    run = fg.fit(loss, params, tx, data, batch_size=None, epochs=150, key=jax.random.key(2), progress=False)
    curves[name] = run.history["loss"]
    print(f"{name:<8} loss {curves[name][0]:.3f} → {curves[name][-1]:.3f}")
assert curves["sigmoid"][-1] > 5 * curves["ReLU"][-1]
plots.learning_curves(curves)

# %%
# Too much
# --------
#
# Larger weights turn it around: here they have three times the usual size, and there are no activations to stop the
# growth. (With tanh it stops where units saturate: for a large \|z\| the slope is nearly 0, and the gradient
# vanishes.)

deep, glorot = network(None, "glorot_normal")
large = jax.tree.map(lambda a: 3 * a, glorot)
exploding = fg.diagnose(deep, large, batch, fg.l2_loss)
for sentence in exploding.verdict:
    print(sentence)
assert "layer1" in exploding.exploding

# %%
# Clipping does not mend the network, but keeps one step from ruining it: by value, entry for entry, or by the norm of
# the whole gradient, which keeps its direction.

gradient = fg.backpropagate(deep, large, *batch, fg.l2_loss).gradient
by_norm = fg.clip_by_global_norm(1.0).update(gradient, fg.clip_by_global_norm(1.0).init(large))[0]
by_value = fg.clip(1.0).update(gradient, fg.clip(1.0).init(large))[0]
norm = float(fg.tree.norm(gradient))
print(f"‖g‖ = {norm:.1e}; clipped by norm {fg.tree.norm(by_norm):.3f}, by value {fg.tree.norm(by_value):.1f}")
np.testing.assert_allclose(fg.tree.norm(by_norm), 1, rtol=1e-5)
cosine = fg.tree.vdot(gradient, by_norm) / norm
turned = fg.tree.vdot(gradient, by_value) / (norm * fg.tree.norm(by_value))
print(f"cosine with the gradient: {cosine:.3f} and {turned:.3f}")
assert cosine > 0.9999 > turned
assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(by_value)) <= 1

# %%
# One factor for all keeps the direction, and the proportions too: beside weights whose gradient is 10¹⁰ the last bias,
# with 10³, stands still. Clipped layer by layer, each has a bound of its own: a root mean square of d for every array
# (``fg.clip_by_block_rms``), or a norm of at most λ times that of the weights for all that feeds one unit
# (``fg.adaptive_grad_clip``). The second bound is relative, so it need not be found anew where the loss has another
# scale.

by_block = fg.clip_by_block_rms(0.01).update(gradient, fg.clip_by_block_rms(0.01).init(large))[0]
adaptive = fg.adaptive_grad_clip(0.01, axis=-1)  # W is (out, in): what feeds a unit is a row
by_unit = adaptive.update(gradient, adaptive.init(large), large)[0]
for name, g in {"": gradient, "by norm": by_norm, "by block": by_block, "by unit": by_unit}.items():
    weights, biases = ([float(fg.tree.norm(g[i][part])) for i in (0, -1)] for part in ("w", "b"))
    print(f"{name:<9} weights {weights[0]:.1e} … {weights[1]:.1e}, biases {biases[0]:.1e} … {biases[1]:.1e}")
assert fg.tree.norm(by_norm[-1]["b"]) < 1e-6  # of a norm of 1
for leaf, clipped in zip(jax.tree.leaves(gradient), jax.tree.leaves(by_block), strict=True):
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(clipped**2)), 0.01, rtol=1e-5)
    np.testing.assert_allclose(fg.tree.vdot(leaf, clipped), fg.tree.norm(leaf) * fg.tree.norm(clipped), rtol=1e-5)
for layer, clipped in zip(large, by_unit, strict=True):
    ratio = jnp.linalg.norm(clipped["w"], axis=-1) / jnp.linalg.norm(layer["w"], axis=-1)
    np.testing.assert_allclose(ratio, 0.01, rtol=1e-5)
scaled = adaptive.update(jax.tree.map(lambda g: 1000 * g, gradient), adaptive.init(large), large)[0]
assert fg.tree.norm(fg.tree.sub(scaled, by_unit)) < 1e-5 * fg.tree.norm(by_unit)

# %%
# And weights can be kept from growing. A penalty ½λ‖W‖² (``fg.l2_penalty``) adds λW to the gradient; one of λ‖W‖₁
# (``fg.l1_penalty``) adds λ sign(W), which drives small ones to 0; weight decay shrinks W itself, past the optimizer.
# For plain descent the first and the last are the same. For Adam, which divides the gradient by its size, they are
# not.

W = jnp.array([2.0, -0.5, 0.001])


def nothing(W, batch):
    return 0.0 * W.sum()


np.testing.assert_allclose(fg.gradient(fg.l2_penalty(nothing, 0.1), W, None), 0.1 * W, rtol=1e-6)
np.testing.assert_allclose(fg.gradient(fg.l1_penalty(nothing, 0.1), W, None), 0.1 * jnp.sign(W), rtol=1e-6)
steps = {}
for name, tx, g in (
    ("sgd, penalty", fg.sgd(0.1), 0.1 * W),
    ("sgd, decay", fg.chain(fg.add_decayed_weights(0.1), fg.sgd(0.1)), 0 * W),
    ("adam, penalty", fg.adam(0.1), 0.1 * W),
    ("adamw, decay", fg.adamw(0.1, weight_decay=0.1), 0 * W),
):
    steps[name] = tx.update(g, tx.init(W), W)[0]
    print(f"{name:<14} first step {steps[name]}")
np.testing.assert_allclose(steps["sgd, penalty"], steps["sgd, decay"], rtol=1e-5)
np.testing.assert_allclose(steps["adam, penalty"], -0.1 * jnp.sign(W), rtol=1e-3)
np.testing.assert_allclose(steps["adamw, decay"], -0.01 * W, rtol=1e-5)

# %%
# Dead and saturated units
# ------------------------
#
# A ReLU that is negative for every example has no gradient and does not come back: it is dead. A large step on the
# biases can do that. A saturated sigmoid is near 0 or 1, where its slope is nearly 0.

shifted = tuple({"w": layer["w"], "b": layer["b"] - 0.6} for layer in he[:5]) + he[5:]
dead = fg.diagnose(rectifiers, shifted, batch, fg.l2_loss)
wide = jax.tree.map(lambda a: 8 * a, start)
saturated = fg.diagnose(sigmoids, wide, batch, fg.l2_loss)
print(dead.verdict[-1], saturated.verdict[-1], sep="\n")
outputs = rectifiers.forward(shifted, batch[0])[1][1:-1]
counted = [np.mean(np.all(a == 0, axis=0)) for a in outputs]
np.testing.assert_allclose([dead.dead[f"layer{i + 1}"] for i in range(10)], counted, atol=1e-6)

_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
plots.unit_shares(dead=dead.dead, ax=left).set_title("ReLU, biases lowered by 0.6")
plots.unit_shares(saturated=saturated.saturated, ax=right).set_title("sigmoid, weights eight times as large")

# %%
# Slips in the sources
# --------------------
#
# The chain of four is introduced with weights of at most 1, "for example w ~ N(0, 1)", from which it does not follow: a
# third of such weights are larger.

draws = jax.random.normal(jax.random.key(3), (100_000,))
print(f"|w| > 1: {float(jnp.mean(jnp.abs(draws) > 1)):.3f} of them")
np.testing.assert_allclose(jnp.mean(jnp.abs(draws) > 1), 0.3173, atol=0.005)
