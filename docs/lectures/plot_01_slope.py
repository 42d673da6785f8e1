"""
1 · Slope, gradient, level sets
===============================

How fast does a function change, and in which direction fastest? From the secant of a parabola to the right angle
between the gradient and the curve on which nothing changes.
"""

# %%
# From secants to the slope
# -------------------------
#
# The slope of x² between a and a + h is (2ah + h²)/h = 2a + h, and for h → 0 it is 2a. ``fg.difference_quotient``
# takes that of any function, forward as here, or with h to both sides, where the error of a parabola cancels
# altogether:

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

for h in (1.0, 0.5, 0.25, 0.125):
    forward = fg.difference_quotient(lambda x: x**2, 3.0, 1.0, scheme="forward", step=h)
    central = fg.difference_quotient(lambda x: x**2, 3.0, 1.0, scheme="central", step=h)
    print(f"h = {h:<5}  forward {forward:.4f}  central {central:.4f}")
    assert (forward, central) == (6.0 + h, 6.0)

# %%
# Smaller is not always better: f(a + h) and f(a) agree in more and more digits, and their difference is made of those
# that are left. In single precision, which has 7 digits, the forward quotient of eˣ at 1 is best for h near 0.0003,
# the central one near 0.005. Those are the steps that are taken if none is given. Derivatives by the rules of
# calculus, which is what ``fg.gradient`` computes, have no h at all.

steps = jnp.logspace(-6, 0, 49)


def errors(scheme):
    return jax.vmap(lambda h: jnp.abs(fg.difference_quotient(jnp.exp, 1.0, 1.0, scheme=scheme, step=h) - jnp.e))(steps)


found = {scheme: np.maximum(errors(scheme), 1e-8) for scheme in ("forward", "central")}
for scheme, best in (("forward", 3e-4), ("central", 5e-3)):
    assert best / 10 < steps[np.argmin(found[scheme])] < 10 * best
ax = plots.learning_curves(found, steps, xlabel="step h")
ax.set(xscale="log", ylabel="error of the difference quotient")

# %%
# Rules
# -----
#
# Functions are made of functions. The chain rule multiplies the slopes of the parts: x⁴ is the square of a square, so
# its slope is 2x² · 2x = 4x³. A function of several variables has a slope in each, its partial derivatives, and their
# vector is the gradient. A function with several values has one gradient for each: the rows of its Jacobian.

x = jnp.array([1.0, 3.0])
assert fg.gradient(lambda x: (x**2) ** 2, 1.5) == 4 * 1.5**3
print("∇(x² + xy + y²) at (1, 3) = (2x + y, x + 2y) =", fg.gradient(lambda v: v[0] ** 2 + v[0] * v[1] + v[1] ** 2, x))
assert fg.gradient(lambda v: v[0] ** 2 + v[0] * v[1] + v[1] ** 2, x).tolist() == [5, 7]


def polar(v):
    return jnp.array([v[0] * jnp.cos(v[1]), v[0] * jnp.sin(v[1])])


J = fg.jacobian(polar, jnp.array([2.0, jnp.pi / 2]))
print("the Jacobian of polar coordinates at r = 2, φ = 90°:\n", J.round(5))
np.testing.assert_allclose(J, [[0, -2], [1, 0]], atol=1e-6)

# %%
# Tensors are no different: number their entries, and it is the chain rule for vectors. Where D = XW feeds a loss L,
# the sum over the entries of D leaves ∂L/∂W = Xᵀ ∂L/∂D, whatever L is:

X, W = jax.random.normal(jax.random.key(0), (4, 3)), jax.random.normal(jax.random.key(1), (3, 2))
upstream = fg.gradient(lambda D: jnp.sum(jnp.sin(D)), X @ W)
by_rule = fg.gradient(lambda W: jnp.sum(jnp.sin(X @ W)), W)
np.testing.assert_allclose(by_rule, X.T @ upstream, rtol=1e-5, atol=1e-6)

# %%
# The same once more gives the Hessian, the matrix of second derivatives. It does not matter in which order one takes
# them, so it is symmetric:

