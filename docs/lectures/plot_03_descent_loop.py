"""
3 · The descent loop
====================

A start, a gradient, a step size, and a reason to stop: four decisions turn "go downhill" into a program. Each is made
here on functions small enough to be drawn.
"""

# %%
# The loop
# --------
#
# All of gradient descent is one assignment, repeated:
#
# .. formula::
#
#    x ← x − h ∇Φ(x)
#
# Our bowl is Φ = 9x₁² + x₂², whose gradient is (18x₁, 2x₂), and we begin at (1, 2). Written out, and as
# ``fg.minimize`` runs it, the loop visits the same points:

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

bowl, start = fg.problems.elliptic_bowl(), jnp.array([1.0, 2.0])

x, by_hand = np.array([1.0, 2.0]), [[1.0, 2.0]]
for _ in range(5):
    x = x - 0.1 * np.array([18 * x[0], 2 * x[1]])
    by_hand.append(x.tolist())

run = fg.minimize(bowl.fun, start, fg.gradient_descent(0.1), max_steps=5, record=True)
for k, point in enumerate(run.history["params"]):
    print(f"x{k} = ({point[0]:+.5f}, {point[1]:+.5f})   Φ = {run.history['value'][k]:.5f}")
np.testing.assert_allclose(run.history["params"], by_hand, rtol=1e-5)

# %%
# Step size
# ---------
#
# Along an axis with curvature λ one step multiplies x by 1 − hλ. The curvatures of this bowl are L = 18 and μ = 2, so
# three step sizes matter, and no other function is needed to understand them:
#
# - h < 2/L = 1/9: both factors are below 1 in size, and Φ falls at every step. Beyond it the first coordinate grows.
# - h = 1/L: the steep axis is done in one step, the flat one shrinks by 1 − 2/18 = 8/9 per step.
# - h = 2/(L + μ) = 1/10: both shrink by the same factor (κ − 1)/(κ + 1) = 8/10, the best that a constant can do. κ is
#   L/μ = 9, and here is why a large κ is slow.

rates = {"h = 1/20": 1 / 20, "h = 1/10": 1 / 10, "h = 0.115 > 1/9": 0.115}
runs = {
    name: fg.minimize(bowl.fun, start, fg.gradient_descent(h), max_steps=12, record=True) for name, h in rates.items()
}
for name, run in runs.items():
    print(f"{name:<16} Φ after 12 steps: {run.history['value'][-1]:.5f}")

distance = jnp.linalg.norm(runs["h = 1/10"].history["params"], axis=1)
np.testing.assert_allclose(distance[1:] / distance[:-1], 0.8, rtol=1e-5)
assert np.all(np.diff(runs["h = 1/20"].history["value"]) < 0)
assert runs["h = 0.115 > 1/9"].history["value"][-1] > 9 * 1.07**12

plots.contour(bowl.fun, (-4, 4), (-1, 2.5), paths=runs, minimizers=bowl.minimizers)

# %%
# A step size that finds itself
# -----------------------------
#
# L is rarely known. A line search tries a step and looks at what it brought. Backtracking shortens it until Φ has
# fallen by a fair share of what the slope had promised (Armijo's condition). On a quadratic the best step is known
# exactly, hᵏ = ‖g‖²/gᵀHg: the path then turns by a right angle each time, since at the best point along a line the new
# gradient has no part along it.

exact = fg.SteepestDescent(fg.ExactQuadratic())
searched = {
    "backtracking": fg.minimize(bowl.fun, start, fg.SteepestDescent(fg.Backtracking()), max_steps=12, record=True),
    "exact": fg.minimize(bowl.fun, start, exact, max_steps=12, record=True),
}
path = np.asarray(searched["exact"].history["params"], np.float64)
g = np.array([18.0, 4.0])
np.testing.assert_allclose(path[1], [1, 2] - (g @ g) / (g @ (np.array([18, 2]) * g)) * g, rtol=1e-5)
turns = np.sum(np.diff(path, axis=0)[1:6] * np.diff(path, axis=0)[:5], axis=1)
np.testing.assert_allclose(turns, 0, atol=1e-4)
assert all(np.all(np.diff(run.history["value"]) <= 0) for run in searched.values())

plots.contour(bowl.fun, (-1.5, 1.5), (-0.5, 2.2), paths=searched, minimizers=bowl.minimizers)

# %%
# In the worst case the exact search contracts Φ by ((κ − 1)/(κ + 1))² = 0.64 per step, which is what the best constant
# does: knowing L and μ is worth as much as searching. A method that learns the curvature from the gradients it has
# seen needs no such number, and on a quadratic comes to the end in a few steps. Its error falls faster than by any
# constant factor; that is what *superlinear* means.

bfgs = fg.minimize(bowl.fun, start, fg.BFGS(), max_steps=12, record=True)
values = np.asarray(bfgs.history["value"])
print("BFGS: Φ =", ", ".join(f"{v:.1e}" for v in values))
factors = values[1:] / values[:-1]  # they fall themselves
assert factors[8] < 1e-3 < factors[3] < 0.64
assert values[8] < 1e-9 < searched["exact"].history["value"][8]

