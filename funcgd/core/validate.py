"""Checks at trace time, in one voice: who complains, where in the tree, what was expected, what came."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe


def one_level(x: Any) -> list[tuple[Any, Any]]:
    """The children of the pytree node x as (key, child); empty for a leaf, None and empty containers."""
    children, _ = jax.tree_util.tree_flatten_with_path(x, is_leaf=lambda y: y is not x)
    return [(path[0], child) for path, child in children if path]


def is_inexact(x: Any) -> bool:
    """Whether x is a number or array of floating or complex dtype: what can be trained."""
    if isinstance(x, (float, complex)) and not isinstance(x, np.generic):
        return True
    dtype = getattr(x, "dtype", None)
    return dtype is not None and not jnp.issubdtype(dtype, jax.dtypes.extended) and jnp.issubdtype(dtype, jnp.inexact)


def check_watched(who: str, names: frozenset[str], validated: bool) -> None:
    """The metrics that the optimizer watches must be measured.

    Raises:
        ValueError: if there is no validation, and it watches more than the loss.
    """
    more = sorted(names - {"loss"})
    if more and not validated:
        raise ValueError(f"{who}: the optimizer watches {more[0]!r}, so `validation` must be data to measure it on.")


def check_leaves(who: str, what: str, x: Any) -> None:
    """Every leaf of x must be floating or complex.

    Raises:
        TypeError: naming the first leaf that is not.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if not is_inexact(leaf):
            dtype = getattr(leaf, "dtype", type(leaf).__name__)
            raise TypeError(
                f"{who}: `{what}{jax.tree_util.keystr(path)}` must be a floating or complex array, got {dtype}. "
                f"Put None in place of what is not trained; fg.fit, fg.make_step and fg.minimize do so by themselves."
            )


def check_like(who: str, what: str, x: Any, source: str, expected: Any) -> None:
    """x must have the structure, shapes and kind of numbers (real or complex) of the tree `expected`.

    Raises:
        ValueError: naming the first place that differs.
        TypeError: if a leaf is complex where a real one was expected, or the reverse.
    """
    check_structure(who, what, x, source, expected)
    for (path, leaf), wanted in zip(jax.tree_util.tree_leaves_with_path(x), jax.tree.leaves(expected), strict=True):
        if jnp.iscomplexobj(leaf) != jnp.iscomplexobj(wanted):
            got, kind = jnp.result_type(leaf), "complex" if jnp.iscomplexobj(wanted) else "real"
            raise TypeError(f"{who}: `{what}{jax.tree_util.keystr(path)}` must be {kind}, {source}; got {got}.")


def check_structure(who: str, what: str, x: Any, source: str, expected: Any) -> None:
    """x must have the structure and shapes of the tree `expected`.

    Raises:
        ValueError: naming the first place that differs.
    """
    same_structure = jax.tree.structure(x) == jax.tree.structure(expected)
    if same_structure and all(
        np.shape(a) == np.shape(b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(expected), strict=True)
    ):
        return
    path, wanted, got = _difference(x, expected, "")
    raise ValueError(f"{who}: `{what}{path}` must be {wanted}, {source}; got {got}.")


def leading_axis(who: str, what: str, data: Any) -> int:
    """The length of the leading axis that all arrays of `data` share.

    Raises:
        ValueError: if there is no array, one is a scalar, lengths differ, or they are 0.
    """
    lengths = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        name = f"{what}{jax.tree_util.keystr(path)}"
        if not np.ndim(leaf):
            raise ValueError(f"{who}: `{name}` must have a leading axis over the examples, got a scalar.")
        lengths[name] = np.shape(leaf)[0]
    return common_length(who, what, lengths)


def one_of_each(who: str, what: str, data: Any) -> Any:
    """Shapes and dtypes of `data` without the leading axis that its arrays share, as one example has them.

    Raises:
        ValueError: if one is a scalar, lengths differ, or they are 0.
    """
    if jax.tree.leaves(data):
        try:
            leading_axis(who, what, data)
        except ValueError as error:
            raise ValueError(f"{error} It takes gradients of examples (fg.per_example_grad).") from error
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x)[1:], jnp.result_type(x)), data)


def common_length(who: str, what: str, lengths: dict[str, int]) -> int:
    """The length that all of `lengths`, by name, share.

    Raises:
        ValueError: if there is none, lengths differ, or they are 0.
    """
    if not lengths:
        raise ValueError(f"{who}: `{what}` must hold at least one array, got none.")
    first, n = next(iter(lengths.items()))
    for name, m in lengths.items():
        if m != n:
            raise ValueError(f"{who}: all leading axes must agree, but `{first}` has {n} and `{name}` has {m}.")
    if n == 0:
        raise ValueError(f"{who}: `{what}` is empty (leading axis 0).")
    return n


def check_key(who: str, key: Any) -> None:
    """`key` must be one random key, of the new style or the old.

    Raises:
        TypeError: if it is something else, such as a bare seed.
    """
    dtype, shape = getattr(key, "dtype", None), np.shape(key)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ()
    if not (typed or (dtype == np.uint32 and len(shape) == 1)):
        raise TypeError(f"{who}: `key` must be one random key, such as jax.random.key(0), got {describe(key)}.")


def _difference(x: Any, expected: Any, path: str) -> tuple[str, str, str]:
    mine, theirs = one_level(x), one_level(expected)
    names, wanted = [str(key) for key, _ in mine], [str(key) for key, _ in theirs]
    if type(x) is not type(expected) and (mine or theirs or _is_node(x) or _is_node(expected)):
        return path, _describe(expected), _describe(x).removeprefix("of ")
    for key in wanted:
        if key not in names:
            return path + key, "present", "nothing there"
    for key in names:
        if key not in wanted:
            return path + key, "absent", "a leaf or node there"
    for (key, a), (_, b) in zip(mine, theirs, strict=True):
        if jax.tree.structure(a) != jax.tree.structure(b) or any(
            np.shape(p) != np.shape(q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        ):
            return _difference(a, b, path + str(key))
    if mine or _is_node(x):
        return path, f"{jax.tree.structure(expected)}", f"{jax.tree.structure(x)}"
    return path, f"of shape {np.shape(expected)}", f"shape {np.shape(x)}"


def _is_node(x: Any) -> bool:
    return not jax.tree_util.all_leaves((x,))


def _describe(x: Any) -> str:
    return "None" if x is None else f"of type {type(x).__name__}" if _is_node(x) else "an array"
