"""Values: frozen dataclasses that are pytrees, print as code, and compare by content.

`value` turns a class into one; `number`, `vector` and `static` declare its fields. Numbers are pytree leaves (so that one
may `vmap` over them, differentiate with respect to them and change them without recompiling); what changes structure is
static; a plain function in a field is held statically, by identity.
"""

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")
_KEY = "funcgd"


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


def is_traced(x: Any) -> bool:
    """Whether `x` is known only while tracing, so that no Python decision may depend on it."""
    return isinstance(x, jax.core.Tracer)


def is_number(x: Any) -> bool:
    """Whether `x` is a scalar or array of numbers (booleans and random keys are not)."""
    if isinstance(x, jax.Array):
        return not jnp.issubdtype(x.dtype, jax.dtypes.extended)
    return isinstance(x, (int, float, np.number, np.ndarray)) and not isinstance(x, bool)


def is_plain_callable(x: Any) -> bool:
    """Whether `x` is a callable that is not itself a pytree: a function, a bound method, a jitted function."""
    return callable(x) and jax.tree_util.all_leaves((x,))


def shortest(x: Any) -> float:
    """The Python float that prints like `x` in its own precision: float32(0.1) gives 0.1, not 0.10000000149."""
    x = np.asarray(x)
    return float(x) if x.dtype.itemsize == 8 or x.dtype.kind not in "fV" else float(str(np.float32(x)))


# --- fields -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Interval:
    """A set of allowed numbers, written as in a book: `[0, 1)`."""

    text: str

    def __contains__(self, x: float) -> bool:
        low, high = (float(bound) for bound in self.text[1:-1].split(","))
        above = x >= low if self.text[0] == "[" else x > low
        below = x <= high if self.text[-1] == "]" else x < high
        return above and below  # NaN is in no interval


def number(default: Any = dataclasses.MISSING, within: str = "(-inf, inf)", *, schedule: bool = True) -> Any:
    """Declare a scalar hyperparameter: a Python number, a 0-d array, a tracer, or (unless told otherwise) a schedule.

    Args:
        default: the default; None makes the hyperparameter optional.
        within: the allowed interval, such as `"[0, 1)"`, tested where the number is concrete.
        schedule: whether a callable of the step is accepted too.

    >>> import funcgd as fg
    >>> @fg.value
    ... class shrink:
    ...     factor: float = fg.number(0.5, "(0, 1]")
    >>> shrink(2.0)
    Traceback (most recent call last):
    ...
    ValueError: shrink: `factor` must be in (0, 1], got 2.0.
    """

    def convert(owner: str, name: str, x: Any) -> Any:
        if x is None and default is None:
            return None
        if callable(x):
            if schedule:
                return x
            raise TypeError(f"{owner}: `{name}` must be a number, and cannot be a schedule; got {describe(x)}.")
        return as_scalar(owner, name, x, Interval(within), schedule)

    return dataclasses.field(default=default, metadata={_KEY: ("number", convert)})


def vector(default: Any = dataclasses.MISSING) -> Any:
    """Declare a hyperparameter that is a one-dimensional array, such as the boundaries of a schedule.

    Concrete numbers are stored as a read-only float64 NumPy array; a list that holds tracers becomes a JAX array.

    >>> import funcgd as fg
    >>> @fg.value
    ... class steps:
    ...     at: object = fg.vector()
    >>> steps([10, 20])
    steps(at=[10.0, 20.0])
    """

    def convert(owner: str, name: str, x: Any) -> Any:
        return as_vector(owner, name, x)

    return dataclasses.field(default=default, metadata={_KEY: ("vector", convert)})


def static(
    default: Any = dataclasses.MISSING, *, convert: Callable[[Any], Any] | None = None, one_of: tuple | None = None
) -> Any:
    """Declare a field that belongs to the structure: it is hashed into the compilation key instead of traced.

    Args:
        default: the default of the field.
        convert: applied to the given value, once, at construction (for example to make it hashable).
        one_of: the allowed values.

    >>> import funcgd as fg
    >>> @fg.value
    ... class power:
    ...     exponent: int = fg.static(2)
    >>> power(3)
    power(exponent=3)
    """

    def normalise(owner: str, name: str, x: Any) -> Any:
        if convert is not None:
            try:
                x = convert(x)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{owner}: `{name}`: {error}") from error
        if one_of is not None and x not in one_of:
            raise ValueError(f"{owner}: `{name}` must be one of {', '.join(map(repr, one_of))}, got {x!r}.")
        try:
            hash(x)
        except TypeError as error:
            raise TypeError(f"{owner}: `{name}` is static, so it must be hashable; got {describe(x)}.") from error
        return x

    return dataclasses.field(default=default, metadata={_KEY: ("static", normalise)})


def plain(owner: str, name: str, x: Any) -> Any:
    """Normalise a field declared without a specifier: numbers become scalars, containers and pytrees pass."""
    if x is None or callable(x):
        return x
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return tuple(plain(owner, f"{name}[{i}]", item) for i, item in enumerate(x))
    if isinstance(x, (bool, np.bool_, str, complex)):
        raise TypeError(f"{owner}: `{name}` is {x!r}; declare fields that are no real numbers with `fg.static()`.")
    return as_scalar(owner, name, x, Interval("(-inf, inf)"), True) if is_number(x) else x


