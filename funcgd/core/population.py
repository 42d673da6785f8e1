"""What a population is made of: the numbers of a value by name, and how many members are stacked in it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from funcgd.core.chain import Chain
from funcgd.core.fields import is_number
from funcgd.core.hyperparameters import part_names
from funcgd.core.values import data_fields, is_plain_callable

RANKS = {
    "number": 0,
    "numbers": 0,
    "vector": 1,
}  # of a field, by its kind; without one it may hold anything


def named_numbers(x: Any, name: str = "", rank: int | None = None) -> Iterator[tuple[str, int | None, Any]]:
    """The numbers in a value, each as (dotted name, its dimensions where it is not stacked, or None, number).

    >>> import funcgd as fg
    >>> from funcgd.core.population import named_numbers
    >>> tx = fg.chain(fg.clip(1.0), fg.sgd(fg.linear_schedule(0.1, 0.0, 10)))
    >>> [name for name, _, _ in named_numbers(tx)][:2]
    ['clip.max_delta', 'sgd.learning_rate.init_value']
    """
    if isinstance(x, Chain):
        for title, part in zip(part_names(x), x.transforms, strict=True):
            yield from named_numbers(part, _join(name, title))
    elif type(x) is tuple:
        for i, part in enumerate(x):
            yield from named_numbers(part, f"{name}[{i}]", rank)
    elif is_number(x):
        yield name, rank, x
    elif x is not None and not is_plain_callable(x) and dataclasses.is_dataclass(x):
        for field, kind, part in data_fields(x):
            yield from named_numbers(part, _join(name, field), RANKS.get(kind))


def population_size(who: str, what: str, x: Any) -> int | None:
    """How many members are stacked in the value `x`; None if it is a single one.

    Raises:
        ValueError: naming a number that is not stacked like the others.

    >>> import funcgd as fg
    >>> from funcgd.core.population import population_size
    >>> population_size("sweep", "tx", fg.grid(fg.adam, learning_rate=[0.1, 0.01], b1=[0.8, 0.9]))
    4
    """
    numbers = list(named_numbers(x))
    known = [np.shape(leaf)[: np.ndim(leaf) - rank] for _, rank, leaf in numbers if rank is not None]
    others = [np.shape(leaf) for _, rank, leaf in numbers if rank is None]
    axis = known[0] if known else min((shape[:1] for shape in others), default=())
    if len(axis) > 1 or any(a != axis for a in known) or any(shape[: len(axis)] != axis for shape in others):
        shown = ", ".join(f"`{name}` {np.shape(leaf)}" for name, _, leaf in numbers)
        raise ValueError(
            f"{who}: every number in `{what}` must be stacked alike, as fg.stack and fg.grid do; got shapes {shown}."
        )
    return axis[0] if axis else None


def differing(x: Any) -> dict[str, np.ndarray]:
    """The numbers by name that differ among the members of a stacked value, as columns over the members.

    >>> import funcgd as fg
    >>> from funcgd.core.population import differing
    >>> differing(fg.grid(fg.adam, learning_rate=[0.1, 0.01], b1=0.8))
    {'learning_rate': array([0.1 , 0.01])}
    """
    columns = {name: _precise(np.asarray(jax.device_get(leaf))) for name, _, leaf in named_numbers(x)}
    return {name: column for name, column in columns.items() if np.any(column != column[:1])}


def _precise(column: np.ndarray) -> np.ndarray:
    """float64 that prints like the float32 it was: 0.1, not 0.10000000149."""
    return column.astype(str).astype(np.float64) if column.dtype == np.float32 else column.astype(np.float64)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
