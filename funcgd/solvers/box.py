"""Lower and upper bounds: pytrees or scalars, spread over the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.coordinates import to_vector
from funcgd.core.fields import describe, is_number, is_traced
from funcgd.core.types import Params
from funcgd.core.validate import check_structure


def as_bound(owner: str, name: str, bound: Any) -> Any:
    """A bound as a tree of floats and read-only float64 arrays; tracers stay."""

    def leaf(x: Any) -> Any:
        if not is_number(x) or jnp.iscomplexobj(x):
            raise TypeError(f"{owner}: `{name}` must be made of real numbers (infinite ones too), got {describe(x)}.")
        if is_traced(x):
            return x
        x = np.array(x, np.float64)
        if np.isnan(x).any():
            raise ValueError(f"{owner}: `{name}` must hold no NaN, got {describe(x)}.")
        x.flags.writeable = False
        return x if x.ndim else float(x)

    return jax.tree.map(leaf, bound)


def check_order(owner: str, lower: Any, upper: Any) -> None:
    """No lower bound may be above the upper one.

    Raises:
        ValueError: naming the place and both numbers, where they are concrete and can be compared.
    """
    lows, highs = (jax.tree_util.tree_leaves_with_path(bound) for bound in (lower, upper))
    if len(lows) == 1 and is_scalar(lower):
        lows = [(path, lows[0][1]) for path, _ in highs]
    elif len(highs) == 1 and is_scalar(upper):
        highs = [(path, highs[0][1]) for path, _ in lows]
    for (path, low), (_, high) in zip(lows, highs, strict=False):
        if is_traced(low) or is_traced(high):
            continue
        try:
            low, high = np.broadcast_arrays(low, high)
        except ValueError:
            continue  # a shape that does not fit x is named when x is known
        crossed = np.argwhere(low > high)
        if len(crossed):
            place = tuple(int(i) for i in crossed[0])
            where = jax.tree_util.keystr(path) + (str(list(place)) if place else "")
            raise ValueError(
                f"{owner}: `lower` must not be above `upper`, got {low[place]} above {high[place]}"
                f"{' at ' + where if where else ''}."
            )


def is_scalar(bound: Any) -> bool:
    """Whether one number bounds everything."""
    return jax.tree_util.all_leaves((bound,)) and np.ndim(bound) == 0


def spread(owner: str, name: str, bound: Any, x: Params) -> jax.Array:
    """A bound for each coordinate of x, as one vector.

    Raises:
        ValueError: if the bound is neither a scalar nor a tree like x whose leaves can be broadcast to those of x.
        TypeError: if x is complex, where there is no order.
    """
    if any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(x)):
        raise TypeError(f"{owner}: `x0` must be real, as complex numbers have no order.")
    if is_scalar(bound):
        bound = jax.tree.map(lambda _: bound, x)
    if jax.tree.structure(bound) != jax.tree.structure(x):
        check_structure(owner, name, bound, "as `x0`", x)

    def leaf(path: Any, a: Any, b: Any) -> jax.Array:
        try:
            return jnp.broadcast_to(jnp.asarray(b, jnp.result_type(a)), jnp.shape(a))
        except ValueError:
            where = name + jax.tree_util.keystr(path)
            raise ValueError(
                f"{owner}: `{where}` must fit the shape {jnp.shape(a)} of `x0`, got shape {np.shape(b)}."
            ) from None

    return to_vector(jax.tree_util.tree_map_with_path(leaf, x, bound))
