"""How weights start: functions (key, shape, dtype) → array, and the names of the usual ones."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from funcgd.core.fields import describe

Initializer: TypeAlias = str | Callable[..., Any]

INITIALIZERS: dict[str, Callable[..., Any]] = {
    "glorot_normal": jax.nn.initializers.glorot_normal(),
    "glorot_uniform": jax.nn.initializers.glorot_uniform(),
    "he_normal": jax.nn.initializers.he_normal(),
    "he_uniform": jax.nn.initializers.he_uniform(),
    "normal": jax.nn.initializers.normal(),
    "zeros": jax.nn.initializers.zeros,
}


def as_initializer(initializer: Any) -> Initializer:
    """The name, or the function itself.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if it is neither.
    """
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"expected one of {', '.join(map(repr, INITIALIZERS))}, or a function; got {initializer!r}."
            )
        return initializer
    if not callable(initializer):
        raise TypeError(f"expected a name or a function (key, shape, dtype) → array, got {describe(initializer)}.")
    return next((name for name, function in INITIALIZERS.items() if function is initializer), initializer)


def resolve_initializer(initializer: Initializer) -> Callable[..., Any]:
    """The function behind a name."""
    return INITIALIZERS[initializer] if isinstance(initializer, str) else initializer
