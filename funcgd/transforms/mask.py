"""Which leaves take part: a pytree of booleans, a function that makes one, or names of paths."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from funcgd.core.fields import static
from funcgd.core.paths import select
from funcgd.core.tree_kinds import Placeholder
from funcgd.core.types import MaskOrFn, Params
from funcgd.core.values import value


class Fixed:
    """A pytree of leaves that can be hashed, so that it may be part of a structure."""

    def __init__(self, tree: Any):
        self.tree = tree
        leaves, structure = jax.tree.flatten(tree)
        self._content = (tuple(leaves), structure)
        hash(self._content)  # an error now, not later

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return repr(self.tree)


Mask: TypeAlias = MaskOrFn


def as_where(where: Any) -> Any:
    """`where` in hashable form: what `fg.freeze` takes, with lists as tuples."""
    return tuple(where) if isinstance(where, (list, tuple)) else where


@value
class path_mask:
    """The mask that is True on the leaves whose path matches.

    Any mask may be written as a glob or a compiled regular expression at once, `mask="*/w"`; this is for predicates.

    Args:
        where: a glob that matches the whole path, where paths are keys, indices and attributes joined by "/", such as
            "layers/0/w"; a compiled regular expression that matches it; a predicate (path, leaf) → bool; or a list of
            these, any of which may match.

    Raises:
        ValueError: when it is used, if any of them matches nothing, listing the paths that there are.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> matrices = fg.path_mask(lambda path, leaf: leaf.ndim == 2)
    >>> matrices({"w": jnp.ones((2, 2)), "b": jnp.ones(2)})
    {'b': False, 'w': True}
    >>> fg.adamw(1e-3, mask=matrices).mask is matrices
    True
    """

    where: Any = static(convert=as_where)

    def __call__(self, params: Params) -> Any:
        return select("path_mask", self.where, params)


@value
class complement:
    """The mask that is True where another one is False.

    Args:
        mask: a function of the parameters, such as `path_mask("*bias")`.

    >>> import funcgd as fg
    >>> fg.complement(fg.path_mask("w"))({"w": 1.0, "b": 2.0})
    {'b': True, 'w': False}
    """

    mask: Any = static()

    def __call__(self, params: Params) -> Any:
        return jax.tree.map(lambda on: not on, flags_of("complement", self.mask, params))


def as_mask(mask: Any) -> Any:
    """`mask` in hashable form: a function params → booleans, or booleans.

    Raises:
        TypeError: if it is something else.
    """
    if mask is None or isinstance(mask, Fixed):
        return mask
    names = mask if isinstance(mask, (list, tuple)) else [mask]
    if names and all(isinstance(name, (str, re.Pattern)) for name in names):
        return path_mask(mask)
    is_function = callable(mask) and not (jax.tree.leaves(mask) and _is_boolean(mask))  # a model may be callable
    return mask if is_function else _fixed(mask)


def _is_boolean(tree: Any) -> bool:
    return all(isinstance(leaf, bool) for leaf in jax.tree.leaves(tree))


def _fixed(tree: Any) -> Fixed:
    if not _is_boolean(tree):
        raise TypeError(
            "expected a pytree of True and False, a function params → such a pytree, or names of paths, got "
            f"{tree!r}; wrap a predicate as fg.path_mask(predicate)."
        )
    return Fixed(tree)


def without(mask: Any) -> Any:
    """The mask that is True where `mask` is False."""
    mask = as_mask(mask)
    return Fixed(jax.tree.map(lambda on: not on, mask.tree)) if isinstance(mask, Fixed) else complement(mask)


def flags_of(who: str, mask: Any, params: Params) -> Any:
    """The mask with one boolean for every leaf of `params`.

    Raises:
        TypeError: if it holds anything but booleans.
        ValueError: if it is no prefix of the tree of `params`.
    """
    if isinstance(params, Placeholder):
        return params
    try:
        flags = (mask if isinstance(mask, Fixed) else _fixed(mask(params))).tree
    except TypeError as error:
        raise TypeError(f"{who}: `mask`: {error}") from error
    return broadcast(who, "mask", flags, params)


def broadcast(
    who: str, what: str, prefix: Any, params: Params, is_leaf: Callable[[Any], bool] = lambda x: x is None
) -> Any:
    """A tree like `params`, each leaf of which is what `prefix` has there or above, None included.

    Raises:
        ValueError: if it is no prefix of the tree of `params`.
    """
    try:
        return jax.tree.map(lambda x, part: jax.tree.map(lambda _: x, part), prefix, params, is_leaf=is_leaf)
    except ValueError as error:
        raise ValueError(f"{who}: `{what}` must be a prefix of the parameters' tree: {error}") from error
