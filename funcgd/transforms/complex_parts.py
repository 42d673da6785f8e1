"""Real and imaginary parts as two arrays, for the transform inside."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.values import value
from funcgd.transforms.wrapper import Wrapper


class SplitRealAndImaginaryArrays(NamedTuple):
    """A complex array as two real ones.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.split_real_and_imaginary(fg.adam(0.1)).init(jnp.zeros(2, complex))
    >>> fg.tree.get(state, "mu").real.dtype
    dtype('float32')
    """

    real: Any
    imaginary: Any


class SplitRealAndImaginaryState(NamedTuple):
    """The state of `split_real_and_imaginary`.

    >>> import funcgd as fg
    >>> fg.split_real_and_imaginary(fg.sgd(0.1)).init(0.0)
    SplitRealAndImaginaryState(inner_state=(EmptyState(),))
    """

    inner_state: OptState  # that of the transform inside, which sees two arrays in place of a complex one


def split(tree: Any) -> Any:
    """`tree` with its complex leaves in two parts."""

    def parts(x: Any) -> Any:
        return SplitRealAndImaginaryArrays(jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else x

    return jax.tree.map(parts, tree)


def merge(tree: Any) -> Any:
    """The inverse of `split`."""

    def is_pair(x: Any) -> bool:
        return isinstance(x, SplitRealAndImaginaryArrays)

    return jax.tree.map(lambda x: jax.lax.complex(x.real, x.imaginary) if is_pair(x) else x, tree, is_leaf=is_pair)


@value
class split_real_and_imaginary(Wrapper):
    """Give real and imaginary parts of complex leaves to `inner` as arrays of their own.

    So Adam scales each part by itself, where otherwise |g|² scales both, and keeps the direction of each entry. Real
    leaves are handed on as they are.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, z = fg.split_real_and_imaginary(fg.adam(0.1)), jnp.zeros((), complex)
    >>> complex(tx.update(jnp.asarray(3 - 4e-3j), tx.init(z))[0])  # doctest: +NUMBER
    (-0.1+0.1j)
    """

    inner: Any

    def init(self, params: Params) -> SplitRealAndImaginaryState:
        return SplitRealAndImaginaryState(self.inner.init(split(params)))

    def update(
        self, grads: Updates, state: SplitRealAndImaginaryState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SplitRealAndImaginaryState]:
        if "grad" in extra:
            extra["grad"] = split(extra["grad"])
        value_fn = extra.get("value_fn")
        if callable(value_fn):
            extra["value_fn"] = lambda parts, *args, **kwargs: value_fn(merge(parts), *args, **kwargs)
        updates, inner_state = self.inner.update(split(grads), state.inner_state, split(params), **extra)
        return merge(updates), SplitRealAndImaginaryState(inner_state)

    def eval_params(self, state: SplitRealAndImaginaryState, params: Params) -> Params:
        return merge(self.inner.eval_params(state.inner_state, split(params)))
