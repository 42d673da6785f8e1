"""Values: frozen dataclasses that are pytrees, print as code, and compare by content.

`value` turns a class into one; `number`, `vector` and `static` declare its fields. Numbers are pytree leaves (so that
one may `vmap` over them, differentiate with respect to them and change them without recompiling); what changes
structure is static; a plain function in a field is held statically, by identity.
"""

import dataclasses
import math
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

from funcgd.core.fields import KEY, field, is_number, is_traced, number, numbers, plain, shortest, static, vector

T = TypeVar("T")


class Held:
    """A pytree node without leaves that carries one object statically (a function, a foreign transform)."""

    def __init__(self, item: Any):
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and (self.item is other.item or bool(self.item == other.item))

    def __hash__(self) -> int:
        return hash(self.item) if isinstance(self.item, Hashable) else id(self.item)

    def __repr__(self) -> str:
        return f"Held({self.item!r})"


jax.tree_util.register_pytree_node(Held, lambda held: ((), held), lambda held, _: held)


def is_plain_callable(x: Any) -> bool:
    """Whether `x` is a callable that is not itself a pytree: a function, a bound method, a jitted function."""
    return callable(x) and jax.tree_util.all_leaves((x,))


@dataclass_transform(frozen_default=True, field_specifiers=(number, numbers, vector, static, field))
def value(cls: type[T]) -> type[T]:
    """Make `cls` a value: a frozen dataclass that is a pytree, prints as code and compares by content.

    Fields declared with `static` belong to the structure; all others are data: numbers (converted to floats, so that
    `jax.grad` applies), other values, tuples of them, None, or plain functions, which are held statically.

    - `repr` is code: `eval(repr(v), names) == v` where the static parts have names.
    - Equality takes identity first, then compares numbers in the narrower of the two dtypes, at least float32; so a
      value that went through `jax.jit` still equals the original. `hash` agrees with it.
    - `pickle`, `copy.deepcopy` and `dataclasses.replace` work.

    A `__post_init__` of the class runs after conversion and may compare fields with each other.

    Raises:
        TypeError, ValueError: at construction, naming the class, the field, what is allowed and what came.

    >>> import funcgd as fg, jax
    >>> @fg.value
    ... class line:
    ...     slope: float
    ...     offset: float = 0
    >>> line(2)
    line(slope=2.0, offset=0.0)
    >>> jax.grad(lambda v: v.slope * 3 + v.offset)(line(2.0))
    line(slope=3.0, offset=1.0)
    """
    post_init = getattr(cls, "__post_init__", None)  # inherited ones too: a subclass must pass the checks of its base

    def __post_init__(self: Any) -> None:
        for f in dataclasses.fields(self):
            _, convert = f.metadata.get(KEY, ("plain", plain))
            object.__setattr__(self, f.name, convert(type(self).__name__, f.name, getattr(self, f.name)))
        if post_init is not None:
            post_init(self)

    cls.__post_init__ = __post_init__  # pyright: ignore[reportAttributeAccessIssue]
    for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _repr)):
        if getattr(cls, name) is getattr(object, name):  # neither the class nor a base has one of its own
            setattr(cls, name, method)
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)

    kinds = [(f.name, f.metadata.get(KEY, ("plain",))[0]) for f in dataclasses.fields(cls)]  # pyright: ignore
    data = tuple(name for name, kind in kinds if kind != "static")
    fixed = tuple(name for name, kind in kinds if kind == "static")
    keys = tuple(map(jax.tree_util.GetAttrKey, data))

    def flatten(self: Any) -> tuple[tuple, tuple]:
        return tuple(hold(getattr(self, n)) for n in data), tuple(getattr(self, n) for n in fixed)

    def flatten_with_keys(self: Any) -> tuple[tuple, tuple]:
        children, structure = flatten(self)
        return tuple(zip(keys, children, strict=True)), structure

    def unflatten(structure: tuple, children: Iterable[Any]) -> Any:
        self = object.__new__(cls)  # no conversion: JAX unflattens with placeholders, tracers and batches
        for n, x in zip(data, children, strict=True):
            object.__setattr__(self, n, release(x))
        for n, x in zip(fixed, structure, strict=True):
            object.__setattr__(self, n, x)
        return self

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def data_fields(self: Any) -> Iterator[tuple[str, str, Any]]:
    """The data fields of a value: (name, kind, content), where the kind is "number", "numbers", "vector" or "plain"."""
    for f in dataclasses.fields(self):
        kind = f.metadata.get(KEY, ("plain",))[0]
        if kind != "static":
            yield f.name, kind, getattr(self, f.name)


def hold(x: Any) -> Any:
    """`x` with plain functions, also inside tuples, wrapped as nodes without leaves."""
    if type(x) is tuple:
        return tuple(map(hold, x))
    return Held(x) if is_plain_callable(x) else x


def release(x: Any) -> Any:
    """The inverse of `hold`."""
    if type(x) is tuple:
        return tuple(map(release, x))
    return x.item if isinstance(x, Held) else x


def _equal(self: Any, other: object) -> Any:
    if self is other:
        return True
    if type(self) is not type(other):
        return NotImplemented
    (mine, my_structure), (theirs, their_structure) = jax.tree.flatten(self), jax.tree.flatten(other)
    return my_structure == their_structure and all(map(_same, mine, theirs))


def _same(x: Any, y: Any) -> bool:
    if x is y or is_traced(x) or is_traced(y):  # JAX compares functions, so values too, while it traces
        return x is y
    if not (is_number(x) and is_number(y)):
        return bool(x == y)
    x, y = np.asarray(x), np.asarray(y)
    dtype = np.float64 if min(x.dtype.itemsize, y.dtype.itemsize) == 8 else np.float32
    with np.errstate(over="ignore"):
        return x.shape == y.shape and bool(np.all(x.astype(dtype) == y.astype(dtype)))


def _hash(self: Any) -> int:
    leaves, structure = jax.tree.flatten(self)
    return hash((structure, *(_content(x) for x in leaves)))


def _content(x: Any) -> Any:
    if is_traced(x):
        return id(x)
    # Rounded to float32, because equal values may carry different precision; + 0.0 makes -0.0 and 0.0 alike.
    with np.errstate(over="ignore"):
        return (np.asarray(x).astype(np.float32) + np.float32(0)).tobytes() if is_number(x) else x


def _repr(self: Any) -> str:
    shown = []
    for f in dataclasses.fields(self):
        x, kind = getattr(self, f.name), f.metadata.get(KEY, ("plain",))[0]
        optional = f.default is None or kind == "static"
        if not (
            (optional and x is f.default)
            or (kind == "static" and f.default is not dataclasses.MISSING and x == f.default)
        ):
            shown.append(f"{f.name}={code(x)}")
    return f"{type(self).__name__}({', '.join(shown)})"


def code(x: Any) -> str:
    """`x` as an expression: numbers by their shortest round trip, functions by name, tuples by their parts."""
    if is_traced(x):
        return f"<{x.aval.str_short()}>"
    if isinstance(x, (np.ndarray, np.generic, jax.Array)) and np.ndim(x):
        return f"[{', '.join(code(i) for i in np.asarray(x))}]"
    if is_number(x):
        x = shortest(x) if not isinstance(x, int) else x
        return repr(x) if math.isfinite(x) else f"float('{x}')"
    if type(x) is tuple:
        return f"({', '.join(map(code, x))}{',' * (len(x) == 1)})"
    return getattr(x, "__name__", repr(x)) if is_plain_callable(x) else repr(x)
