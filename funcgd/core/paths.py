"""Leaves of a tree by name: globs, regular expressions and predicates on their paths."""

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax

from funcgd.core.fields import describe

Where: TypeAlias = str | re.Pattern | Callable[[str, Any], bool] | Sequence
"""Which leaves of a tree: a glob, a compiled regular expression, a predicate (path, leaf) → bool, or some of these."""

SHOWN = 12  # paths in an error message: enough to see how they are spelt


def path_name(path: Sequence[Any]) -> str:
    """The path of a leaf as keys, indices and attributes joined by "/".

    >>> import jax
    >>> from funcgd.core.paths import path_name
    >>> [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path({"layers": [{"w": 1, "b": 2}]})]
    ['layers/0/b', 'layers/0/w']
    """
    return "/".join(str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path)


def select(who: str, where: Where, tree: Any, eligible: Callable[[Any], bool] = lambda leaf: True) -> Any:
    """Which leaves of `tree` are meant by `where`: booleans in its structure.

    Args:
        who: the function that asks, for errors.
        where: a glob that matches the whole path, where `*` matches any characters, also `/`; a compiled regular
            expression that matches the whole path; a predicate (path, leaf) → bool; or a list or tuple of these, which
            means every leaf that one of them does.
        tree: a pytree.
        eligible: which leaves are asked about; the others are False.

    Raises:
        ValueError: if any of them matches nothing, listing the paths that there are.
        TypeError: if it is something else.

    >>> from funcgd.core.paths import select
    >>> select("freeze", "encoder/*", {"encoder": {"w": 1, "b": 2}, "head": 3})
    {'encoder': {'b': True, 'w': True}, 'head': False}
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    named = {i: (path_name(path), leaf) for i, (path, leaf) in enumerate(leaves) if eligible(leaf)}
    selectors = list(where) if isinstance(where, (list, tuple)) else [where]
    if not selectors:
        raise ValueError(f"{who}: `where` must name at least one leaf, got {describe(where)}.")
    meant: set[int] = set()
    for selector in selectors:
        matches = _matcher(who, selector)
        found = {i for i, (name, leaf) in named.items() if matches(name, leaf)}
        if not found:
            names = [name for name, _ in named.values()]
            shown = ", ".join(map(repr, names[:SHOWN])) + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")
            raise ValueError(f"{who}: `where` must match a path, but {_spelt(selector)} does not; there are {shown}.")
        meant |= found
    return jax.tree.unflatten(structure, [i in meant for i in range(len(leaves))])


def _matcher(who: str, selector: Any) -> Callable[[str, Any], bool]:
    if isinstance(selector, str):
        return lambda name, leaf: fnmatch.fnmatchcase(name, selector)
    if isinstance(selector, re.Pattern):
        return lambda name, leaf: selector.fullmatch(name) is not None
    if callable(selector):
        return lambda name, leaf: bool(selector(name, leaf))
    raise TypeError(
        f"{who}: `where` must be a glob, a compiled regular expression, a predicate (path, leaf) → bool or a list of "
        f"these, got {describe(selector)}."
    )


def _spelt(selector: Any) -> str:
    if isinstance(selector, re.Pattern):
        return repr(selector.pattern)
    return getattr(selector, "__name__", repr(selector))
