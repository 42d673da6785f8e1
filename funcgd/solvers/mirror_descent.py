"""Mirror descent with the entropy: exponentiated gradients on the simplex and the positive numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import number, static
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.projections.boxes import projection_non_negative
from funcgd.projections.simplex import projection_simplex
from funcgd.solvers import composite
from funcgd.solvers.composite import Comparison, Smooth
from funcgd.solvers.proximal_method import ProximalMethod, ProximalState

INWARD = 0.01  # the weight of the centre in a start that had to be moved
LINEAR = 1e-3  # below this relative change a divergence is summed by its series


@value
class MirrorDescent(ProximalMethod):
    """Minimise over the simplex, or the positive numbers, by steps that multiply: exponentiated gradients.

        x_{k+1} ∝ x_k exp(−η ∇f(x_k)), entry by entry; on the simplex with sum s, over all leaves together

    It is the proximal gradient method with the divergence D(z, x) = Σ zᵢ log(zᵢ/xᵢ) − zᵢ + xᵢ in place of ½‖z − x‖².
    Without `step_size`, η is the inverse curvature along the last step, and shrinks until
    f(z) ≤ f(x) + ⟨∇f(x), z − x⟩ + D(z, x)/η; so no step goes up, and for convex f that is L-smooth with respect to the
    1-norm f(x_k) − f* = O(L D(x*, x₀)/k), where D grows only like log n on the simplex. Entries never become 0, and
    those that are 0 stay so: a start must be positive, and is moved to P(x₀) plus a hundredth of the centre, if it is
    not.

    `minimize` reports (x − P(x − ζ∇f(x)))/ζ in place of the gradient, P being the Euclidean projection, ζ = η mean(x).

    Args:
        geometry: "simplex", or "positive" for all positive numbers.
        step_size: η, 1/[gradient], so that η∇f is a logarithm; None finds it at each step.
        scale: s > 0, the sum on the simplex, [param].

    Raises:
        TypeError: if x is complex.

    Order: 1/k. Cost: one evaluation for each trial, one to two for each step. Memory: three times that of x.

    Reference: Nemirovsky, Yudin, Problem complexity and method efficiency in optimization, 1983; Beck, Teboulle, Mirror
    descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003; Kivinen, Warmuth, Exponentiated
    gradient versus gradient descent for linear predictors, Inf. Comput. 132, 1997.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda p: jnp.sum((p - jnp.array([0.5, 0.3, 0.2])) ** 2)
    >>> run = fg.minimize(f, jnp.ones(3) / 3, fg.MirrorDescent(), max_steps=99, stop=fg.stop.gradient_norm(1e-4))
    >>> [round(p, 3) for p in run.params.tolist()]
    [0.5, 0.3, 0.2]
    """

    geometry: str = static(default="simplex", one_of=("simplex", "positive"))
    step_size: Scalar | None = number("(0, inf)", default=None, schedule=False)
    scale: Scalar = number("(0, inf)", default=1.0, schedule=False)

    def penalty(self, x: Params) -> jax.Array:
        return jnp.zeros((), tree.norm(x).dtype)

    def feasible(self, x: Params) -> Params:
        for path, leaf in jax.tree_util.tree_leaves_with_path(x):
            if jnp.iscomplexobj(leaf):
                raise TypeError(f"MirrorDescent: `x0{jax.tree_util.keystr(path)}` must be real, got {leaf.dtype}.")
        inside = _all(jax.tree.map(lambda a: jnp.all(a > 0), x))
        if self.geometry == "positive":
            largest = tree.max_norm(x)
            centre = jnp.where(largest > 0, largest, 1)
            near = jax.tree.map(lambda a: jnp.maximum(a, 0) + INWARD * jnp.asarray(centre, a.dtype), x)
            return tree.where(inside, x, near)
        total = tree.sum(x)
        scale = jnp.asarray(self.scale, total.dtype)
        inside &= jnp.abs(total - scale) <= 100 * float(jnp.finfo(total.dtype).eps) * scale
        centre = INWARD * scale / max(tree.size(x), 1)
        near = jax.tree.map(
            lambda a: (1 - INWARD) * a + jnp.asarray(centre, a.dtype), projection_simplex(x, self.scale)
        )
        return tree.where(inside, x, near)

    def move(self, x: Params, grads: Params, step: jax.Array) -> Params:
        powers = jax.tree.map(lambda a, g: jnp.log(a) - jnp.asarray(step, a.dtype) * g, x, grads)
        if self.geometry == "positive":
            return jax.tree.map(jnp.exp, powers)
        top = _largest(powers)
        raw = jax.tree.map(lambda a: jnp.exp(a - jnp.asarray(top, a.dtype)), powers)
        total = tree.sum(raw)
        factor = jnp.asarray(self.scale, total.dtype) / total
        return jax.tree.map(lambda a: a * jnp.asarray(factor, a.dtype), raw)

    def residual(self, x: Params, grads: Params, step: jax.Array, moved: Params) -> tuple[Params, jax.Array]:
        del moved
        mean = tree.sum(x) / max(tree.size(x), 1)
        step = step * jnp.asarray(mean, step.dtype)  # where xᵢ is the mean, its step is about this times its slope
        down = tree.add_scale(x, -step, grads)
        simplex = self.geometry == "simplex"
        return projection_simplex(down, self.scale) if simplex else projection_non_negative(down), step

    def compare(self, old: Smooth, new: Smooth) -> Comparison:
        real = old.value.dtype
        plain = composite.compare(old, new)
        distance = tree.sum(jax.tree.map(_divergence, new.x, old.x))
        span = tree.sum(jax.tree.map(_times_log, new.x, old.x))
        return plain._replace(distance=jnp.asarray(distance, real), span=jnp.asarray(span, real))

    def enough(self, state: ProximalState, found: Comparison, new: Smooth, total: jax.Array) -> jax.Array:
        del total
        return composite.is_majorized(found, state.base, new, state.step)


def _divergence(z: jax.Array, x: jax.Array) -> jax.Array:
    """Σ z log(z/x) − z + x, without cancellation where z is near x; 0 where both are 0."""
    z, x, r, near = _ratio(z, x)
    return jnp.sum(jnp.where(near, x * r * r * (0.5 - r / 6), z * (jnp.log(z) - jnp.log(x)) - z + x))


def _times_log(z: jax.Array, x: jax.Array) -> jax.Array:
    """Σ (z − x) log(z/x), the sum of both divergences."""
    z, x, r, near = _ratio(z, x)
    return jnp.sum((z - x) * jnp.where(near, jnp.log1p(jnp.where(near, r, 0)), jnp.log(z) - jnp.log(x)))


def _ratio(z: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """z and x, both 1 where one of them is 0, z/x − 1, and whether that is small."""
    usable = (z > 0) & (x > 0)
    z, x = jnp.where(usable, z, 1), jnp.where(usable, x, 1)
    r = (z - x) / x
    return z, x, r, jnp.abs(r) < LINEAR


def _largest(x: Any) -> jax.Array:
    dtype = tree.norm(x).dtype
    return jnp.max(jnp.stack([jnp.asarray(jnp.max(leaf, initial=-jnp.inf), dtype) for leaf in jax.tree.leaves(x)]))


def _all(x: Any) -> jax.Array:
    return jnp.all(jnp.stack(jax.tree.leaves(x)))