# %%
# Where to start
# --------------
#
# Descent ends in the valley that it began in. This function has two of unequal depth:


def two_valleys(x):
    return (x[0] ** 2 - 1) ** 2 + x[1] ** 2 + 0.3 * x[0]


starts = {"from the right": jnp.array([0.4, 0.9]), "from the left": jnp.array([-0.3, 0.9])}
descents = {
    name: fg.minimize(two_valleys, x0, fg.gradient_descent(0.05), max_steps=80, record=True)
    for name, x0 in starts.items()
}
for name, run in descents.items():
    print(f"{name}: f = {run.value:.3f} at ({run.params[0]:+.3f}, {run.params[1]:+.3f})")

plots.contour(two_valleys, (-1.6, 1.6), (-1, 1.2), paths=descents)

# %%
# Nothing at a minimum tells whether a deeper one exists. The remedy is to start often. Under ``jax.vmap`` all starts
# are one compiled program, and the best end is kept:

many = jax.random.uniform(jax.random.key(0), (64, 2), minval=-1.5, maxval=1.5)
ends = jax.jit(jax.vmap(lambda x0: fg.minimize(two_valleys, x0, fg.gradient_descent(0.05), max_steps=200)))(many)
best = jnp.argmin(ends.value)
deep = ends.value < 0
where = ends.params[best][0]
print(f"{deep.sum()} of 64 starts end in the deeper valley, at ({where:.4f}, 0), f = {ends.value[best]:.4f}")
assert 16 < deep.sum() < 48
assert abs(4 * where**3 - 4 * where + 0.3) < 1e-4  # where the derivative is 0

# %%
# In a network there is a start that is worse than any valley: all weights zero. The units of a layer then receive the
# same gradient, stay alike for ever, and count as one. That is why weights start at random.

model = fg.multilayer_perceptron([2, 3, 1], "tanh")
xs = jax.random.normal(jax.random.key(1), (32, 2))
alike = jax.tree.map(lambda w: jnp.full_like(w, 0.1), model.init(jax.random.key(2)))


def loss(params):
    return fg.mean_squared_error(model.apply(params, xs)[:, 0], xs[:, 0] * xs[:, 1])


trained = fg.minimize(loss, alike, fg.gradient_descent(0.2), max_steps=50).params
print("hidden weights after 50 steps from equal ones:\n", trained[0]["w"])
np.testing.assert_allclose(trained[0]["w"], jnp.broadcast_to(trained[0]["w"][0], (3, 2)), rtol=1e-4)

# %%
# When to stop
# ------------
#
# A gradient close to 0, no progress, enough steps, no time left: stopping rules are values, combined by ``|`` and
# ``&``, and a run tells which one ended it.

rule = fg.stop.gradient_norm(1e-4) | fg.stop.wall_time(60)
run = fg.minimize(bowl.fun, start, fg.gradient_descent(0.1), max_steps=1000, stop=rule)
print(f"{run.reason.name} after {run.steps} steps, ‖∇Φ‖ = {jnp.linalg.norm(fg.gradient(bowl.fun, run.params)):.0e}")
assert run.reason is fg.StopReason.GRADIENT_NORM

few = fg.minimize(bowl.fun, start, fg.gradient_descent(0.1), max_steps=10, stop=rule)
assert few.reason is fg.StopReason.MAX_STEPS

# %%
# Data that the loss is *not* trained on gives one more reason. A model with more freedom than the data warrants first
# learns what is common to both, then the noise of the one: the validation loss falls and rises again. ``patience``
# stops a while after its lowest point, and what counts is the point of the lowest loss, ``run.best``, not the last.

noise, weights = jax.random.normal(jax.random.key(3), (60,)), jnp.zeros(30)
inputs = jax.random.normal(jax.random.key(4), (60, 30))
data = {"x": inputs, "y": inputs[:, :3].sum(axis=1) + noise}
train, validation = ({name: a[part] for name, a in data.items()} for part in (slice(0, 30), slice(30, 60)))


def error(w, batch):
    return fg.mean_squared_error(batch["x"] @ w, batch["y"])


stopped = fg.fit(
    error,
    weights,
    fg.gradient_descent(0.02),
    train,
    validation=validation,
    batch_size=30,
    epochs=200,
    stop=fg.stop.patience(20),
    key=jax.random.key(5),
    progress=False,
)
validated = stopped.history["validation"]
lowest = int(np.argmin(validated["loss"]))
print(
    f"{stopped.reason.name} after {stopped.steps} epochs; lowest in epoch {lowest + 1}: {validated['loss'][lowest]:.3f}"
)
assert stopped.reason is fg.StopReason.PATIENCE
assert stopped.steps == lowest + 21
np.testing.assert_allclose(error(stopped.best, validation), validated["loss"].min(), rtol=1e-5)
assert error(stopped.params, validation) > stopped.value

plots.learning_curves({"training": stopped.history["loss"], "validation": validated["loss"]}, log=False)

# %%
# Slips in the sources
# --------------------
#
# Nothing about descent asks for a loss that is at least 0: one that is bounded below will do, and ``two_valleys`` is
# negative where it is lowest.