def as_scalar(owner: str, name: str, x: Any, within: Interval, schedule: bool) -> Any:
    """`x` as a Python float (or a real floating tracer), or an error that names `owner` and `name`."""
    if not is_number(x):
        allowed = "a number or a schedule (a function of the step)" if schedule else "a number"
        raise TypeError(f"{owner}: `{name}` must be {allowed}, got {describe(x)}.")
    shape, dtype = np.shape(x), jnp.result_type(x)
    if shape:
        raise ValueError(
            f"{owner}: `{name}` must be a scalar, got shape {shape}. For a population of them, build one value for "
            f"each and stack: fg.stack([{owner}({name}=x) for x in xs]), or fg.grid({owner}, {name}=xs)."
        )
    if jnp.issubdtype(dtype, jnp.complexfloating) or dtype == jnp.bool_:
        raise TypeError(f"{owner}: `{name}` must be real, got {describe(x)}.")
    if is_traced(x):
        return x if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize >= 4 else x.astype(jnp.float32)
    x = shortest(x)
    if x not in within:
        raise ValueError(f"{owner}: `{name}` must be in {within.text}, got {x!r}.")
    return x


def as_vector(owner: str, name: str, x: Any) -> Any:
    """`x` as a one-dimensional read-only float64 array (or a JAX array where it is traced)."""
    if any(map(is_traced, jax.tree.leaves(x))):
        x = jnp.stack([jnp.asarray(i, jnp.float32) for i in x]) if isinstance(x, (list, tuple)) else x
        if x.ndim != 1:
            raise ValueError(f"{owner}: `{name}` must have one dimension, got shape {x.shape}.")
        return x if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize >= 4 else x.astype(jnp.float32)
    try:
        x = np.array([as_scalar(owner, name, i, Interval("[-inf, inf]"), False) for i in x], np.float64)
    except (TypeError, ValueError):
        message = f"{owner}: `{name}` must be a sequence of real numbers without NaN, got {describe(x)}."
        raise TypeError(message) from None
    x.flags.writeable = False
    return x


def describe(x: Any) -> str:
    """`x` for an error message: its value if short, else its type, shape and dtype."""
    if isinstance(x, (jax.Array, np.ndarray)) and (np.ndim(x) or is_traced(x)):
        return f"an array of shape {np.shape(x)} and dtype {x.dtype}"
    text = repr(x)
    return text if len(text) <= 60 else f"a {type(x).__name__}"


# --- the decorator ------------------------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True, field_specifiers=(number, vector, static, dataclasses.field))
def value(cls: type[T]) -> type[T]:
    """Make `cls` a value: a frozen dataclass that is a pytree, prints as code and compares by content.

    Fields declared with `static` belong to the structure; all others are data: numbers (converted to floats, so that
    `jax.grad` applies), other values, tuples of them, None, or plain functions, which are held statically.

    - `repr` is code: `eval(repr(v), names) == v` where the static parts have names.
    - Equality takes identity first, then compares numbers in the narrower of the two dtypes, at least float32; so a value
      that went through `jax.jit` still equals the original. `hash` agrees with it.
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
            _, convert = f.metadata.get(_KEY, ("plain", plain))
            object.__setattr__(self, f.name, convert(type(self).__name__, f.name, getattr(self, f.name)))
        if post_init is not None:
            post_init(self)

    cls.__post_init__ = __post_init__  # pyright: ignore[reportAttributeAccessIssue]
    for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _repr)):
        if name not in cls.__dict__:
            setattr(cls, name, method)
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)

    kinds = [(f.name, f.metadata.get(_KEY, ("plain",))[0]) for f in dataclasses.fields(cls)]  # pyright: ignore
    data = tuple(name for name, kind in kinds if kind != "static")
    fixed = tuple(name for name, kind in kinds if kind == "static")
    keys = tuple(map(jax.tree_util.GetAttrKey, data))

    def flatten(self: Any) -> tuple[tuple, tuple]:
        return tuple(hold(getattr(self, n)) for n in data), tuple(getattr(self, n) for n in fixed)

    def flatten_with_keys(self: Any) -> tuple[tuple, tuple]:
        children, structure = flatten(self)
        return tuple(zip(keys, children, strict=True)), structure

    def unflatten(structure: tuple, children: tuple) -> Any:
        self = object.__new__(cls)  # no conversion: JAX unflattens with placeholders, tracers and batches
        for n, x in zip(data, children, strict=True):
            object.__setattr__(self, n, release(x))
        for n, x in zip(fixed, structure, strict=True):
            object.__setattr__(self, n, x)
        return self

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def data_fields(self: Any) -> Iterator[tuple[str, str, Any]]:
    """The data fields of a value: (name, kind, content), where the kind is "number", "vector" or "plain"."""
    for f in dataclasses.fields(self):
        kind = f.metadata.get(_KEY, ("plain",))[0]
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
        x, kind = getattr(self, f.name), f.metadata.get(_KEY, ("plain",))[0]
        optional = f.default is None or kind == "static"
        if not (optional and x is f.default or kind == "static" and f.default is not dataclasses.MISSING and x == f.default):
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
    return x.__name__ if is_plain_callable(x) and hasattr(x, "__name__") else repr(x)
