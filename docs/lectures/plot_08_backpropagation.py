"""
8 · Backpropagation on graphs and in layers
===========================================

The chain rule, applied from the end. Once on a function of three numbers, node by node; then on layers, where it takes
four equations.
"""

# %%
# A graph of operations
# ---------------------
#
# f = (x + y)z is an addition and a multiplication. Going forward, each node computes its value. Each also knows its
# *local gradients*, how its value changes with those it was given: 1 and 1 for a sum, the other factor for a product.
# Going back, each node takes the gradient of f with respect to itself, and hands on to every input that times the
# local gradient. Where several nodes use one value, what comes back to it adds up. At (−2, 5, −4):

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

graph = fg.computational_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
print(graph)
assert graph.value == -12
assert [float(g) for g in graph.gradient] == [-4, -4, 3]
plots.graph(graph)

# %%
# No formula for the derivative of the whole was ever written down. Any function that JAX can trace has such a graph: a
# sigmoid unit for instance, with a penalty on its weights. Two operations use w, and its gradient is a sum. Arrays are
# shown by their shape and norm:

x, w = jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0])
unit = fg.computational_graph(lambda w: 0.1 * (w @ w) + jax.nn.sigmoid(w @ x), w)
print(unit)
s = 1 / (1 + np.exp(1.5))
np.testing.assert_allclose(unit.gradient[0], s * (1 - s) * x + 0.2 * w, rtol=1e-5)
plots.graph(unit)

# %%
# One layer hidden
# ----------------
#
# The smallest network with something hidden: two inputs, three linear hidden units O = W¹x, one sigmoid output ŷ =
# σ(W²O), error ½(ŷ − y)². What reaches the output from behind is the same for all weights,
#
# .. formula::
#
#    δ² = (ŷ − y) ŷ(1 − ŷ),    ∂E/∂W²ⱼ = δ² Oⱼ,    ∂E/∂W¹ⱼᵢ = δ² W²ⱼ xᵢ
#
# and is computed once. That is the whole secret of the method: a sum over paths shares the paths' common ends.

model = fg.multilayer_perceptron([2, 3, 1], [None, "sigmoid"], bias=False)
W1, W2 = jnp.array([[0.1, -0.2], [0.4, 0.3], [-0.5, 0.2]]), jnp.array([[0.7, -0.3, 0.5]])
params, target = ({"w": W1}, {"w": W2}), jnp.array([1.0])
hidden = W1 @ x
output = jax.nn.sigmoid(W2 @ hidden)
delta = (output - target) * output * (1 - output)

backward = fg.backpropagate(model, params, x, target, fg.l2_loss)
print(f"ŷ = {output[0]:.4f}, δ² = {delta[0]:.5f}")
print("∂E/∂W² =", backward.gradient[1]["w"])
print(f"∂E/∂W¹ =\n{backward.gradient[0]['w']}")
np.testing.assert_allclose(backward.gradient[1]["w"], delta[:, None] * hidden, rtol=1e-5)
np.testing.assert_allclose(backward.gradient[0]["w"], delta * W2.T * x, rtol=1e-5)

# %%
# Any number of layers
# --------------------
#
# With zⁱ = Wⁱaⁱ⁻¹ + bⁱ, aⁱ = σ(zⁱ) and the errors δⁱ = ∂C/∂zⁱ, four equations do it for any depth:
#
# .. formula::
#
#    BP1   δᴹ = J(zᴹ)ᵀ ∇C                    the error of the output; J is ∂a/∂z
#    BP2   δⁱ = (Wⁱ⁺¹)ᵀδⁱ⁺¹ ⊙ σ′(zⁱ)         back by one layer
#    BP3   ∂C/∂Wⁱ = δⁱ (aⁱ⁻¹)ᵀ
#    BP4   ∂C/∂bⁱ = δⁱ
#
# Where each unit has its own z, J is diagonal and BP1 is ∇C ⊙ σ′(z). A softmax is not such a case. With the
# cross-entropy behind it, δᴹ is p − y. Four inputs, the layer of lecture 7 with its z = (−1, 24) scaled down, and
# three classes, in NumPy:


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


widths, kinds = [4, 2, 3, 3], ["sigmoid", "tanh", "softmax"]
network = fg.multilayer_perceptron(widths, kinds)
first = {"w": jnp.array([[1.0, 2, -1, -2], [3, 4, -3, 4]]) / 10, "b": jnp.array([5.0, 6]) / 10}
params = (first, *network.init(jax.random.key(0))[1:])
x, label = jnp.array([1.0, 2, 3, 4]), jnp.array([0.0, 1.0, 0.0])

