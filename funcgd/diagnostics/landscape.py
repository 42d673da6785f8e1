"""Pictures of a loss around a point and between two points, as arrays."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import Interval, as_scalar, as_vector
from funcgd.core.types import Batch, Params
from funcgd.core.validate import check_key, check_like
from funcgd.core.values import hold
from funcgd.diagnostics.objective import check_loss, count, trained_objective
from funcgd.training import partition


class Landscape(NamedTuple):
    """What `fg.loss_landscape` returns.

    >>> import funcgd as fg
    >>> fg.Landscape._fields
    ('a', 'b', 'loss', 'directions')
    """

    a: jax.Array  # (points,), from −extent to extent; 1 is the length of each filter
    b: jax.Array  # (points,), the same
    loss: jax.Array  # (points, points), loss[i, j] = L(θ + aᵢ d₁ + bⱼ d₂)
    directions: tuple[Params, Params]  # d₁ and d₂, like what trains of the parameters


class Interpolation(NamedTuple):
    """What `fg.interpolate_loss` returns.

    >>> import funcgd as fg
    >>> fg.Interpolation._fields
    ('alpha', 'loss')
    """

    alpha: jax.Array  # (points,)
    loss: jax.Array  # (points,), L((1 − α) start + α end)


def loss_landscape(
    loss: Callable,
    params: Params,
    batch: Batch,
    key: jax.Array,
    *,
    extent: float = 1.0,
    points: int = 21,
    filter_axis: int = 0,
) -> Landscape:
    """The loss on a plane through the parameters, spanned by two random directions with the lengths of the filters.

        L(θ + a d₁ + b d₂),    d ← d · ‖θ_f‖ / ‖d_f‖ for each filter f

    Networks with ReLU compute the same after one layer is made larger and the next smaller; plain random directions
    would show one as flat and the other as steep. Scaled like the filters, pictures of different networks compare.

    Args:
        loss: `loss(params, batch)` → a real scalar, or a pair of that and anything, as in `fg.fit`.
        params: θ, a pytree; its floating arrays are moved.
        batch: the data of the loss.
        key: of the two directions.
        extent: how far a and b go to both sides.
        points: of each axis; an odd number has θ itself in the middle.
        filter_axis: the axis that numbers the filters of a leaf: 0 for `fg.models` (rows of W are units), −1 for
            Flax. A leaf with fewer than two axes, such as a bias, is one filter; one of zeros stays.

    Raises:
        TypeError, ValueError: if an argument is not as above.

    Reference: Li, Xu, Taylor, Studer, Goldstein, Visualizing the loss landscape of neural nets, NeurIPS 2018.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda params, batch: jnp.sum(params["w"] ** 2)
    >>> found = fg.loss_landscape(loss, {"w": 2 * jnp.eye(3)}, None, jax.random.key(0), points=5)
    >>> found.loss.shape, found.loss[2, 2].item()  # at the parameters
    ((5, 5), 12.0)
    >>> jnp.linalg.norm(found.directions[0]["w"], axis=1).tolist()
    [2.0, 2.0, 2.0]
    """
    who = "loss_landscape"
    check_loss(who, loss)
    check_key(who, key)
    points = count(who, "points", points, 2)
    extent = as_scalar(who, "extent", extent, Interval("(0, inf)"), False)
    packed = partition.pack(who, "params", params)
    return _landscape(hold(loss), packed, batch, key, extent, who, points, filter_axis)


@functools.partial(jax.jit, static_argnames=("who", "points", "filter_axis"))
def _landscape(
    loss: Any, packed: Params, batch: Batch, key: jax.Array, extent: Any, who: str, points: int, filter_axis: int
) -> Landscape:
    f, x = trained_objective(who, loss, packed, batch)
    first, second = (random_direction(k, x, filter_axis) for k in jax.random.split(key))
    a = jnp.linspace(-extent, extent, points, dtype=numerics.wide_dtype())

    def at(ab: jax.Array) -> jax.Array:
        def moved(x: jax.Array, d: jax.Array, e: jax.Array) -> jax.Array:
            step = [jnp.asarray(c, numerics.wide_dtype(x.dtype)) for c in ab]
            return jnp.asarray(numerics.widen(x) + step[0] * numerics.widen(d) + step[1] * numerics.widen(e), x.dtype)

        return f(jax.tree.map(moved, x, first, second))

    grid = jnp.stack(jnp.meshgrid(a, a, indexing="ij"), axis=-1).reshape(-1, 2)
    return Landscape(a, a, jax.lax.map(at, grid).reshape(points, points), (first, second))


def random_direction(key: jax.Array, params: Params, filter_axis: int) -> Params:
    """A random direction whose filters are as long as those of `params`."""
    leaves, structure = jax.tree.flatten(params)

    def leaf(key: jax.Array, x: jax.Array) -> jax.Array:
        if x.ndim > 1 and not -x.ndim <= filter_axis < x.ndim:
            raise ValueError(f"loss_landscape: `filter_axis` is {filter_axis}, but a leaf has shape {x.shape}.")
        wide = numerics.widen(x)
        d = jax.random.normal(key, x.shape, wide.dtype)
        axes = tuple(i for i in range(x.ndim) if x.ndim < 2 or i != filter_axis % x.ndim)
        mine, its = (jnp.sqrt(jnp.sum(numerics.square(v), axis=axes, keepdims=True)) for v in (d, wide))
        return jnp.asarray(d * jnp.asarray(numerics.divide(its, mine), d.dtype), x.dtype)

    return structure.unflatten(map(leaf, jax.random.split(key, len(leaves)), leaves))


def interpolate_loss(
    loss: Callable, start: Params, end: Params, batch: Batch, *, alpha: Any = None, points: int = 25
) -> Interpolation:
    """The loss on the straight line between two points, such as the first and the last parameters of a run.

        L((1 − α) θ₀ + α θ₁)

    Args:
        loss: see `loss_landscape`.
        start, end: θ₀ and θ₁, like each other; what does not train is that of `start`.
        batch: the data of the loss.
        alpha: where; None is `points` of them from 0 to 1. Numbers beyond these go beyond the two.
        points: how many, where `alpha` is None.

    Raises:
        TypeError, ValueError: if an argument is not as above, or the two differ in structure or shapes.

    Reference: Goodfellow, Vinyals, Saxe, Qualitatively characterizing neural network optimization problems, ICLR 2015.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> line = fg.interpolate_loss(lambda w, batch: w @ w, jnp.zeros(2), jnp.ones(2), None, alpha=[0.0, 0.5, 1.0])
    >>> line.loss.tolist()
    [0.0, 0.5, 2.0]
    """
    who = "interpolate_loss"
    check_loss(who, loss)
    packed, other = partition.pack(who, "start", start), partition.pack(who, "end", end)
    check_like(who, "end", partition.split(other)[0], "as `start` has it", partition.split(packed)[0])
    if alpha is None:
        alpha = jnp.linspace(0, 1, count(who, "points", points, 2), dtype=numerics.wide_dtype())
    else:
        alpha = jnp.asarray(as_vector(who, "alpha", alpha), numerics.wide_dtype())
    return Interpolation(alpha, _line(hold(loss), packed, other, batch, alpha, who))


@functools.partial(jax.jit, static_argnames=("who",))
def _line(loss: Any, packed: Params, other: Params, batch: Batch, alpha: jax.Array, who: str) -> jax.Array:
    f, x = trained_objective(who, loss, packed, batch)
    y = partition.split(other)[0]

    def at(alpha: jax.Array) -> jax.Array:
        def between(x: jax.Array, y: jax.Array) -> jax.Array:
            x_wide, t = numerics.widen(x), jnp.asarray(alpha, numerics.wide_dtype(x.dtype))
            return jnp.asarray((1 - t) * x_wide + t * numerics.widen(y, t.dtype), x.dtype)

        return f(jax.tree.map(between, x, y))

    return jax.lax.map(at, alpha)
