"""Arithmetic on pytrees, and finding things in them by name. Public as `fg.tree`.

Trees that meet must have the same structure; None is an empty node, so frozen parts cost nothing.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.tree_entries import allclose, cast_like, clip, conj, max, min, real
from funcgd.core.tree_find import get, get_all_with_path, set
from funcgd.core.tree_kinds import batch_shape, dtype, map_params
from funcgd.core.tree_moments import bias_correction, update_infinity_moment, update_moment, update_moment_per_elem_norm
from funcgd.core.tree_random import random_like, split_key_like, unwrap_random_key_data

__all__ = [
    "add",
    "add_scale",
    "allclose",
    "batch_shape",
    "bias_correction",
    "cast",
    "cast_like",
    "clip",
    "conj",
    "div",
    "dtype",
    "equal",
    "full_like",
    "get",
    "get_all_with_path",
    "map_params",
    "max",
    "max_norm",
    "min",
    "mul",
    "norm",
    "ones_like",
    "random_like",
    "real",
    "real_vdot",
    "scale",
    "set",
    "size",
    "split_key_like",
    "sub",
    "sum",
    "unwrap_random_key_data",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
    "vdot",
    "where",
    "zeros_like",
]


def add(x: Any, y: Any, *others: Any) -> Any:
    """x + y (+ …), leaf by leaf.

    >>> from funcgd import tree
    >>> tree.add({"w": 1.0}, {"w": 2.0})
    {'w': 3.0}
    """
    return jax.tree.map(lambda a, b, *c: functools.reduce(operator.add, c, a + b), x, y, *others)


def sub(x: Any, y: Any) -> Any:
    """x − y, leaf by leaf.

    >>> from funcgd import tree
    >>> tree.sub((3.0,), (2.0,))
    (1.0,)
    """
    return jax.tree.map(lambda a, b: a - b, x, y)


def mul(x: Any, y: Any) -> Any:
    """x · y, leaf by leaf and entry by entry.

    >>> from funcgd import tree
    >>> tree.mul((3.0,), (2.0,))
    (6.0,)
    """
    return jax.tree.map(lambda a, b: a * b, x, y)


def div(x: Any, y: Any) -> Any:
    """x / y, leaf by leaf and entry by entry.

    >>> from funcgd import tree
    >>> tree.div((3.0,), (2.0,))
    (1.5,)
    """
    return jax.tree.map(lambda a, b: a / b, x, y)


def scale(scalar: Any, x: Any) -> Any:
    """scalar · x, in the dtypes of x, whatever that of the scalar; 16 bits are computed in 32 and rounded once.

    >>> from funcgd import tree
    >>> tree.scale(2.0, {"w": 3.0})
    {'w': 6.0}
    """
    return jax.tree.map(lambda a: _rounded(lambda a: _as_factor(scalar, a) * a, a), x)


def add_scale(x: Any, scalar: Any, y: Any) -> Any:
    """x + scalar · y, in the dtypes of x and y, whatever that of the scalar; 16 bits are computed in 32, rounded once.

    >>> from funcgd import tree
    >>> tree.add_scale((1.0,), -0.5, (4.0,))
    (-1.0,)
    """
    return jax.tree.map(lambda a, b: _rounded(lambda a, b: a + _as_factor(scalar, b) * b, a, b), x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition, (), holds, else y.

    >>> from funcgd import tree
    >>> float(tree.where(True, {"w": 1.0}, {"w": 2.0})["w"])
    1.0
    """
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


def equal(x: Any, y: Any) -> jax.Array:
    """(), bool: whether all entries are equal; NaN equals nothing.

    >>> from funcgd import tree
    >>> bool(tree.equal({"w": 1.0}, {"w": 1.0}))
    True
    """
    return jax.tree.reduce(jnp.logical_and, jax.tree.map(lambda a, b: jnp.all(a == b), x, y), jnp.bool_(True))


def vdot(x: Any, y: Any) -> jax.Array:
    """The inner product Σ conj(x)·y over all entries, summed in at least float32.

    >>> from funcgd import tree
    >>> float(tree.vdot({"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}))
    11.0
    """
    dtype = _common_dtype(x, y)
    terms = jax.tree.map(lambda a, b: jnp.sum(jnp.conj(jnp.asarray(a, dtype)) * jnp.asarray(b, dtype)), x, y)
    return jax.tree.reduce(lambda a, b: a + b, terms, jnp.zeros((), dtype))


def real_vdot(x: Any, y: Any) -> jax.Array:
    """The real part of `vdot`: for complex numbers the inner product of the plane, which slopes are made of.

    >>> from funcgd import tree
    >>> float(tree.real_vdot({"a": 1.0 + 1.0j}, {"a": 1.0 - 1.0j}))
    0.0
    """
    return jnp.real(vdot(x, y))


def sum(x: Any) -> jax.Array:
    """The sum of all entries, in at least float32.

    >>> from funcgd import tree
    >>> float(tree.sum({"a": 1.0, "b": 2.0}))
    3.0
    """
    dtype = _common_dtype(x)
    return jax.tree.reduce(lambda total, a: total + jnp.sum(jnp.asarray(a, dtype)), x, jnp.zeros((), dtype))


