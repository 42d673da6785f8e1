"""What a user's function accepts, looked up once by its signature."""

import functools
import inspect
from collections.abc import Callable


def names(function: Callable, keyword: str) -> bool:
    """Whether `function` has a parameter of that name."""
    return keyword in _parameters(function)


def accepts(function: Callable, keyword: str) -> bool:
    """Whether `function` takes the keyword argument, by name or by `**kwargs`."""
    return names(function, keyword) or "**" in _parameters(function)


@functools.lru_cache(maxsize=1024)
def _parameters(function: Callable) -> frozenset[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in callables may have no signature
        return frozenset()
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return frozenset(named | {"**" for p in parameters if p.kind is p.VAR_KEYWORD})
