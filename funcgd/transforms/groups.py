"""Groups of parameters by path, and the table of who is where."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from funcgd.core.fields import describe, static
from funcgd.core.paths import SHOWN, path_name, select
from funcgd.core.tree_kinds import Placeholder
from funcgd.core.types import Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import value
from funcgd.transforms.mask import Fixed, as_where, broadcast


def as_rules(rules: Any) -> tuple[tuple[Any, Any], ...]:
    """`rules` as pairs (group, where), hashable.

    Raises:
        TypeError: if they are no mapping or pairs.
    """
    pairs = tuple(rules.items()) if isinstance(rules, Mapping) else tuple(rules)
    if not pairs or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise TypeError(f"expected a mapping group → where, got {describe(rules)}.")
    return tuple((group, as_where(where)) for group, where in pairs)


@value
class path_labels:
    """The function params → labels that puts every leaf into the first group whose rule matches its path.

    Args:
        rules: a mapping group → where, tried in order: a glob that matches the whole path, where paths are keys,
            indices and attributes joined by "/", such as "layers/0/w"; a compiled regular expression that matches it;
            a predicate (path, leaf) → bool; or a list of these. "*" as the last one is all the rest.

    Raises:
        ValueError: when it is used, if a leaf is in no group, listing all such leaves; if a rule matches nothing,
            listing the paths that there are.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> labels = fg.path_labels({"matrices": lambda path, leaf: leaf.ndim == 2, "rest": "*"})
    >>> labels({"layers": [{"w": jnp.ones((2, 2)), "b": jnp.ones(2)}]})
    {'layers': [{'b': 'rest', 'w': 'matrices'}]}
    """

    rules: Any = static(convert=as_rules)

    def __call__(self, params: Params) -> Any:
        labels = [None] * len(jax.tree.leaves(params))
        for group, where in self.rules if labels else ():
            flags = jax.tree.leaves(select("path_labels", where, params))
            labels = [group if label is None and on else label for label, on in zip(labels, flags, strict=True)]
        check_grouped("path_labels", params, [label is not None for label in labels], "match a rule")
        return jax.tree.unflatten(jax.tree.structure(params), labels)


def check_grouped(who: str, params: Params, grouped: list[bool], what: str) -> None:
    """Every leaf must be in a group.

    Raises:
        ValueError: listing those that are not.
    """
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    lost = [repr(path) for path, there in zip(paths, grouped, strict=True) if not there]
    if lost:
        shown = ", ".join(lost[:SHOWN]) + (f", … ({len(lost)} in all)" if len(lost) > SHOWN else "")
        raise ValueError(f"{who}: every leaf must {what}; these are in no group: {shown}.")


def labels_of(who: str, groups: Any, params: Params) -> list[Any]:
    """The label of every leaf of `params`.

    Raises:
        ValueError: if the labels are no prefix of the tree of `params`.
    """
    if isinstance(params, Placeholder):
        return []
    tree = groups.tree if isinstance(groups, Fixed) else groups(params)
    leaves, structure = jax.tree.flatten(params)
    del leaves
    return structure.flatten_up_to(broadcast(who, "param_labels", tree, params))


def group_table(params: Params, groups: Any) -> str:
    """The table path → group → parameters, to be printed.

    Args:
        params: a pytree; leaves that are no floating or complex arrays are left out.
        groups: labels (a pytree, a prefix of one, a function params → that), or a `partition`, which has them.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    >>> print(fg.group_table(params, fg.path_labels({"decay": "w", "rest": "*"})))
    path  group  parameters
    b     rest            3
    w     decay           6
    ----
    all   decay           6
    all   rest            3
    """
    trained = jax.tree.map(lambda x: x if is_inexact(x) else None, params)
    labels = getattr(groups, "param_labels", groups)
    labels = labels_of(
        "group_table", labels if callable(labels) or isinstance(labels, Fixed) else Fixed(labels), trained
    )
    leaves = jax.tree_util.tree_leaves_with_path(trained)
    rows = [(path_name(path), str(label), int(np.size(x))) for (path, x), label in zip(leaves, labels, strict=True)]
    totals = [("all", group, sum(n for _, g, n in rows if g == group)) for group in sorted({g for _, g, _ in rows})]
    cells = [("path", "group", "parameters"), *((p, g, str(n)) for p, g, n in (*rows, *totals))]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    lines = [f"{p:<{widths[0]}}  {g:<{widths[1]}}  {n:>{widths[2]}}" for p, g, n in cells]
    return "\n".join([*lines[: 1 + len(rows)], "-" * widths[0], *lines[1 + len(rows) :]])