def norm(x: Any, ord: int | float | str | None = None, squared: bool = False) -> jax.Array:
    """The norm of all entries together: real, at least float32; the Euclidean one safe from overflow and underflow.

    Its derivative at 0 is 0. An empty tree has norm 0.

    Args:
        x: a pytree of arrays.
        ord: None or 2 for the Euclidean norm, 1 for the sum of absolute values, "inf" or ∞ for the largest.
        squared: whether to return the square.

    Raises:
        ValueError: for another `ord`.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> float(tree.norm({"a": jnp.float32(3e30), "b": jnp.float32(4e30)}))  # the squares overflow float32
    5e+30
    >>> float(tree.norm({"a": 3.0, "b": -4.0}, ord=1)), float(tree.norm({"a": 3.0, "b": -4.0}, squared=True))
    (7.0, 25.0)
    """
    if ord in (None, 2):
        factor, r = numerics.split_norm([jnp.asarray(leaf) for leaf in jax.tree.leaves(x)])
        return (factor * r) ** 2 if squared else factor * r
    if ord not in (1, np.inf, "inf"):
        raise ValueError(f"tree.norm: `ord` must be None, 1, 2 or ∞, got {ord!r}.")
    result = sum(jax.tree.map(lambda a: jnp.abs(numerics.widen(a)), x)) if ord == 1 else max_norm(x)
    return result**2 if squared else result


def max_norm(x: Any) -> jax.Array:
    """The largest absolute value of all entries: real, at least float32. NaN if there is one; 0 for an empty tree.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> float(tree.max_norm({"a": jnp.array([1.0, -3.0]), "b": 2.0}))
    3.0
    """
    leaves = [jnp.abs(numerics.widen(jnp.asarray(leaf))) for leaf in jax.tree.leaves(x) if jnp.size(leaf)]
    dtype = numerics.wide_dtype(*(leaf.dtype for leaf in leaves))
    largest = [jnp.asarray(jnp.max(leaf), dtype) for leaf in leaves]
    return jnp.max(jnp.stack(largest)) if largest else jnp.zeros((), dtype)


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shapes of x, in `dtype` or the leaves' own; never weakly typed, never aliasing x.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.zeros_like({"w": jnp.ones(2, jnp.bfloat16)})["w"].dtype
    dtype(bfloat16)
    """
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shapes of x.

    >>> from funcgd import tree
    >>> float(tree.ones_like((2.0,))[0])
    1.0
    """
    return full_like(x, 1, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` in the shapes of x, in `dtype` or the leaves' own.

    >>> from funcgd import tree
    >>> float(tree.full_like((2.0,), 7)[0])
    7.0
    """
    return jax.tree.map(lambda a: jnp.full(jnp.shape(a), fill_value, dtype or jnp.result_type(a)), x)


def cast(x: Any, dtype: Any) -> Any:
    """x with its floating leaves in `dtype`; other leaves, and None for `dtype`, change nothing.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.cast((jnp.ones(2), 3), jnp.bfloat16)[0].dtype
    dtype(bfloat16)
    """
    if dtype is None:
        return x
    return jax.tree.map(lambda a: jnp.asarray(a, dtype) if jnp.issubdtype(jnp.result_type(a), jnp.floating) else a, x)


def size(x: Any) -> int:
    """The number of entries.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.size({"w": jnp.ones((2, 3)), "b": jnp.ones(3)})
    9
    """
    return jax.tree.reduce(lambda n, a: n + np.size(a), x, 0)


def _rounded(f: Callable[..., Any], *leaves: Any) -> Any:
    """f of the leaves, computed in float32 and rounded once to their dtype where that has 16 bits."""
    own = jnp.result_type(leaves[0])
    low = own.name in ("bfloat16", "float16") and all(jnp.result_type(leaf) == own for leaf in leaves)
    result = f(*map(numerics.widen, leaves)) if low else f(*leaves)
    return jnp.asarray(result, own) if low and not jnp.iscomplexobj(result) else result


def _as_factor(scalar: Any, leaf: Any) -> Any:
    """A real number of any precision as one that keeps the dtype of a leaf."""
    dtype = jnp.result_type(leaf)
    real = isinstance(scalar, (jax.Array, np.ndarray, np.generic)) and jnp.issubdtype(scalar.dtype, jnp.floating)
    return jnp.asarray(scalar, dtype) if real and jnp.issubdtype(dtype, jnp.inexact) else scalar


def _common_dtype(*trees: Any) -> Any:
    """The dtype in which all entries meet: at least float32, complex if any of them is."""
    dtypes = [jnp.result_type(a) for a in jax.tree.leaves(trees)]
    real = numerics.wide_dtype(*dtypes)
    return np.result_type(real, np.complex64) if any(jnp.issubdtype(d, jnp.complexfloating) for d in dtypes) else real
