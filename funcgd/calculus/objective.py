"""What functions of the calculus take: a function that returns one real number, a point, and a vector like it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, is_traced
from funcgd.core.types import Params
from funcgd.core.validate import check_leaves, check_like


def objective(who: str, fun: Callable, args: tuple = (), *, name: str = "fun", kind: Any = jnp.floating) -> Callable:
    """x ↦ the value of fun(x, *args), which is the first of a pair (value, aux).

    Raises:
        TypeError: if `fun` is no function; when called, if the value is not one number of that kind.
    """
    if not callable(fun):
        raise TypeError(f"{who}: `{name}` must be a function, got {describe(fun)}.")

    def f(x: Params) -> jax.Array:
        out = fun(x, *args)
        value: Any = out[0] if isinstance(out, tuple) and len(out) == 2 else out
        if isinstance(value, float):  # a constant
            value = jnp.asarray(value, jnp.result_type(value))
        _check_number(who, name, value, kind)
        return value

    return f


def _check_number(who: str, name: str, value: Any, kind: Any) -> None:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, kind):
        got = describe(value) if shape is None else f"shape {shape} and dtype {dtype}"
        wanted = "real floating" if kind is jnp.floating else "complex"
        raise TypeError(f"{who}: `{name}` must return one {wanted} number, got {got}.")


def point(who: str, x: Params, *, real: bool = False) -> Params:
    """x with its leaves as arrays.

    Raises:
        TypeError: if a leaf is not floating or complex, or not real where that is needed.
        ValueError: if there is no entry.
    """
    check_leaves(who, "x", x)
    if not sum(map(np.size, jax.tree.leaves(x))):
        raise ValueError(f"{who}: `x` must have at least one entry, got none.")
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if real and jnp.iscomplexobj(leaf):
            raise TypeError(f"{who}: `x{jax.tree_util.keystr(path)}` must be real, got {jnp.result_type(leaf)}.")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), x)


def vector_like(who: str, name: str, v: Any, x: Params) -> Any:
    """The vector v in the dtypes of x.

    Raises:
        ValueError: if structure or shapes are others than those of x.
        TypeError: if a leaf is not floating or complex, or complex where that of x is real.
    """
    check_leaves(who, name, v)
    check_like(who, name, v, "as `x` has it", x)
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), v, x)


def is_known(x: Any) -> bool:
    """Whether no leaf of x is traced."""
    return not any(map(is_traced, jax.tree.leaves(x)))
