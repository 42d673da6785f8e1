"""Pytrees as real vectors: for methods that work with matrices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics


def to_vector(x: Any) -> jax.Array:
    """All entries as one real vector, in at least float32; of complex ones the real parts, then the imaginary parts.

    >>> import jax.numpy as jnp
    >>> from funcgd.core.coordinates import to_vector
    >>> to_vector({"a": jnp.array([1.0, 2.0]), "b": jnp.array(3 + 4j)}).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    parts = [jnp.ravel(part) for leaf in jax.tree.leaves(x) for part in _parts(jnp.asarray(leaf))]
    dtype = numerics.wide_dtype(*(part.dtype for part in parts))
    return jnp.concatenate([jnp.asarray(part, dtype) for part in parts]) if parts else jnp.zeros(0, dtype)


def from_vector(vector: jax.Array, like: Any) -> Any:
    """The inverse of `to_vector`: a tree with the structure, shapes and dtypes of `like`.

    >>> import jax.numpy as jnp
    >>> from funcgd.core.coordinates import from_vector
    >>> from_vector(jnp.array([1.0, 2.0, 3.0]), {"a": jnp.zeros(2), "b": jnp.zeros(())})["b"].tolist()
    3.0
    """
    leaves, structure = jax.tree.flatten(like)
    start, found = 0, []
    for leaf in leaves:
        dtype, shape, n = jnp.result_type(leaf), np.shape(leaf), np.size(leaf)
        part = vector[start : start + n]
        start += n
        if jnp.issubdtype(dtype, jnp.complexfloating):
            part = jax.lax.complex(part, vector[start : start + n])
            start += n
        found.append(jnp.asarray(part.reshape(shape), dtype))
    return jax.tree.unflatten(structure, found)


def _parts(x: jax.Array) -> tuple[jax.Array, ...]:
    return (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)
