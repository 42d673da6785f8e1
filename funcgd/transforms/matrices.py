"""Arrays as matrices: which of their axes are rows, which columns, and which count matrices."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import describe, static
from funcgd.core.paths import path_name, select
from funcgd.core.tree_kinds import Placeholder
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.transforms.mask import Fixed, as_where, broadcast, path_mask


class Axes(NamedTuple):
    """The axes of an array that are the rows of a matrix and those that are its columns; all others count matrices."""

    reduction_axis: tuple[int, ...]
    output_axis: tuple[int, ...]

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """How many rows and columns the matrices in an array of this shape have."""
        rows, columns = (math.prod(shape[i] for i in axes) for axes in self)
        return rows, columns

    def matrices(self, x: jax.Array) -> jax.Array:
        """x as an array (…, rows, columns)."""
        order = self._order(x.ndim)
        batch = [x.shape[i] for i in order[: x.ndim - len(self.reduction_axis) - len(self.output_axis)]]
        return jnp.transpose(x, order).reshape(*batch, *self.sizes(x.shape))

    def array(self, matrices: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """The inverse of `matrices`, to an array of this shape."""
        order = self._order(len(shape))
        return jnp.transpose(matrices.reshape([shape[i] for i in order]), [order.index(i) for i in range(len(shape))])

    def _order(self, ndim: int) -> list[int]:
        own = [*self.reduction_axis, *self.output_axis]
        return [*(i for i in range(ndim) if i not in own), *own]


LAST_TWO = Axes((-2,), (-1,))


def as_dimension_numbers(spec: Any) -> Any:
    """`spec` in hashable form, see `axes_of`."""
    if spec is None or callable(spec) or isinstance(spec, Fixed):
        return spec
    names = spec if isinstance(spec, (list, tuple)) else [spec]
    if names and all(isinstance(name, (str, re.Pattern)) for name in names):
        return path_mask(spec)
    return Fixed(spec)


def _is_one(x: Any) -> bool:
    """Whether x says of one leaf what it is: nothing, yes or no, or dimension numbers of any library."""
    return x is None or isinstance(x, bool) or hasattr(x, "reduction_axis")


def axes_of(who: str, spec: Any, params: Params) -> list[Axes | None]:
    """For every leaf of `params` its axes as matrices, None where it is none.

    Args:
        who: the transform that asks, for errors.
        spec: None (every leaf with two axes is a matrix); or, for each leaf, dimension numbers, None, or True for the
            last two axes, as a tree or a prefix of one; or a function params → that.
        params: a pytree.

    Raises:
        TypeError: if the tree holds something else.
        ValueError: if it is no prefix of the parameters' tree, or axes do not fit their array, naming the leaf.
    """
    if spec is None:
        return [Axes((0,), (1,)) if jnp.ndim(x) == 2 else None for x in jax.tree.leaves(params)]
    if isinstance(params, Placeholder):
        return []
    what = "weight_dimension_numbers"
    tree = spec.tree if isinstance(spec, Fixed) else spec(params)
    whole = broadcast(who, what, tree, params, _is_one)
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    return [
        _axes(f"{who}: `{what}` of {path_name(path)!r}", one, jnp.shape(x))
        for (path, x), one in zip(leaves, structure.flatten_up_to(whole), strict=True)
    ]


def _axes(who: str, one: Any, shape: tuple[int, ...]) -> Axes | None:
    if one is None or one is False:
        return None
    one = LAST_TWO if one is True else one
    if not hasattr(one, "reduction_axis"):
        raise TypeError(f"{who} must be dimension numbers, True, False or None, got {describe(one)}.")
    given = [axes if isinstance(axes, (tuple, list)) else (axes,) for axes in (one.reduction_axis, one.output_axis)]
    both, n = [*given[0], *given[1]], len(shape)
    fit = all(-n <= i < n for i in both) and len({i % n for i in both}) == len(both)
    if not (given[0] and given[1] and fit):
        raise ValueError(f"{who} must be different axes of an array of shape {shape}, got {tuple(one)}.")
    return Axes(*(tuple(i % n for i in axes) for axes in given))


def matrices_of(who: str, spec: Any, params: Params) -> list[Axes]:
    """`axes_of` where every leaf must be a matrix.

    Raises:
        ValueError: naming the first that is not.
    """
    axes = axes_of(who, spec, params)
    for (path, x), one in zip(jax.tree_util.tree_leaves_with_path(params), axes, strict=True):
        if one is None:
            raise ValueError(
                f"{who}: every leaf must be a matrix, but {path_name(path)!r} has shape {jnp.shape(x)} and no "
                f"dimension numbers. Give `weight_dimension_numbers`, or other leaves to another transform."
            )
    return [one for one in axes if one is not None]


def as_dimension_rules(rules: Any) -> tuple[tuple[Any, Any], ...]:
    """`rules` as pairs (where, dimension numbers), hashable.

    Raises:
        TypeError: if they are no mapping or pairs, or a value is something else.
    """
    pairs = tuple(rules.items()) if isinstance(rules, Mapping) else tuple(rules)
    if not all(isinstance(pair, tuple) and len(pair) == 2 and _is_one(pair[1]) for pair in pairs):
        raise TypeError(f"expected a mapping where → dimension numbers, True or None, got {describe(rules)}.")
    return tuple((as_where(where), one) for where, one in pairs)


@value
class path_dimension_numbers:
    """The function params → dimension numbers that gives every leaf what its path says; the first rule counts.

    Args:
        rules: a mapping where → dimension numbers, tried in order. A key is a glob that matches the whole path, where
            paths are keys, indices and attributes joined by "/", such as "layers/0/w"; a compiled regular expression
            that matches it; a predicate (path, leaf) → bool; or a tuple of these. A value is `MuonDimensionNumbers` or
            the like, True for the last two axes, or None for a leaf that is no matrix, as are leaves without a rule.

    Raises:
        ValueError: when it is used, if a rule matches nothing, listing the paths that there are.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> rules = fg.path_dimension_numbers({"embed*": None, "conv": fg.MuonDimensionNumbers((0, 1, 2), 3), "*": True})
    >>> rules({"conv": jnp.ones((3, 3, 8, 16)), "embed": jnp.ones((9, 8)), "heads": jnp.ones((4, 8, 2))})["heads"]
    True
    """

    rules: Any = static(convert=as_dimension_rules)

    def __call__(self, params: Params) -> Any:
        found: list[Any] = [_NOTHING] * len(jax.tree.leaves(params))
        for where, one in self.rules if found else ():
            flags = jax.tree.leaves(select("path_dimension_numbers", where, params))
            found = [one if known is _NOTHING and on else known for known, on in zip(found, flags, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(params), [None if x is _NOTHING else x for x in found])


_NOTHING = object()  # no rule yet; None is what a rule may say
