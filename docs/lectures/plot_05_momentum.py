"""
5 · Momentum and friends
========================

Plain descent knows one gradient and one learning rate. What it could know besides is where it has been going, and how
large each coordinate's gradients usually are.
"""

# %%
# A leaky sum
# -----------
#
# A ball that rolls downhill keeps most of its speed. So let v be the sum of all gradients so far in which older ones
# fade, by a factor β for every step, 0.9 for instance:
#
# .. formula::
#
#    v ← βv + g,    θ ← θ − ηv        a leaky sum
#    V ← βV − ηg,   θ ← θ + V         a velocity
#
# The courses have both. As long as η stays the same so do the paths, with V = −ηv; if η falls, they part. The leaky
# sum multiplies all that it remembers by the new η at once, the velocity keeps what it has and lets it fade.

import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

np.set_printoptions(precision=4, suppress=True)


def by_hand(rates, velocity, theta=2.0, beta=0.9):
    """θ after each step on f = θ²."""
    v, path = 0.0, []
    for eta in rates:
        if velocity:
            v = beta * v - eta * 2 * theta
            theta += v
        else:
            v = beta * v + 2 * theta
            theta -= eta * v
        path.append(theta)
    return path


def by_library(rate, velocity):
    tx = fg.sgd(rate, momentum=0.9, velocity=velocity)
    return fg.minimize(lambda x: x**2, 2.0, tx, max_steps=6, record=True).history["params"][1:]


constant, falling = [0.1] * 6, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01]
schedule = fg.piecewise_constant_schedule(0.1, {3: 0.1})
for name, rates, rate in (("constant η", constant, 0.1), ("η falls to a tenth", falling, schedule)):
    for velocity in (False, True):
        path = by_library(rate, velocity)
        print(f"{name:<18} {'velocity' if velocity else 'leaky sum':<9}", np.round(path, 4))
        np.testing.assert_allclose(path, by_hand(rates, velocity), rtol=1e-5)
np.testing.assert_allclose(by_hand(constant, True), by_hand(constant, False))
assert not np.allclose(by_hand(falling, True), by_hand(falling, False), rtol=0.1)

# %%
# A run of equal gradients adds up to v = g/(1 − β): ten times the gradient for β = 0.9. In a long valley that is the
# point. Across it gradients change sign and cancel, along it they add up.
#
# How much faster
# ---------------
#
# On a quadratic with curvatures between μ and L, and κ = L/μ, the best constant η lets descent come closer to the
# minimum by (κ − 1)/(κ + 1) per step. With the best η and β momentum comes closer by (√κ − 1)/(√κ + 1). The root makes
# the difference: for κ = 100 that is 0.980 against 0.818, or 345 steps against 34 for three digits.

bowl = fg.problems.quadratic(kappa=100)
L, mu = bowl.smoothness, bowl.convexity
root = np.sqrt(bowl.kappa)
beta = ((root - 1) / (root + 1)) ** 2
txs = {
    "gradient descent": fg.gradient_descent(2 / (L + mu)),
    "momentum": fg.sgd(4 / (np.sqrt(L) + np.sqrt(mu)) ** 2, momentum=beta),
    "Nesterov": fg.sgd(1 / L, momentum=(root - 1) / (root + 1), nesterov=True),
}
runs = {name: fg.minimize(bowl.fun, jnp.float32(bowl.x0), tx, max_steps=100, record=True) for name, tx in txs.items()}
distances = {name: np.linalg.norm(run.history["params"], axis=1) for name, run in runs.items()}
for name, d in distances.items():
    print(f"{name:<17} distance after 100 steps {d[-1]:.1e}, per step {(d[100] / d[50]) ** (1 / 50):.3f}")
np.testing.assert_allclose(distances["gradient descent"][1:] / distances["gradient descent"][:-1], 99 / 101, rtol=1e-4)
assert abs((distances["momentum"][100] / distances["momentum"][50]) ** (1 / 50) - 9 / 11) < 0.02

ax = plots.learning_curves(distances, np.arange(101), xlabel="step")
ax.set(ylabel="distance to the minimum, κ = 100")

# %%
# That one step of momentum can increase the distance is no fault. Its step is a linear map of (θ, v), and it is the
# spectral radius of this map that is √β = 9/11; powers of such a map may grow before they shrink.


best = txs["momentum"]


def step(pair, curvature):
    theta, v = pair
    v = best.momentum * v + curvature * theta
    return jnp.array([theta - best.learning_rate * v, v])


