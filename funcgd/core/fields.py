"""The fields of values: what a number, a vector and a static part may be, and how each is converted and checked."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

KEY = "funcgd"  # where a dataclass field's metadata hold its (kind, conversion)


def is_traced(x: Any) -> bool:
    """Whether `x` is known only while tracing, so that no Python decision may depend on it."""
    return isinstance(x, Tracer)


def is_number(x: Any) -> bool:
    """Whether `x` is a scalar or array of numbers (booleans and random keys are not)."""
    if isinstance(x, jax.Array):
        return not jnp.issubdtype(x.dtype, jax.dtypes.extended)
    return isinstance(x, (int, float, np.number, np.ndarray)) and not isinstance(x, bool)


def shortest(x: Any) -> float:
    """The Python float that prints like `x` in its own precision: float32(0.1) gives 0.1, not 0.10000000149."""
    x = np.asarray(x)
    return float(x) if x.dtype.itemsize == 8 or x.dtype.kind not in "fV" else float(str(np.float32(x)))


@dataclasses.dataclass(frozen=True)
class Interval:
    """A set of allowed numbers, written as in a book: `[0, 1)`."""

    text: str

    def __contains__(self, x: float) -> bool:
        low, high = (float(bound) for bound in self.text[1:-1].split(","))
        above = x >= low if self.text[0] == "[" else x > low
        below = x <= high if self.text[-1] == "]" else x < high
        return above and below  # NaN is in no interval


def number(
    within: str = "(-inf, inf)",
    *,
    default: Any = dataclasses.MISSING,
    schedule: bool = True,
    optional: bool = False,
) -> Any:
    """Declare a scalar hyperparameter: a Python number, a 0-d array, a tracer, or (unless told otherwise) a schedule.

    Args:
        within: the allowed interval, such as `"[0, 1)"`, tested where the number is concrete.
        default: the default; None makes the hyperparameter optional.
        schedule: whether a callable of the step is accepted too.
        optional: whether None is accepted too, where the default is a number.

    >>> import funcgd as fg
    >>> @fg.value
    ... class shrink:
    ...     factor: float = fg.number("(0, 1]", default=0.5)
    >>> shrink(2.0)
    Traceback (most recent call last):
    ...
    ValueError: shrink: `factor` must be in (0, 1], got 2.0.
    """
    return field("number", _conversion(within, schedule, optional or default is None), default=default)


def numbers(within: str = "(-inf, inf)", *, default: tuple, schedule: bool = True) -> Any:
    """Declare a tuple of as many scalar hyperparameters as the default has, such as `betas=(0.9, 0.999)`.

    >>> from funcgd.core.fields import numbers
    >>> import funcgd as fg
    >>> @fg.value
    ... class decays:
    ...     betas: tuple = numbers("[0, 1)", default=(0.9, 0.999))
    >>> decays((0.5, 1.0))
    Traceback (most recent call last):
    ...
    ValueError: decays: `betas[1]` must be in [0, 1), got 1.0.
    """
    one = _conversion(within, schedule, optional=False)

    def convert(owner: str, name: str, xs: Any) -> Any:
        if not isinstance(xs, (tuple, list)) or len(xs) != len(default):
            raise TypeError(f"{owner}: `{name}` must be {len(default)} numbers, as {default}, got {describe(xs)}.")
        return tuple(one(owner, f"{name}[{i}]", x) for i, x in enumerate(xs))

    return field("numbers", convert, default=default)


def _conversion(within: str, schedule: bool, optional: bool) -> Callable[[str, str, Any], Any]:
    if not isinstance(within, str):
        raise TypeError(
            f'number: `within` must be an interval such as "[0, 1)", got {within!r}; write default={within!r}.'
        )

    interval = Interval(within)

    def convert(owner: str, name: str, x: Any) -> Any:
        if x is None and optional:
            return None
        if callable(x):
            if schedule:
                return x
            raise TypeError(f"{owner}: `{name}` must be a number, and cannot be a schedule; got {describe(x)}.")
        return as_scalar(owner, name, x, interval, schedule)

    return convert


def vector(*, default: Any = dataclasses.MISSING) -> Any:
    """Declare a hyperparameter that is a one-dimensional array, such as the boundaries of a schedule.

    Concrete numbers are stored as a read-only float64 NumPy array; a list that holds tracers becomes a JAX array.

    >>> import funcgd as fg
    >>> @fg.value
    ... class steps:
    ...     at: object = fg.vector()
    >>> steps([10, 20])
    steps(at=[10.0, 20.0])
    """

    return field("vector", as_vector, default=default)


def static(
    *, default: Any = dataclasses.MISSING, convert: Callable[[Any], Any] | None = None, one_of: tuple | None = None
) -> Any:
    """Declare a field that belongs to the structure: it is hashed into the compilation key instead of traced.

    Args:
        default: the default of the field.
        convert: applied to the given value, once, at construction (for example to make it hashable).
        one_of: the allowed values.

    >>> import funcgd as fg
    >>> @fg.value
    ... class power:
    ...     exponent: int = fg.static(default=2)
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

    return field("static", normalise, default=default)


def field(kind: str, convert: Callable[[str, str, Any], Any], *, default: Any = dataclasses.MISSING) -> Any:
    """Declare a field of some kind; `convert(owner, field name, x)` gives what is stored, or raises."""
    return dataclasses.field(default=default, metadata={KEY: (kind, convert)})


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
    if type(x) is float and x in within:  # most are, and chains are composed anew for each use
        return x
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
        return x if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize >= 4 else jnp.asarray(x, jnp.float32)
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


def as_count(n: Any, least: int = 1) -> int:
    """`n` as a Python integer of at least `least`.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is smaller.
    """
    if not (is_number(n) and np.shape(n) == () and np.issubdtype(np.result_type(n), np.integer)):
        raise TypeError(f"expected an integer, got {describe(n)}.")
    if n < least:
        raise ValueError(f"expected at least {least}, got {n}.")
    return int(n)


def as_optional_count(n: Any) -> int | None:
    """`as_count`, and None for None."""
    return None if n is None else as_count(n)


def as_dtype(dtype: Any) -> str:
    """The name of a floating `dtype`: hashable, and code when printed.

    Raises:
        TypeError: if it is no floating dtype.
    """
    if dtype is None or not jnp.issubdtype(jnp.dtype(dtype), jnp.floating):
        raise TypeError(f"expected a floating dtype, got {describe(dtype)}.")
    return jnp.dtype(dtype).name


def as_optional_dtype(dtype: Any) -> str | None:
    """`as_dtype`, and None for None."""
    return None if dtype is None else as_dtype(dtype)


def describe(x: Any) -> str:
    """`x` for an error message: its value if short, else its type, shape and dtype."""
    if isinstance(x, (jax.Array, np.ndarray)) and (np.ndim(x) or is_traced(x)):
        return f"an array of shape {np.shape(x)} and dtype {x.dtype}"
    text = repr(x)
    return text if len(text) <= 60 else f"a {type(x).__name__}"
