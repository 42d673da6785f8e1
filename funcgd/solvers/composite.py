"""What methods for f + h have in common: f by its gradient, h by its proximal map."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.types import Params

NOISE = 10  # roundings that a difference of two values may be made of


class Smooth(NamedTuple):
    """f at a point.

    >>> from funcgd.solvers.composite import Smooth
    >>> Smooth(x=1.0, value=2.0, grads=4.0).grads
    4.0
    """

    x: Params
    value: Any  # (), f(x)
    grads: Params  # ∇f(x), the direction of ascent


class Comparison(NamedTuple):
    """How f at a trial differs from its linear model, held against a distance ½‖·‖² or a divergence like it.

    >>> from funcgd.solvers.composite import Comparison
    >>> Comparison._fields
    ('excess', 'distance', 'bend', 'span')
    """

    excess: jax.Array  # (), f(z) − f(x) − ⟨∇f(x), z − x⟩
    distance: jax.Array  # (), D(z, x), such as ½‖z − x‖²
    bend: jax.Array  # (), ⟨∇f(z) − ∇f(x), z − x⟩, which keeps its digits where the excess has none
    span: jax.Array  # (), D(z, x) + D(x, z), such as ‖z − x‖²


def evaluate(fun: Callable, x: Params, args: tuple) -> tuple[Smooth, Any]:
    """f at x, and what `fun` returned beside it."""
    (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
    return Smooth(x, f, jax.tree.map(jnp.conj, grads)), aux


def compare(old: Smooth, new: Smooth) -> Comparison:
    """How f at `new` differs from the linear model at `old`, with the Euclidean distance."""
    real = old.value.dtype
    move = tree.sub(new.x, old.x)
    excess = new.value - old.value - jnp.asarray(tree.real_vdot(old.grads, move), real)
    bend = jnp.asarray(tree.real_vdot(tree.sub(new.grads, old.grads), move), real)
    span = jnp.asarray(tree.real_vdot(move, move), real)
    return Comparison(excess, span / 2, bend, span)


def is_drowned(amount: jax.Array, *values: jax.Array) -> jax.Array:
    """Whether an amount is lost in the rounding of the values that it is a difference of."""
    largest = jnp.max(jnp.abs(jnp.stack(values)))
    return amount <= NOISE * float(jnp.finfo(largest.dtype).eps) * largest


def is_majorized(found: Comparison, old: Smooth, new: Smooth, step: jax.Array) -> jax.Array:
    """Whether f(z) ≤ f(x) + ⟨∇f(x), z − x⟩ + D(z, x)/η; by gradients alone where values have no digits for it."""
    drowned = is_drowned(found.distance / step, old.value, new.value)
    return (found.excess <= found.distance / step) | (drowned & (found.bend <= found.span / step))


def shorter(found: Comparison, step: jax.Array) -> jax.Array:
    """η after a rejected trial: the inverse of the curvature that was found, between η/10 and η/2."""
    usable = jnp.isfinite(found.excess) & (found.excess > 0) & jnp.isfinite(found.distance)
    best = found.distance / jnp.where(usable, found.excess, 1)
    return jnp.where(usable, jnp.clip(best, step / 10, step / 2), step / 2)


def spectral(found: Comparison, step: jax.Array, most: float = 100.0) -> jax.Array:
    """The inverse of the mean curvature along a step: η of Barzilai and Borwein, at most `most`·η."""
    limit = jnp.minimum(most * step, float(jnp.finfo(step.dtype).max) ** 0.5)
    best = found.span / jnp.where(found.bend > 0, found.bend, 1)
    moved = jnp.isfinite(best) & (found.span > 0)
    return jnp.where(moved, jnp.where(found.bend > 0, jnp.minimum(best, limit), limit), step)


def mapping_norms(x: Params, moved: Params, step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """‖(x − moved)/η‖₂ and the same in the maximum norm."""
    gap = tree.sub(x, moved)
    return jnp.asarray(tree.norm(gap), step.dtype) / step, jnp.asarray(tree.max_norm(gap), step.dtype) / step
