"""The schedule protocol: a scalar hyperparameter is a number, an array, or a function of the step."""

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import is_traced
from funcgd.core.values import data_fields


def resolve(hyperparameter: Any, count: Any) -> Any:
    """The number that `hyperparameter` is at step `count`.

    Args:
        hyperparameter: a number, a 0-d array, a schedule, or None (an absent option, returned as it is).
        count: finished updates; cast once to int32, so that schedules compare it exactly beyond 2²⁴.

    Raises:
        ValueError: if it, or what the schedule returns, is not a scalar.

    >>> import funcgd as fg
    >>> fg.resolve(0.1, 7)
    0.1
    >>> float(fg.resolve(fg.linear_schedule(1.0, 0.0, 10), 5))
    0.5
    """
    if not callable(hyperparameter):
        return hyperparameter
    result: Any = hyperparameter(jnp.asarray(count, jnp.int32))
    if np.shape(result):
        raise ValueError(
            f"resolve: the schedule {hyperparameter!r} must return a scalar, got shape {np.shape(result)}."
        )
    return numerics.widen(result)


def number_fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The scalar hyperparameters of a value: (name, a number or schedule, or a tuple of them)."""
    return ((name, x) for name, kind, x in data_fields(value) if kind in ("number", "numbers"))


def resolve_all(value: Any, count: Any) -> dict[str, Any]:
    """All scalar hyperparameters of `value`, resolved at step `count`, by name."""
    return {
        name: tuple(resolve(i, count) for i in x) if type(x) is tuple else resolve(x, count)
        for name, x in number_fields(value)
    }


def _each(x: Any) -> tuple:
    return x if type(x) is tuple else (x,)


def is_scheduled(value: Any) -> bool:
    """Whether any number of this value is a schedule, so that its state must count steps."""
    return any(callable(x) for _, numbers in number_fields(value) for x in _each(numbers))


def init_count(value: Any) -> jax.Array | None:
    """A zero count where `value` has a schedule among its numbers, else None."""
    return jnp.zeros((), jnp.int32) if is_scheduled(value) else None


def next_count(count: jax.Array | None) -> jax.Array | None:
    """The count after an update; None stays None."""
    return None if count is None else numerics.increment(count)


def at(value: Any, count: Any) -> SimpleNamespace:
    """All numbers of `value`, resolved at step `count`, as attributes by their names.

    Raises:
        ValueError: if a number is not a scalar, which is what a stacked value looks like outside `vmap`.
    """
    check_single(value)
    return SimpleNamespace(**resolve_all(value, 0 if count is None else count))


def check_single(value: Any) -> None:
    """`value` must be one value, not a stack of them; so must be its schedules, and the values in its fields.

    Raises:
        ValueError: naming the first number that is not a scalar.
    """
    for name, kind, x in data_fields(value):
        parts: Any = x if isinstance(x, tuple) else (x,)
        shapes = [np.shape(part) for part in parts if not callable(part)] if kind in ("number", "numbers") else []
        if any(shapes):
            raise ValueError(
                f"{type(value).__name__}: `{name}` has shape {max(shapes)}, so this is a stack of values (fg.stack, "
                f"fg.grid). Use it under jax.vmap, or take one member with fg.unstack."
            )
        for part in parts:
            if dataclasses.is_dataclass(part):
                check_single(part)


def cast(numbers: SimpleNamespace, dtype: Any) -> SimpleNamespace:
    """The numbers in the real `dtype`, saturating at its range; Python floats stay: JAX adapts them by itself."""

    def one(x: Any) -> Any:
        if isinstance(x, float) or x is None:
            return x
        if jnp.result_type(x) == np.float64 != dtype:
            x = jnp.clip(x, -float(jnp.finfo(dtype).max), float(jnp.finfo(dtype).max))
        return jnp.asarray(x, dtype)

    return SimpleNamespace(**{name: one(x) for name, x in vars(numbers).items()})


def is_concrete(*numbers: Any) -> bool:
    """Whether all are plain numbers, known while tracing."""
    return not any(callable(x) or any(map(is_traced, jax.tree.leaves(x))) for x in numbers)
