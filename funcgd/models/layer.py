"""One layer z = Wx + b: its parameters, and their use. The rows of W are the output units."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.models.initializers import Initializer, resolve_initializer


def init_layer(
    who: str, key: jax.Array, features_in: int, features_out: int, bias: bool, initializer: Initializer, dtype: str
) -> dict[str, jax.Array]:
    """{"w": W of shape (features_out, features_in), "b": zeros of shape (features_out,)}, "b" only with a bias.

    The initializer is called with JAX's shape (features_in, features_out), on which the fans of the Glorot and He rules
    rest, and its array is transposed.
    """
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f"{who}: `dtype` is {dtype}, which needs jax.config.update('jax_enable_x64', True).")
    shape = (features_in, features_out)
    w = resolve_initializer(initializer)(key, shape, jnp.dtype(dtype))
    if np.shape(w) != shape:
        raise ValueError(f"{who}: `initializer` must return shape {shape} (in, out), got {describe(w)}.")
    layer = {"w": jnp.asarray(w, dtype).T}
    return layer | {"b": jnp.zeros(features_out, dtype)} if bias else layer


def layer_shapes(features_in: int, features_out: int, bias: bool) -> dict[str, jax.ShapeDtypeStruct]:
    """The structure and shapes of `init_layer`."""
    layer = {"w": jax.ShapeDtypeStruct((features_out, features_in), jnp.float32)}
    return layer | {"b": jax.ShapeDtypeStruct((features_out,), jnp.float32)} if bias else layer


def as_features(who: str, x: Any, features: int) -> jax.Array:
    """x as an array whose last axis holds `features` real numbers.

    Raises:
        ValueError: if the last axis is of another length.
        TypeError: if x is complex.
    """
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[-1] != features:
        raise ValueError(f"{who}: `x` must have {features} features on its last axis, got shape {x.shape}.")
    if jnp.iscomplexobj(x):
        raise TypeError(f"{who}: `x` must be real, got {x.dtype}.")
    return x


def affine(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Wx + b over the last axis of x, in the dtype of W."""
    w = layer["w"]
    z = x.astype(w.dtype) @ w.T
    return z + layer["b"].astype(w.dtype) if "b" in layer else z
