"""What a user's function accepts, looked up once by its signature."""

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any

import jax


class instance_signature:
    """Decorate the method `__signature__` of a callable value with it: instances show that signature.

    The class keeps the signature of its constructor, which a property of that name would hide.
    """

    def __init__(self, make: Callable[[Any], inspect.Signature]):
        self.make = make

    def __get__(self, instance: Any, owner: type | None = None) -> inspect.Signature | None:
        return None if instance is None else self.make(instance)


def names(function: Callable, keyword: str) -> bool:
    """Whether `function` has a parameter of that name."""
    return keyword in _parameters(function)


def accepts(function: Callable, keyword: str) -> bool:
    """Whether `function` takes the keyword argument, by name or by `**kwargs`."""
    return names(function, keyword) or "**" in _parameters(function)


def _parameters(function: Callable) -> frozenset[str]:
    # A value is not kept: its numbers may be tracers, which must not outlive their trace.
    plain = isinstance(function, Hashable) and jax.tree_util.all_leaves((function,))
    return _cached(function) if plain else _found(function)


def _found(function: Callable) -> frozenset[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in callables may have no signature
        return frozenset()
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return frozenset(named | {"**" for p in parameters if p.kind is p.VAR_KEYWORD})


_cached = functools.lru_cache(maxsize=1024)(_found)
