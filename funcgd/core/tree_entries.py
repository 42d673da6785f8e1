"""What is done to, or asked of, all entries of a pytree alike."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics


def allclose(x: Any, y: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> jax.Array:
    """(), bool: whether |x − y| ≤ atol + rtol·|y| for all entries.

    >>> from funcgd import tree
    >>> bool(tree.allclose({"w": 1.0}, {"w": 1.000001}))
    True
    """
    close = jax.tree.map(lambda a, b: jnp.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan), x, y)
    return jax.tree.reduce(jnp.logical_and, close, jnp.bool_(True))


def clip(x: Any, min_value: Any = None, max_value: Any = None) -> Any:
    """x with its entries limited to [min_value, max_value], two numbers or None for no limit, in the dtypes of x.

    >>> from funcgd import tree
    >>> float(tree.clip({"w": 3.0}, max_value=2.0)["w"])
    2.0
    """

    def limited(a: Any) -> Any:
        low, high = (None if bound is None else jnp.asarray(bound, jnp.result_type(a)) for bound in bounds)
        return jnp.clip(a, low, high)

    bounds = min_value, max_value
    return jax.tree.map(limited, x)


def conj(x: Any) -> Any:
    """The complex conjugate of all entries; real leaves are unchanged.

    >>> from funcgd import tree
    >>> complex(tree.conj({"w": 1.0 + 2.0j})["w"])
    (1-2j)
    """
    return jax.tree.map(jnp.conj, x)


def real(x: Any) -> Any:
    """The real part of all entries.

    >>> from funcgd import tree
    >>> float(tree.real({"w": 1.0 + 2.0j})["w"])
    1.0
    """
    return jax.tree.map(jnp.real, x)


def cast_like(x: Any, y: Any) -> Any:
    """x in the dtypes of the leaves of y.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.cast_like({"w": 1.0}, {"w": jnp.ones(2, jnp.bfloat16)})["w"].dtype
    dtype(bfloat16)
    """
    return jax.tree.map(lambda a, b: jnp.asarray(a, jnp.result_type(b)), x, y)


def max(x: Any) -> jax.Array:
    """The largest entry, in at least float32: NaN if there is one, −∞ for an empty tree.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> float(tree.max({"a": jnp.array([1.0, -3.0]), "b": -2.0}))
    1.0
    """
    return _extreme(jnp.max, x, -jnp.inf)


def min(x: Any) -> jax.Array:
    """The smallest entry, in at least float32: NaN if there is one, ∞ for an empty tree.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> float(tree.min({"a": jnp.array([1.0, -3.0]), "b": -2.0}))
    -3.0
    """
    return _extreme(jnp.min, x, jnp.inf)


def _extreme(reduce: Callable[[Any], jax.Array], x: Any, empty: float) -> jax.Array:
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(x) if jnp.size(leaf)]
    dtype = numerics.wide_dtype(*(leaf.dtype for leaf in leaves))
    return reduce(jnp.stack([reduce(leaf).astype(dtype) for leaf in leaves])) if leaves else jnp.asarray(empty, dtype)