(w1, b1), (w2, b2), (w3, b3) = ((np.float64(layer["w"]), np.float64(layer["b"])) for layer in params)
z1 = w1 @ x + b1
a1 = sigmoid(z1)
z2 = w2 @ a1 + b2
a2 = np.tanh(z2)
z3 = w3 @ a2 + b3
p = np.exp(z3) / np.exp(z3).sum()
d3 = p - label  # BP1
d2 = w3.T @ d3 * (1 - a2**2)  # BP2
d1 = w2.T @ d2 * a1 * (1 - a1)  # BP2
by_hand = [np.outer(d1, x), np.outer(d2, a1), np.outer(d3, a2)]  # BP3

backward = fg.backpropagate(network, params, x, label, lambda p, label: fg.cross_entropy(p, label))
np.testing.assert_allclose(backward.z[0], [-0.1, 2.4], rtol=1e-5)
for i, delta in enumerate((d1, d2, d3)):
    print(f"layer {i + 1}: a = {backward.a[i + 1].round(4)}, δ = {backward.delta[i].round(5)}")
    np.testing.assert_allclose(backward.delta[i], delta, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(backward.gradient[i]["w"], by_hand[i], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(backward.gradient[i]["b"], delta, rtol=1e-4, atol=1e-6)

# %%
# Batches, and what the machine does
# ----------------------------------
#
# Of a batch each example goes through by itself, and the gradients are averaged. An I–J–K network of sigmoid units,
# with the squares summed over outputs and averaged over N examples, has
#
# .. formula::
#
#    ∂E/∂wⱼₖ = (1/N) Σₙ 2(o − d) o(1 − o) yⱼ
#    ∂E/∂wᵢⱼ = (1/N) Σₙ Σₖ 2(o − d) o(1 − o) wⱼₖ y(1 − y) xᵢ     through the hidden layer
#
# ``jax.grad`` does the same with the graph of the whole program, layers or not, and to float precision the two agree:

model = fg.multilayer_perceptron([3, 4, 2], ["sigmoid", "sigmoid"], bias=False)
params, keys = model.init(jax.random.key(1)), jax.random.split(jax.random.key(2))
x, d = jax.random.normal(keys[0], (16, 3)), jax.random.uniform(keys[1], (16, 2))


def E(params):
    return jnp.mean(jnp.sum((model.apply(params, x) - d) ** 2, axis=1))


_, (_, y, o) = model.forward(params, x)
error = 2 * (o - d) * o * (1 - o)
inner = error @ params[1]["w"] * y * (1 - y)
backward = fg.backpropagate(model, params, x, d, fg.squared_error)
for layer, formula, automatic in zip(
    backward.gradient, (inner.T @ x / 16, error.T @ y / 16), jax.grad(E)(params), strict=True
):
    np.testing.assert_allclose(layer["w"], formula, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer["w"], automatic["w"], rtol=1e-4, atol=1e-6)
norms = {f"layer {i + 1}": float(jnp.linalg.norm(layer["w"])) for i, layer in enumerate(backward.gradient)}
print("‖∂E/∂W‖:", {name: round(norm, 5) for name, norm in norms.items()})

# %%
# Slips in the sources
# --------------------
#
# One course has ∂E/∂b = 1 for both biases, and leaves b out of the way forward; it is the δ of the layer, BP4. In
# another the rule for the hidden layer has ∂o/∂w₁₁ of the *outer* weight as a factor where ∂o/∂y₁ belongs. A third
# gives the input the layer number 1, a^{x,1}; it is a^{x,0}, and its batch loss is averaged in BP3 and summed
# elsewhere.

bias = fg.multilayer_perceptron([2, 1], ["sigmoid"])
layer = ({"w": jnp.array([[0.5, -1.0]]), "b": jnp.array([0.3])},)
found = fg.backpropagate(bias, layer, jnp.array([1.0, 2.0]), jnp.array([1.0]), fg.l2_loss)
s = sigmoid(-1.2)
print(f"∂E/∂b = {found.gradient[0]['b'][0]:.4f}, not 1")
np.testing.assert_allclose(found.gradient[0]["b"], [-(1 - s) * s * (1 - s)], rtol=1e-5)
