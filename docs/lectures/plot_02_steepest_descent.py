"""
2 · Steepest descent
====================

Step by step against the gradient. With steps of a chosen length one can follow by hand; with steps that shrink to
nothing the path becomes a flow, of which gradient descent is a coarse copy.
"""

# %%
# Steps of one length
# -------------------
#
# Take the direction alone, −∇f/‖∇f‖, and go the length α in it:
#
# .. formula::
#
#    x ← x − α ∇f(x) / ‖∇f(x)‖
#
# On f = x² from 2 with α = ½ the points are 3/2, 1, ½ and 0. There the gradient is 0 and has no direction, so the next
# step is 0 as well. Dividing 0 by 0 would have been the end of the run:

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

np.set_printoptions(precision=4, suppress=True)

run = fg.minimize(lambda x: x**2, 2.0, fg.normalized_gradient_descent(0.5), max_steps=6, record=True)
print(run.history["params"])
assert run.history["params"].tolist() == [2, 3 / 2, 1, 1 / 2, 0, 0, 0]

# %%
# In the plane, f = x₁²/16 + x₂² from (2, ¼) with α = √5/4. The gradient (¼, ½) has just that length, so the first step
# is the gradient itself and ends at (7/4, −¼), on the other side of the valley:


def valley(x):
    return x[0] ** 2 / 16 + x[1] ** 2


start, alpha = jnp.array([2.0, 0.25]), 5**0.5 / 4
run = fg.minimize(valley, start, fg.normalized_gradient_descent(alpha), max_steps=16, record=True)
points = run.history["params"]
print(f"x₁ = {points[1]}, ∇f(x₁) = {fg.gradient(valley, points[1])}")
np.testing.assert_allclose(points[1], [7 / 4, -1 / 4], rtol=1e-6)
np.testing.assert_allclose(fg.gradient(valley, points[1]), [7 / 32, -1 / 2], rtol=1e-6)

# %%
# The length stays when it should not: every step is √5/4 = 0.56 long, close to the minimum, too, and the points go to
# and fro across it for ever. Plain gradient descent multiplies by the gradient instead, so its steps shrink by
# themselves. Or the length falls with a schedule, though not so fast that the path ends before the minimum does.

falling = fg.normalized_gradient_descent(fg.exponential_decay(alpha, transition_steps=1, decay_rate=0.8))
runs = {
    "length √5/4": run,
    "length √5/4 · 0.8ᵏ": fg.minimize(valley, start, falling, max_steps=16, record=True),
    "plain, learning rate 0.9": fg.minimize(valley, start, fg.gradient_descent(0.9), max_steps=16, record=True),
}
lengths = {
    name: np.linalg.norm(np.diff(np.asarray(run.history["params"]), axis=0), axis=1) for name, run in runs.items()
}
for name, run in runs.items():
    print(f"{name:<25} last step {lengths[name][-1]:.3f}, f = {run.history['value'][-1]:.4f}")
np.testing.assert_allclose(lengths["length √5/4"], alpha, rtol=1e-5)
assert runs["length √5/4"].history["value"][-4:].max() > 0.05
assert all(lengths[name][-1] < 0.05 for name in list(runs)[1:])

plots.contour(valley, (-0.7, 2.4), (-0.8, 0.8), paths=runs, minimizers=[0.0, 0.0])

# %%
# The scale of f
# --------------
#
# Multiply f by 1000. Directions stay, so steps of a chosen length do, too; plain steps become 1000 times as long, and
# the run is lost. The unit tells: α has that of x, a learning rate has that of x² divided by that of f.

scaled = fg.minimize(lambda x: 1000 * valley(x), start, fg.normalized_gradient_descent(alpha), max_steps=5, record=True)
np.testing.assert_allclose(scaled.history["params"], points[:6], atol=1e-5)
lost = fg.minimize(lambda x: 1000 * valley(x), start, fg.gradient_descent(0.9), max_steps=100)
print("plain descent on 1000·f:", lost.reason.name)
assert lost.reason is fg.StopReason.NON_FINITE

# %%
# The flow
# --------
#
# Let the steps become small and many. In the limit the path is a curve whose velocity is −∇Φ everywhere:
#
# .. formula::
#
#    dγ/dt = −∇Φ(γ)
#
# For Φ = 9x₁² + x₂² each coordinate decays by itself, γ(t) = (x₁e⁻¹⁸ᵗ, x₂e⁻²ᵗ). A step of gradient descent with the
# learning rate h follows the velocity for a time h, as if it stayed the same: that is Euler's method, and the path of
# gradient descent is what it makes of the flow.

bowl, x0, T = fg.problems.elliptic_bowl(), jnp.array([1.0, 2.0]), 0.5
end = np.array([np.exp(-18 * T), 2 * np.exp(-2 * T)])

descent = fg.minimize(bowl.fun, x0, fg.gradient_descent(T / 10), max_steps=10, record=True)
euler = fg.gradient_flow(bowl.fun, x0, T, 10, method="euler")
np.testing.assert_allclose(descent.history["params"], euler, rtol=1e-5, atol=1e-6)

paths = {
    "flow": fg.gradient_flow(bowl.fun, x0, T, 200),
    "descent, h = 1/20": euler,
    "descent, h = 1/11": fg.gradient_flow(bowl.fun, x0, 6 / 11, 6, method="euler"),
}
plots.contour(bowl.fun, (-1, 1.5), (0, 2.2), paths=paths)

# %%
# Halve h, with twice the steps, and the distance to the flow at the time ½ halves: the error is of first order in h. A
# method that looks at four gradients per step, as Runge and Kutta's, has an error that falls sixteenfold, until it
# meets rounding.

print("   h     descent   ratio   Runge–Kutta")
previous = None
for n in (20, 40, 80, 160, 320):
    error = np.linalg.norm(fg.gradient_flow(bowl.fun, x0, T, n, method="euler")[-1] - end)
    higher = np.linalg.norm(fg.gradient_flow(bowl.fun, x0, T, n)[-1] - end)
    ratio = previous / error if previous else float("nan")
    print(f"{T / n:.5f}  {error:.2e}  {ratio:6.3f}  {higher:.1e}")
    previous = error
assert 1.9 < ratio < 2.1

# %%
# Nor need one follow the flow closely. Five steps with h = 1/10 also take the time ½. They jump across the valley, far
# from the flow, and end no farther from the minimum: at √5 · 0.8⁵ = 0.733, against 0.736.

near = fg.minimize(bowl.fun, x0, fg.gradient_descent(0.1), max_steps=5, record=True)
np.testing.assert_allclose(np.linalg.norm(near.params), 5**0.5 * 0.8**5, rtol=1e-4)
assert np.linalg.norm(near.params) < np.linalg.norm(end)
distance = jax.vmap(jnp.linalg.norm)(near.history["params"])
print("distance to the minimum:", distance.round(3), f"; the flow at ½: {np.linalg.norm(end):.3f}")
