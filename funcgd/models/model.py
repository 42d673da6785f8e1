"""The model protocol: init(key) → params, apply(params, x) → prediction."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from funcgd.core.types import Params


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
