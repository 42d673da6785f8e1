"""Populations: many values in one, with every leaf stacked, for `jax.vmap`."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, is_traced, shortest
from funcgd.core.values import data_fields, hold

T = TypeVar("T")


def stack(values: Sequence[T]) -> T:
    """One value whose every leaf is the stack of the leaves of `values`, for `jax.vmap` over its leading axis.

    Args:
        values: values that differ only in their numbers.

    Raises:
        ValueError: if there is none, or their static parts differ; the message names the field.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> population = fg.stack([fg.sgd(rate) for rate in (0.1, 0.2)])
    >>> jax.vmap(lambda tx: tx.update(1.0, tx.init(1.0))[0])(population).tolist()
    [-0.1, -0.2]
    """
    values = list(values)
    if not values:
        raise ValueError("stack: expected at least one value, got none.")
    for other in values[1:]:
        if _structure(other) != _structure(values[0]):
            raise ValueError(f"stack: values must differ only in their numbers; {_difference(values[0], other)}.")
    return jax.tree.map(lambda *leaves: jnp.stack([_strong(x) for x in leaves]), *values)


def unstack(population: T) -> list[T]:
    """The members of a stacked value, each with plain numbers again.

    >>> import funcgd as fg
    >>> fg.unstack(fg.grid(fg.sgd, learning_rate=[0.1, 0.2]))
    [sgd(learning_rate=0.1), sgd(learning_rate=0.2)]
    """
    leaves, structure = jax.tree.flatten(population)
    if not leaves or not np.ndim(leaves[0]):
        raise ValueError(f"unstack: expected a stacked value, got {population!r}.")
    return [_plain(structure.unflatten([x[i] for x in leaves])) for i in range(len(leaves[0]))]


def grid(factory: Callable[..., T], **axes: Any) -> T:
    """The stack of `factory(...)` over the product of the `axes`; the last one runs fastest.

    Args:
        factory: what makes one value, such as `fg.adam`.
        axes: for each argument a sequence of its values, or a single value shared by all.

    >>> import funcgd as fg
    >>> population = fg.grid(fg.adam, learning_rate=[0.1, 0.01], b1=[0.8, 0.9], eps=1e-6)
    >>> [(tx.learning_rate, tx.b1) for tx in fg.unstack(population)]
    [(0.1, 0.8), (0.1, 0.9), (0.01, 0.8), (0.01, 0.9)]
    """
    columns = [list(x) if isinstance(x, (list, tuple)) or np.ndim(x) == 1 else [x] for x in axes.values()]
    return stack([factory(**dict(zip(axes, row, strict=True))) for row in itertools.product(*columns)])


def as_arrays(value: T) -> T:
    """`value` with every number as a JAX array, for tools that trace only arrays (Equinox's `filter_jit`).

    >>> import funcgd as fg
    >>> fg.as_arrays(fg.sgd(0.1)).learning_rate.dtype
    dtype('float32')
    """
    return jax.tree.map(_strong, value)


def _strong(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.result_type(x))


def _plain(x: Any) -> Any:
    """`x` with its scalar arrays as Python floats again."""
    return jax.tree.map(lambda leaf: leaf if np.ndim(leaf) or is_traced(leaf) else shortest(leaf), x)


def _difference(x: Any, y: Any, path: str = "") -> str:
    """Where the structures of two values differ, in words."""
    if type(x) is type(y) and dataclasses.is_dataclass(x):
        data = {name for name, _, _ in data_fields(x)}
        for f in dataclasses.fields(x):
            a, b = getattr(x, f.name), getattr(y, f.name)
            if _structure(a) != _structure(b) if f.name in data else a != b:
                return _difference(a, b, f"{path}.{f.name}")
    if isinstance(x, tuple) and isinstance(y, tuple) and len(x) == len(y):
        for i, (a, b) in enumerate(zip(x, y, strict=True)):
            if _structure(a) != _structure(b):
                return _difference(a, b, f"{path}[{i}]")
    where = f"`{path.lstrip('.')}`" if path else "the whole"
    return f"{where} is {describe(x)} in one and {describe(y)} in another"


def _structure(x: Any) -> Any:
    leaves, structure = jax.tree.flatten(hold(x))
    return structure, [np.shape(leaf) for leaf in leaves]