for curvature in (mu, L):
    radius = np.abs(np.linalg.eigvals(np.asarray(fg.jacobian(step, jnp.zeros(2), curvature), np.float64))).max()
    np.testing.assert_allclose(radius, 9 / 11, rtol=1e-3)

# %%
# For κ = 10 the paths can be seen. Descent goes to and fro across the valley, with a step that the steep direction
# dictates; momentum has the longer strides along it.

wide = fg.problems.quadratic(kappa=10)
root = np.sqrt(10)
txs = {
    "gradient descent": fg.gradient_descent(2 / 11),
    "momentum": fg.sgd(4 / (root + 1) ** 2, momentum=((root - 1) / (root + 1)) ** 2),
}
paths = {name: fg.minimize(wide.fun, jnp.ones(2), tx, max_steps=12, record=True) for name, tx in txs.items()}
plots.contour(wide.fun, (-0.5, 1.3), (-1.1, 1.1), paths=paths, minimizers=wide.minimizers)

# %%
# A rate for each coordinate
# --------------------------
#
# The other family divides each coordinate's step by the size of its gradients, √s, and differs in how s is kept:
#
# .. formula::
#
#    Adagrad   s ← s + g²                   θ ← θ − ηg/√s      a sum: steps fall like 1/√t
#    RMSProp   s ← βs + (1 − β)g²           θ ← θ − ηg/√s      a running mean: it forgets
#    Adam      m ← β₁m + (1 − β₁)g          θ ← θ − ηm̂/√ŝ      RMSProp with momentum, and
#              s ← β₂s + (1 − β₂)g²                            m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ)
#
# Both means begin at 0, and early on they are too small. Dividing by 1 − βᵗ, the sum of the weights so far, mends
# that. Each formula in NumPy against the library, with gradients drawn at random:

gradients = np.random.default_rng(0).standard_normal((8, 3))


def adagrad(t, g, s, m):
    s = s + g**2
    return 0.1 * g / np.sqrt(s + 1e-7), s, m


def rmsprop(t, g, s, m):
    s = 0.9 * s + 0.1 * g**2
    return 0.1 * g / (np.sqrt(s) + 1e-8), s, m


def adam(t, g, s, m):
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
    return 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), s, m


for rule, tx, s in ((adagrad, fg.adagrad(0.1), 0.1), (rmsprop, fg.rmsprop(0.1), 0.0), (adam, fg.adam(0.1), 0.0)):
    state, m = tx.init(jnp.zeros(3)), 0.0
    for t, g in enumerate(gradients, start=1):
        expected, s, m = rule(t, g, s, m)
        updates, state = tx.update(jnp.float32(g), state)
        np.testing.assert_allclose(updates, -expected, rtol=2e-4, atol=1e-6)
    print(f"{rule.__name__:<8} last step {updates}")

# %%
# The gradient's size cancels: multiply the loss by 1000, and their steps are what they were. That is why one Adam
# setting serves for many problems, where plain descent must be tuned for each. It is also why they do not come to rest
# by themselves, and want a learning rate that falls.

for tx in (fg.adam(0.1), fg.rmsprop(0.1)):
    ends = [fg.minimize(lambda x, c=c: c * bowl.fun(x), jnp.ones(2), tx, max_steps=20).params for c in (1.0, 1000.0)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3, atol=1e-5)

# %%
# A race
# ------
#
# Beale's function has a long flat valley behind steep walls. All start at (1, 1.2), each with a rate that suits it:

beale, start = fg.problems.beale(), jnp.array([1.0, 1.2])
racers = {
    "gradient descent": fg.gradient_descent(0.01),
    "momentum": fg.sgd(0.01, momentum=0.9),
    "Adagrad": fg.adagrad(0.4),
    "RMSProp": fg.rmsprop(0.02),
    "Adam": fg.adam(0.1),
}
paths = {name: fg.minimize(beale.fun, start, tx, max_steps=150, record=True) for name, tx in racers.items()}
for name, run in paths.items():
    distance = np.linalg.norm(run.params - jnp.array([3.0, 0.5]))
    print(f"{name:<17} f = {run.history['value'][-1]:.1e}, {distance:.2f} from the minimum")
assert paths["momentum"].value < 0.01 * paths["gradient descent"].value

animation = Path(tempfile.mkdtemp()) / "race.gif"
plots.race(beale.fun, paths, (0, 4), (-1.5, 1.7), animation, minimizers=beale.minimizers, log=True, frames=40)
