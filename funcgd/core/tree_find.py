"""Finding and replacing fields of a pytree by their names."""

from collections.abc import Iterator
from typing import Any

import jax

from funcgd.core.validate import one_level


def get_all_with_path(x: Any, name: str) -> list[tuple[str, Any]]:
    """Every field, attribute or key called `name` in x, as (path, content), outermost first and in order.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.adam(1e-3).init({"w": jnp.ones(2)})
    >>> [path for path, _ in fg.tree.get_all_with_path(state, "count")]
    ['[0].count']
    """
    return list(_find(x, name, ""))


def get(x: Any, name: str, default: Any = KeyError) -> Any:
    """The one field, attribute or key called `name` in x, for example the first moment in the state of an optimizer.

    Raises:
        KeyError: if there is none (and no `default`), or several; then the message lists their paths.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.adam(1e-3).init({"w": jnp.ones(2)})
    >>> fg.tree.get(state, "mu")["w"].tolist()
    [0.0, 0.0]
    """
    found = get_all_with_path(x, name)
    if len(found) == 1:
        return found[0][1]
    if not found and default is not KeyError:
        return default
    places = f"stands at {', '.join(path for path, _ in found)}" if found else "is not there"
    raise KeyError(f"tree.get: `{name}` must be in the tree exactly once, but it {places}.")


def set(x: Any, /, **values: Any) -> Any:
    """x with another content in every field, attribute or key of these names; its structure is else the same.

    Raises:
        KeyError: if there is no field of one of the names.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.adam(1e-3).init({"w": jnp.ones(2)})
    >>> int(fg.tree.get(fg.tree.set(state, count=jnp.int32(10)), "count"))
    10
    """
    for name in values:
        if not get_all_with_path(x, name):
            raise KeyError(f"tree.set: `{name}` must be in the tree, but it is not there.")
    return _replaced(x, values)


def _find(x: Any, name: str, path: str) -> Iterator[tuple[str, Any]]:
    for key, child in one_level(x):
        here = path + str(key)
        if _plain(key) == name:
            yield here, child
        else:
            yield from _find(child, name, here)


def _replaced(x: Any, values: dict[str, Any]) -> Any:
    keys = [_plain(key) for key, _ in one_level(x)]
    if not keys:
        return x
    children, structure = jax.tree.flatten(x, is_leaf=lambda y: y is not x)
    pairs = zip(keys, children, strict=True)
    return structure.unflatten([values[k] if _is_name(k, values) else _replaced(child, values) for k, child in pairs])


def _is_name(key: Any, values: dict[str, Any]) -> bool:
    return isinstance(key, str) and key in values


def _plain(key: Any) -> Any:
    """The name that an entry of a path holds; None for a place in a sequence."""
    return getattr(key, "name", getattr(key, "key", None))
