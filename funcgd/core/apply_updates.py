"""Take the step: parameters plus updates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics, validate
from funcgd.core.types import Params, Updates


def apply_updates(params: Params, updates: Updates) -> Params:
    """params + updates, added in at least float32 and rounded once to each parameter's dtype.

    A None in `updates` leaves its parameter as it is.

    Raises:
        ValueError: naming the first place where structure or shape differ.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.apply_updates({"w": jnp.ones(2, jnp.bfloat16)}, {"w": jnp.full(2, -0.5)})["w"].dtype
    dtype(bfloat16)
    """

    def is_none(x: Any) -> bool:
        return x is None

    def add(p: Any, u: Any) -> Any:
        if u is None:
            return p
        if (
            np.shape(p) != np.shape(u)
            or not validate.is_inexact(p)
            or (jnp.iscomplexobj(u) and not jnp.iscomplexobj(p))
        ):
            raise _Mismatch
        dtype = numerics.wide_dtype(jnp.result_type(p), jnp.result_type(u))
        wide = numerics.widen(p, dtype)
        return jnp.asarray(wide + jnp.asarray(u, wide.dtype), jnp.result_type(p))

    try:
        return jax.tree.map(add, params, updates, is_leaf=is_none)
    except (ValueError, TypeError, _Mismatch):
        validate.check_like("apply_updates", "updates", updates, "as in params", params)
        validate.check_leaves("apply_updates", "params", params)
        raise


class _Mismatch(Exception):
    pass
