"""What all losses check and convert, in one voice."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.core.schedule import is_concrete

ROUNDING = 1e-3  # probabilities that were rounded to float16 or bfloat16 may leave [0, 1] by this much


def wide(who: str, *, allow_complex: bool = False, **given: Any) -> list[jax.Array]:
    """All arguments as arrays in one precision, at least float32 (float64 if one of them is).

    Raises:
        TypeError: if one is not an array of numbers, or is complex where only real ones make sense.
    """
    arrays = {}
    for name, x in given.items():
        try:
            arrays[name] = array = jnp.asarray(x)
        except (TypeError, ValueError):
            raise TypeError(f"{who}: `{name}` must be an array of numbers, got {describe(x)}.") from None
        if jnp.issubdtype(array.dtype, jax.dtypes.extended):
            raise TypeError(f"{who}: `{name}` must be an array of numbers, got dtype {array.dtype}.")
        if jnp.iscomplexobj(array) and not allow_complex:
            raise TypeError(f"{who}: `{name}` must be real, got dtype {array.dtype}.")
    inexact = [x.dtype for x in arrays.values() if jnp.issubdtype(x.dtype, jnp.inexact)]
    dtype = numerics.wide_dtype(*inexact)
    if any(map(jnp.iscomplexobj, arrays.values())):
        dtype = np.result_type(dtype, np.complex64)
    return [jnp.asarray(x, dtype) for x in arrays.values()]


def same_shape(who: str, name: str, x: Any, like: str, other: Any) -> None:
    """x must have exactly the shape of `other`: broadcasting (N,) against (N, 1) would make N² errors of N.

    Raises:
        ValueError: with both shapes.
    """
    if np.shape(x) != np.shape(other):
        raise ValueError(f"{who}: `{name}` must have the shape of `{like}`, {np.shape(other)}, got {np.shape(x)}.")


def difference(who: str, predictions: Any, targets: Any, *, allow_complex: bool = False) -> jax.Array:
    """ŷ − y in at least float32; None for the targets is zero.

    Raises:
        ValueError: if the shapes differ.
    """
    if targets is None:
        return wide(who, allow_complex=allow_complex, predictions=predictions)[0]
    same_shape(who, "targets", targets, "predictions", predictions)
    y, t = wide(who, allow_complex=allow_complex, predictions=predictions, targets=targets)
    return y - t


def number(
    who: str, name: str, x: Any, dtype: Any, low: float = -np.inf, high: float = np.inf, *, above: bool = False
) -> jax.Array:
    """The number x as (), in `dtype`. Where it is known it must be in [low, high], or (low, high] if `above`.

    Raises:
        ValueError: if it is outside, or not one real number.
    """
    if np.shape(x) or jnp.iscomplexobj(x):
        raise ValueError(f"{who}: `{name}` must be one real number, got {describe(x)}.")
    if known(x):
        value = float(x)
        if not (low < value if above else low <= value) or not value <= high:
            left, right = "(" if above or low == -np.inf else "[", ")" if high == np.inf else "]"
            raise ValueError(f"{who}: `{name}` must be in {left}{low:g}, {high:g}{right}, got {value:g}.")
    return jnp.asarray(x, dtype)


def class_axes(
    who: str, axis: int | Sequence[int] | None, shape: tuple[int, ...], name: str = "logits"
) -> tuple[int, ...]:
    """The axes of the classes of the argument `name`, all ≥ 0; None means every axis.

    Raises:
        ValueError: if one is out of range or given twice, or there is no class.
    """
    ndim = len(shape)
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if not ndim or not all(-ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) != len(axes) or not axes:
        raise ValueError(f"{who}: `axis` must name axes of `{name}`, which has {ndim}, each once; got {axis!r}.")
    if not all(shape[a] for a in axes):
        raise ValueError(
            f"{who}: `{name}` must have at least one class, got shape {shape} with the classes on {axis!r}."
        )
    return tuple(int(a) % ndim for a in axes)


def classes_last(x: Any, axes: tuple[int, ...]) -> Any:
    """x with the axes of the classes flattened into one, which is the last."""
    x = (np if isinstance(x, np.ndarray) else jnp).moveaxis(x, axes, range(-len(axes), 0))
    return x.reshape(*x.shape[: x.ndim - len(axes)], -1) if len(axes) > 1 else x


def included_classes(who: str, where: Any, shape: tuple[int, ...], axes: tuple[int, ...], name: str = "logits") -> Any:
    """The mask `where`, of the shape of the argument `name` with the classes last. NumPy if it is known.

    For None it is True, once for all along each axis: as large as the logits it would be a constant of the program.

    Raises:
        TypeError: if it is not boolean.
        ValueError: if it has neither the shape of that argument nor that of the examples.
    """
    examples = tuple(n for i, n in enumerate(shape) if i not in axes)
    if where is None:
        return np.ones((*(1 for _ in examples), min(int(np.prod([shape[a] for a in axes])), 1)), bool)
    if jnp.result_type(where) != jnp.bool_:
        raise TypeError(f"{who}: `where` must be boolean, got dtype {jnp.result_type(where)}.")
    if np.shape(where) not in (shape, examples):
        raise ValueError(
            f"{who}: `where` must have the shape of `{name}`, {shape}, or of the examples, {examples}; "
            f"got {np.shape(where)}."
        )
    xp = np if known(where) else jnp  # under jit, jnp would trace it
    where = xp.asarray(where)
    return classes_last(where if where.shape == shape else xp.broadcast_to(xp.expand_dims(where, axes), shape), axes)


def known(*arrays: Any) -> bool:
    """Whether the data of all arrays can be looked at here: not traced, and not spread over other hosts."""
    return is_concrete(*arrays) and all(getattr(x, "is_fully_addressable", True) for x in arrays)


def probabilities(who: str, labels: Any, name: str = "labels") -> None:
    """Labels, or another argument called `name`, must be in [0, 1] where they are known.

    Raises:
        ValueError: naming the first that is not.
    """
    if known(labels):
        x = np.asarray(labels)
        first_bad(who, x, ~((x >= -ROUNDING) & (x <= 1 + ROUNDING)), "[0, 1]", name)


def integer_labels(
    who: str, labels: Any, shape: tuple[int, ...], axes: tuple[int, ...], advice: str = "", name: str = "logits"
) -> None:
    """Labels must be integers, one for each example of the argument `name` of that shape.

    Raises:
        TypeError, ValueError: with what they are.
    """
    if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
        got = f"{who}: `labels` must be integers, got dtype {jnp.result_type(labels)}. {advice}"
        raise TypeError(got.rstrip())
    examples = tuple(n for i, n in enumerate(shape) if i not in axes)
    if np.shape(labels) != examples:
        raise ValueError(
            f"{who}: `labels` must have the shape of `{name}` without the axis of the classes, {examples}, "
            f"got {np.shape(labels)}."
        )


def class_numbers(who: str, labels: Any, classes: int, included: Any, where: Any) -> None:
    """Labels, where they are known, must name an included class, except in examples that have none.

    Raises:
        ValueError: naming the first that does not.
    """
    if known(labels, included):
        y = np.asarray(labels)
        in_range = (y >= 0) & (y < classes)
        index = np.where(in_range, y, 0).astype(np.int64)[..., None]
        full = np.broadcast_to(included, (*y.shape, classes))
        bad = ~(in_range & np.take_along_axis(full, index, axis=-1)[..., 0])
        allowed = f"[0, {classes})" + ("" if where is None else " and among the classes that `where` includes")
        first_bad(who, y, bad & np.any(included, axis=-1), allowed)


def first_bad(who: str, x: np.ndarray, bad: np.ndarray, allowed: str, name: str = "labels") -> None:
    """Raise a ValueError that names the first of x, the argument `name`, where `bad` is True, if there is one."""
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        at = f"[{', '.join(map(str, index))}]" if index else ""
        raise ValueError(f"{who}: `{name}` must be in {allowed}, got `{name}{at}` = {x[index]}.")
