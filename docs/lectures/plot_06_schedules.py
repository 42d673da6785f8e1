"""
6 · Schedules
=============

Long steps to get near, short ones to arrive. A schedule is a learning rate that knows the time; one rule that looks at
the loss instead closes the lecture.
"""

# %%
# Functions of the step
# ---------------------
#
# Decay comes in a few shapes, each with a closed form: down a staircase, by the same factor over and over, along a
# straight line, or along half a wave of the cosine. A schedule is a value that may be called with a step, so the forms
# can be compared number by number:

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

T, steps = 100, np.arange(120)
decays = {
    "piecewise constant": (
        fg.piecewise_constant_schedule(1.0, {40: 0.1, 80: 0.1}),
        lambda t: 1.0 if t < 40 else 0.1 if t < 80 else 0.01,
    ),
    "exponential": (fg.exponential_decay(1.0, transition_steps=20, decay_rate=0.5), lambda t: 0.5 ** (t / 20)),
    "linear": (fg.linear_schedule(1.0, 0.0, T), lambda t: max(0.0, 1 - t / T)),
    "cosine": (fg.cosine_decay_schedule(1.0, T), lambda t: 0.5 * (1 + np.cos(np.pi * min(t, T) / T))),
}
for name, (schedule, closed) in decays.items():
    np.testing.assert_allclose(jax.vmap(schedule)(steps), [closed(t) for t in steps], rtol=1e-5, atol=1e-6)
    print(f"{name:<19}" + "".join(f"{schedule(t):8.3f}" for t in (0, 20, 40, 60, 80, 100)))

plots.schedules({name: schedule for name, (schedule, _) in decays.items()}, 120)

# %%
# Why fall at all
# ---------------
#
# Lecture 4 ended in a cloud: with noise, a constant rate η keeps the weights moving about the minimum, at a distance
# whose square is in proportion to η. A small rate has a small cloud, and takes long to get there. A falling one has
# the best of both. Here the gradient of ½‖θ‖² comes with noise of the same size at each step, and fifty runs are
# averaged:

R = 50
noise = jax.random.normal(jax.random.key(0), (600, R, 10))


def loss(theta, n):
    return 0.5 * jnp.sum(theta**2) + jnp.sum(n * theta)


def distances(rate):
    """E‖θ‖² over the runs, at each of 600 steps."""
    tx = fg.gradient_descent(rate)

    def one(n):
        def step(carry, n):
            theta, state = carry
            updates, state = tx.update(jax.grad(loss)(theta, n), state)
            return (theta + updates, state), jnp.sum(theta**2)

        theta = jnp.full(10, 30.0)
        return jax.lax.scan(step, (theta, tx.init(theta)), n)[1]

    return jax.vmap(one, in_axes=1)(noise)


curves = {
    "0.1": distances(0.1),
    "0.01": distances(0.01),
    "0.1, falling to 0.001": distances(fg.cosine_decay_schedule(0.1, 600, alpha=0.01)),
}
for name, d in curves.items():
    print(f"learning rate {name:<22} E‖θ‖² at the end {d[:, -50:].mean():.4f}")
np.testing.assert_allclose(curves["0.1"][:, -200:].mean(), 10 * 0.1 / (2 - 0.1), rtol=0.05)  # nη/(2 − η) by theory
assert curves["0.1, falling to 0.001"][:, -1].mean() < 0.1 * curves["0.1"][:, -200:].mean()

plots.learning_curves(curves, np.arange(600), xlabel="step").set(ylabel="squared distance to the minimum")

# %%
# Up and down
# -----------
#
# A rate may rise, too. Cycles between a low and a high rate shake the weights out of narrow valleys and let them
# settle in between, with another rate on each batch. Smith's are triangles; in his second form the height halves with
# each cycle, in the third it decays with each step:
#
# .. formula::
#
#    w(t) = 1 − |t/s − 2c − 1|,   c = ⌊t/2s⌋           a cycle takes 2s steps
#
#    triangular    a + (b − a) w(t)
#    triangular2   a + (b − a) w(t) / 2ᶜ
#    exp_range     a + (b − a) w(t) γᵗ

a, b, s, gamma = 0.1, 1.0, 25, 0.985
cycles = {
    "triangular": (fg.triangular_schedule(a, b, s), lambda c, t: 1),
    "triangular2": (fg.triangular2_schedule(a, b, s), lambda c, t: 0.5**c),
    "exp_range": (fg.exp_range_schedule(a, b, s, gamma), lambda c, t: gamma**t),
}
time = np.arange(201)
cycle = np.floor(time / (2 * s))
wave = 1 - np.abs(time / s - 2 * cycle - 1)
for name, (schedule, height) in cycles.items():
    expected = a + (b - a) * wave * [height(c, t) for c, t in zip(cycle, time, strict=True)]
    np.testing.assert_allclose(jax.vmap(schedule)(time), expected, rtol=1e-4)
    print(f"{name:<12} feet {[round(float(schedule(t)), 3) for t in (0, 50, 100)]}, ", end="")
    print(f"peaks {[round(float(schedule(t)), 3) for t in (25, 75, 125)]}")

plots.schedules({name: schedule for name, (schedule, _) in cycles.items()}, 201)

# %%
# When nothing improves any more
# ------------------------------
#
# Schedules look at the clock. One may look at the loss instead: if it has not improved, by more than some tolerance,
# for k values in a row, divide the rate by 10. That depends on more than the step, so it is no schedule. It is a
# transform with a state, fed with the value of the loss: what it has seen as the best, and how long ago. ``v`` below
# is the mean of 20 losses, in the place of an epoch.

plateau = fg.reduce_on_plateau(factor=0.1, patience=5, rtol=0.01, accumulation_size=20)
tx = fg.chain(fg.gradient_descent(0.1), plateau)


def step(carry, n):
    theta, state = carry
    value = 0.5 * jnp.sum(theta**2)
    updates, state = tx.update(jax.grad(loss)(theta, n), state, value=value)
    return (theta + updates, state), (value, fg.tree.get(state, "scale"))


theta = jnp.full(10, 30.0)
values, scales = jax.lax.scan(step, (theta, tx.init(theta)), noise[:, 0])[1]

by_hand, best, since, scale = [], np.inf, 0, 1.0
for v in np.asarray(values, np.float64).reshape(-1, 20).mean(axis=1):
    improved = v < best - 0.01 * abs(best) if np.isfinite(best) else True
    best, since = (v, 0) if improved else (best, since + 1)
    if since == 5:
        scale, since = 0.1 * scale, 0
    by_hand.append(scale)
np.testing.assert_allclose(scales[19::20], by_hand, rtol=1e-5)
assert scales[-1] < 1
drops = np.flatnonzero(np.diff(scales) < 0) + 1
print("the rate is divided by 10 after the steps", drops)

shown = {"loss": values, "learning rate": 0.1 * scales}
plots.learning_curves(shown, np.arange(600), xlabel="step").set(ylabel="")
