"""
10 · Forward against backward
=============================

A gradient of a million weights: a million passes forward, or one back. What each costs, counted and measured.
"""

# %%
# Three ways to one vector
# ------------------------
#
# A network of 10 inputs, 10 hidden units and one output has 110 weights without its biases. Its gradient can be had by
#
# - difference quotients: for each weight one more evaluation of the loss;
# - forward mode: for each weight one pass that carries along the derivative with respect to it;
# - backward mode: one evaluation, then one pass back, for all weights together.

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

sys.path.insert(0, str(Path(fg.__file__).parents[1] / "benchmarks"))  # in the repository they stand beside the package
from backprop_cost import measure, network

loss, params, data = network(width=10, batch=64)
backward = fg.gradient(loss, params, data)
forward = jax.jacfwd(loss)(params, data)
quotients = fg.difference_gradient(loss, params, data)
for name, g in (("forward", forward), ("quotients", quotients)):
    error = fg.tree.norm(fg.tree.sub(g, backward)) / fg.tree.norm(backward)
    print(f"{name:<10} differs from backward by {error:.0e}, in {fg.tree.size(params)} weights")
    assert error < 5e-3

# %%
# Counted
# -------
#
# Nearly all operations are the products with W. Evaluating the loss multiplies once with each W. The pass back
# multiplies twice: with δ for the error of the layer before (BP2), and δ with a for the gradient (BP3). The first
# layer needs no error of its input, so of L equal layers there are 3L − 1 products instead of L. A gradient costs two
# to three losses, *however many weights there are*. That is a theorem about all functions, the cheap gradient
# principle, with another constant for each kind of operation.


def operations(function, *arguments):
    """What the compiler counts."""
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


for hidden in (1, 3):
    case = network(100, 64, hidden)
    times = operations(jax.grad(case[0]), *case[1:]) / operations(*case)
    print(f"{hidden} hidden layer(s) of 100 units: a gradient takes {times:.2f} times the operations of the loss")
    assert abs(times - (3 - 1 / hidden)) < 0.2

# %%
# Measured
# --------
#
# Times on the machine that built this page, in multiples of one evaluation of the loss: those of one gradient, and
# those of one forward pass, which is for one weight. For all weights it is that times their number; nobody would wait
# for the real thing. (``benchmarks/backprop_cost.py`` does it with more care, and up to 10⁶ weights.)

costs = [measure(width, 64, turns=15, seconds=1e-4) for width in (10, 31, 100, 316)]
print(f"{'weights':>8}  {'one gradient':>13}  {'all forward passes':>19}  {'forward / backward':>19}")
for cost in costs:
    print(f"{cost.weights:>8}  {cost.gradient:>13.2f}  {cost.all_forward:>19.3g}  {cost.in_gradients[0]:>19.3g}")
assert all(cost.gradient < 10 for cost in costs)
assert costs[-1].in_gradients[0] > 100 * costs[0].in_gradients[0]

weights = np.array([cost.weights for cost in costs])
curves = {
    "a forward pass for each weight": np.array([cost.all_forward for cost in costs]),
    "a quotient for each weight": np.array([cost.all_quotients for cost in costs]),
    "one backward pass": np.array([cost.gradient for cost in costs]),
}
ax = plots.learning_curves(curves, weights, xlabel="weights")
ax.set(xscale="log", ylabel="evaluations of the loss")

# %%
# A million weights
# -----------------
#
# The lecture's sum is: a million differentiations take 116 days, one backward pass a second, so backward is 10⁷ times
# as fast. 116 days are 10⁷ seconds, so it counts 10 seconds for one differentiation, and one for all of them backward.
# But a forward pass is not dearer than a backward one. What is left is the number of weights, divided by what a
# gradient costs in forward passes:

ratio = costs[-1].gradient / costs[-1].forward
print(f"116 days are {116 * 24 * 3600:.1e} s; one gradient takes {ratio:.1f} forward passes,")
print(f"so at a million weights backward is about {1e6 / ratio:.0e} times as fast (extrapolated)")
assert 1e4 < 1e6 / ratio < 1e7

# %%
# Backward is not always the better one. It is for one output and many inputs, as losses are. The cost of a whole
# Jacobian is one forward pass per input or one backward pass per output, so ``fg.jacobian`` looks at both numbers. And
# backward has to keep what it needs on the way back, every z and a: it pays with memory, where forward needs none.

model = fg.multilayer_perceptron([64] * 33, ["tanh"] * 32)
many, inputs = model.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (256, 64))


def deep(params):
    return jnp.mean(model.apply(params, inputs) ** 2)


def slope(params):
    return jax.jvp(deep, (params,), (params,))[1]


memory = {
    name: jax.jit(function).lower(many).compile().memory_analysis().temp_size_in_bytes
    for name, function in (("forward", slope), ("backward", jax.grad(deep)))
}
print(
    {name: f"{size / 2**20:.2f} MiB" for name, size in memory.items()}, "aside, for 32 layers of 64 units, 256 examples"
)
assert memory["backward"] > 4 * memory["forward"]

# %%
# Slips in the sources
# --------------------
#
# The factor of 10⁷, as said above. What remains of it, some 10⁵ to 10⁶ at a million weights, is still the difference
# between a second and days.
