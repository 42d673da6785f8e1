"""Trees as projections compute with them: in at least float32, rounded once to the dtypes that came."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import Interval, as_scalar, is_traced
from funcgd.core.validate import check_leaves

AT_LEAST_ZERO = Interval("[0, inf)")


def widened(who: str, x: Any, *, real: bool = False) -> Any:
    """The leaves of x as arrays of at least float32.

    Raises:
        TypeError: if a leaf is no floating or complex array; with `real`, if it is complex.
    """
    check_leaves(who, "tree", x)
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if real and jnp.iscomplexobj(leaf):
            place = f"tree{jax.tree_util.keystr(path)}"
            raise TypeError(f"{who}: `{place}` must be real, got {jnp.result_type(leaf)}.")
    return jax.tree.map(numerics.widen, x)


def narrowed(wide: Any, x: Any) -> Any:
    """`wide` in the dtypes of x."""
    return jax.tree.map(lambda a, b: jnp.asarray(a, jnp.result_type(b)), wide, x)


def radius(who: str, name: str, x: Any) -> Any:
    """A number of at least 0, as a Python float or a tracer.

    Raises:
        ValueError: if it is negative, or no scalar.
    """
    return as_scalar(who, name, x, AT_LEAST_ZERO, False)


def ravel(x: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """All entries of x as one vector of their widest dtype, and the way back to the shapes and dtypes of x."""
    leaves, structure = jax.tree.flatten(x)
    shapes, dtypes = [np.shape(a) for a in leaves], [jnp.result_type(a) for a in leaves]
    real = numerics.wide_dtype(*dtypes)
    dtype = np.result_type(real, np.complex64) if any(jnp.issubdtype(d, jnp.complexfloating) for d in dtypes) else real
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    flat = jnp.concatenate([jnp.ravel(jnp.asarray(a, dtype)) for a in leaves]) if leaves else jnp.zeros(0, dtype)

    def back(vector: jax.Array) -> Any:
        parts = jnp.split(vector, ends) if leaves else []
        return structure.unflatten(
            _as_dtype(part.reshape(shape), d) for part, shape, d in zip(parts, shapes, dtypes, strict=True)
        )

    return flat, back


def _as_dtype(x: jax.Array, dtype: Any) -> jax.Array:
    complex_to_real = jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating)
    return jnp.asarray(x.real if complex_to_real else x, dtype)


def modulus(x: jax.Array) -> jax.Array:
    """|x|, whose derivative at 0 is 0."""
    return jnp.where(x == 0, 0, jnp.abs(jnp.where(x == 0, jnp.ones_like(x), x)))


def times(x: jax.Array, factor: jax.Array) -> jax.Array:
    """x · factor for a real factor, where x may be complex."""
    return x * jnp.asarray(factor, x.dtype)


def prefixed(who: str, name: str, function: Callable, x: Any, *parts: Any) -> Any:
    """function(leaf of x, what stands for it in each of the prefix trees `parts`).

    Raises:
        ValueError: if one of them is no prefix of x.
    """
    spread = []
    for part in parts:
        try:
            spread.append(jax.tree.map(lambda p, sub: jax.tree.map(lambda _, p=p: Box(p), sub), part, x))
        except ValueError as error:
            raise ValueError(f"{who}: `{name}` must be a number or a prefix of the tree: {error}") from None
    return jax.tree.map(lambda a, *boxes: function(a, *(box.item for box in boxes)), x, *spread)


class Box:
    """A leaf that holds anything."""

    def __init__(self, item: Any):
        self.item = item


def is_concrete(*xs: Any) -> bool:
    """Whether all leaves are known now."""
    return not any(is_traced(leaf) for leaf in jax.tree.leaves(xs))
