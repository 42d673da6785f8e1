"""Where optimizers keep what they remember: trees like the parameters, in a declared dtype."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.types import Params
from funcgd.core.values import Held


def moment(params: Params, dtype: Any = None, fill_value: Any = 0) -> Any:
    """A slot like `params` in `dtype`, or else in at least float32; complex where the parameters are."""
    return jax.tree.map(lambda p: jnp.full(jnp.shape(p), fill_value, _stored(p, dtype)), params)


def _stored(p: Any, dtype: Any) -> np.dtype:
    own = jnp.result_type(p)
    kind = numerics.wide_dtype(own) if dtype is None else jnp.dtype(dtype)
    if jnp.issubdtype(own, jnp.complexfloating):
        kind = np.dtype(np.complex128 if jnp.finfo(kind).bits == 64 else np.complex64)
    return kind


def second_moment(params: Params, fill_value: Any = 0) -> Any:
    """A real slot like `params` in at least float32 (float64 under float64 parameters)."""
    return jax.tree.map(lambda p: jnp.full(jnp.shape(p), fill_value, numerics.wide_dtype(jnp.result_type(p))), params)


def copied(params: Params, dtype: Any = None) -> Any:
    """`params` as a slot, in `dtype` or else in at least float32: never an alias of them."""
    return jax.tree.map(lambda p: jnp.array(p, _stored(p, dtype), copy=True), params)


def scalar(params: Params, fill_value: Any = 0) -> jax.Array:
    """A real number for all of `params` together, (), in at least float32 (float64 if any of them is)."""
    return jnp.array(fill_value, numerics.wide_dtype(*map(jnp.result_type, jax.tree.leaves(params))), copy=True)


def from_slot(slot: Any, params: Params, rule: Callable[[Any, Any], Any] = lambda x, p: x) -> Params:
    """`rule(x, p)` of each x of the slot and the parameter beside it, in the dtype of the latter.

    What the slot holds nothing for, because it does not train, stays as it is in `params`, whatever it is.
    """

    def one(x: Any, p: Any) -> Any:
        if x is None or isinstance(x, Held):
            return p
        dtype = numerics.wide_dtype(jnp.result_type(x), jnp.result_type(p))
        with jax.numpy_dtype_promotion("standard"):  # a complex leaf meets real numbers
            return jnp.asarray(rule(numerics.widen(x, dtype), numerics.widen(p, dtype)), jnp.result_type(p))

    return jax.tree.map(one, slot, params, is_leaf=lambda x: x is None or isinstance(x, Held))