H = fg.hessian(lambda v: v[0] ** 2 * v[1] + v[1] ** 3, x)
print("∇²(x²y + y³) at (1, 3):\n", H)
assert H.tolist() == [[2 * 3, 2 * 1], [2 * 1, 6 * 3]]

# %%
# Slopes along a direction
# ------------------------
#
# On a hill one may walk in any direction. The slope along a direction p of length 1 is the limit of (f(x + tp) −
# f(x))/t, and by the chain rule it is ∇f·p = ‖∇f‖ cos θ, with the angle θ between the two. The hill here is Φ = 9x₁² +
# x₂²; at (1, 2) its gradient is (18, 4), and along (√3/2, ½) it rises by 9√3 + 2:


def phi(x):
    return 9 * x[0] ** 2 + x[1] ** 2


x, u = jnp.array([1.0, 2.0]), jnp.array([jnp.sqrt(3.0) / 2, 1 / 2])
g = fg.gradient(phi, x)
slope = fg.directional_derivative(phi, x, u)
print(f"∇Φ = {g}, slope {slope:.4f} = 9√3 + 2")
assert g.tolist() == [18, 4]
np.testing.assert_allclose(slope, 9 * np.sqrt(3) + 2, rtol=1e-6)
np.testing.assert_allclose(slope, fg.difference_quotient(phi, x, u), rtol=1e-3)
np.testing.assert_allclose(fg.directional_derivative(phi, x, 7 * u), slope, rtol=1e-6)  # normalised: per unit of length

# %%
# The cosine is largest for θ = 0. So no direction rises faster than the gradient, by ‖∇Φ‖ = √340, none falls faster
# than its opposite, and across it nothing changes. Turn around once, and see:

angles = jnp.linspace(0, 2 * jnp.pi, 181)
slopes = jax.vmap(lambda a: fg.directional_derivative(phi, x, jnp.stack([jnp.cos(a), jnp.sin(a)])))(angles)
steepest = np.degrees(angles[np.argmax(slopes)])
print(
    f"largest slope {slopes.max():.3f} at {steepest:.0f}°; the gradient points to {np.degrees(np.arctan2(4, 18)):.1f}°"
)
np.testing.assert_allclose(slopes.max(), np.sqrt(340), rtol=1e-3)
np.testing.assert_allclose(fg.directional_derivative(phi, x, -g), -np.sqrt(340), rtol=1e-6)
ax = plots.learning_curves(
    {"slope of Φ at (1, 2)": slopes}, np.degrees(angles), log=False, xlabel="direction (degrees)"
)
ax.axhline(0, color="0.7", linewidth=0.8)
ax.set(ylabel="slope", xticks=range(0, 361, 45))

# %%
# Level sets
# ----------
#
# The points where Φ has the value C form an ellipse with the semi-axes √C/3 and √C. Walking along it, Φ stays the
# same: its slope along the tangent is 0. So the tangent and the gradient form a right angle, everywhere, and steepest
# descent crosses the curves of a map at right angles.

tangent = fg.level_set_tangent(phi, x)
print(f"tangent {tangent}, tangent · gradient = {tangent @ g:.1e}")
np.testing.assert_allclose(tangent, np.array([-4, 18]) / np.sqrt(340), rtol=1e-6)
np.testing.assert_allclose(tangent @ g, 0, atol=1e-5)
for axis in (np.sqrt(13) / 3 * np.array([1, 0]), np.sqrt(13) * np.array([0, 1])):  # C = Φ(1, 2) = 13
    np.testing.assert_allclose(phi(axis), 13)

plots.level_curves(phi, x, (-3, 4), (-4, 4))

# %%
# Slips in the sources
# --------------------
#
# One course prints the steepest decrease at (1, 2) as −(18, 2); it is −(18, 4). It calls √C/3 and √C the widths of the
# ellipse, which are twice that. Another has ∂L/∂Dᵢⱼ in the last line of the rule for D = XW, where only the column of
# the weight counts: it is ∂L/∂Dᵢᵥ. A third says that the slope stands perpendicular to the tangent, but the slope *is*
# that of the tangent; it is the gradient that is perpendicular, to the level set.
