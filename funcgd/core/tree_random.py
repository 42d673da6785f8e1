"""Random pytrees, and keys in pytrees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.validate import check_key


def split_key_like(key: jax.Array, x: Any) -> Any:
    """A tree of random keys, one for each leaf of x.

    Raises:
        TypeError: if `key` is not one random key.

    >>> import jax
    >>> from funcgd import tree
    >>> sorted(tree.split_key_like(jax.random.key(0), {"w": 1.0, "b": 2.0}))
    ['b', 'w']
    """
    check_key("tree.split_key_like", key)
    leaves, structure = jax.tree.flatten(x)
    return structure.unflatten(list(jax.random.split(key, len(leaves))) if leaves else [])


def random_like(key: jax.Array, x: Any, sampler: Callable[..., Any] = jax.random.normal, dtype: Any = None) -> Any:
    """Independent random entries in the shapes of x, in `dtype` or the leaves' own.

    Args:
        key: a random key.
        x: a pytree of arrays.
        sampler: key, shape, dtype → an array; by default normal, with mean 0 and variance 1.
        dtype: of all leaves; None for those of x.

    Raises:
        TypeError: if `key` is not one random key.

    >>> import jax, jax.numpy as jnp
    >>> from funcgd import tree
    >>> noise = tree.random_like(jax.random.key(0), {"w": jnp.ones((3, 2)), "b": jnp.ones(2, jnp.bfloat16)})
    >>> noise["w"].shape, noise["b"].dtype
    ((3, 2), dtype(bfloat16))
    """
    check_key("tree.random_like", key)
    keys = split_key_like(key, x)
    return jax.tree.map(lambda a, k: sampler(k, jnp.shape(a), dtype or jnp.result_type(a)), x, keys)


def unwrap_random_key_data(x: Any) -> Any:
    """x with the numbers of its random keys in place of the keys, to be compared or saved.

    >>> import jax
    >>> from funcgd import tree
    >>> tree.unwrap_random_key_data({"key": jax.random.key(3)})["key"].tolist()
    [0, 3]
    """

    def unwrapped(a: Any) -> Any:
        dtype = getattr(a, "dtype", None)
        return jax.random.key_data(a) if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) else a

    return jax.tree.map(unwrapped, x)
