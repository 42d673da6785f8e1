"""The model protocol: init(key) → params, apply(params, x) → prediction."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.types import Params
from funcgd.core.values import describe, is_number


class Model:
    """The base of all models; subclass it with `@fg.value` and write `init` and `apply`.

    Both methods are pure. A model is a value without parameters: it prints as code, and equal models are equal. The
    parameters are a pytree that `init` makes from a random key and that training replaces; `jax.vmap(model.init)` over
    keys makes many starts at once.

    `init, apply = model` unpacks.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> @fg.value
    ... class scale(fg.Model):
    ...     def init(self, key):
    ...         return jax.random.normal(key)
    ...     def apply(self, params, x):
    ...         return params * x
    >>> init, apply = scale()
    >>> float(apply(jnp.float32(2.0), 3.0))
    6.0
    """

    def init(self, key: jax.Array) -> Params:
        """Parameters drawn with the random key; works under `jax.eval_shape` and `jax.vmap`."""
        raise NotImplementedError(f"{type(self).__name__} must define `init(self, key)`.")

    def apply(self, params: Params, x: Any) -> Any:
        """The prediction for the input x, one example or any leading axes of them."""
        raise NotImplementedError(f"{type(self).__name__} must define `apply(self, params, x)`.")

    def __iter__(self) -> Iterator[Callable]:
        yield self.init
        yield self.apply


def check_key(who: str, key: Any) -> None:
    """`key` must be one random key, of the new style or the old.

    Raises:
        TypeError: if it is something else, such as a bare seed.
    """
    dtype, shape = getattr(key, "dtype", None), np.shape(key)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ()
    if not (typed or (dtype == np.uint32 and len(shape) == 1)):
        raise TypeError(f"{who}: `key` must be one random key, such as jax.random.key(0), got {describe(key)}.")


def as_count(n: Any, least: int = 1) -> int:
    """`n` as a Python integer of at least `least`.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is smaller.
    """
    if not (is_number(n) and np.shape(n) == () and np.issubdtype(np.result_type(n), np.integer)):
        raise TypeError(f"expected an integer, got {describe(n)}.")
    if n < least:
        raise ValueError(f"expected at least {least}, got {n}.")
    return int(n)


def as_dtype(dtype: Any) -> str:
    """The name of a floating `dtype`, hashable, and code when printed.

    Raises:
        TypeError: if it is no floating dtype.
    """
    if dtype is None or not jnp.issubdtype(jnp.dtype(dtype), jnp.floating):
        raise TypeError(f"expected a floating dtype, got {describe(dtype)}.")
    return jnp.dtype(dtype).name
