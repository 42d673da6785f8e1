"""Value and gradient that a line search has left in the state, so that nothing is evaluated twice."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import is_traced
from funcgd.core.types import Params


def value_and_grad_from_state(value_fn: Callable) -> Callable:
    """`jax.value_and_grad(value_fn)`, but what the last line search has found there is not computed again.

    The result is a function (params, *args, state, **kwargs) → (value, grad). `state` holds those of the parameters
    after the last update, and they are taken for those of `params`; other arguments of `value_fn` must therefore be
    what they were then. Before the first update, and where the value is not finite, `value_fn` is evaluated.

    Args:
        value_fn: (params, *args, **kwargs) → a real scalar, in at least float32 when it comes back.

    Raises:
        ValueError: by the result, if `state` has not exactly one `value` and one `grad`, or does not keep the gradient.

    >>> import funcgd as fg
    >>> tx, f, x = fg.lbfgs(), lambda x: (x - 3) ** 2, 0.0
    >>> value_and_grad, state = fg.value_and_grad_from_state(f), tx.init(x)
    >>> for _ in range(3):
    ...     value, grad = value_and_grad(x, state=state)
    ...     updates, state = tx.update(grad, state, x, value=value, grad=grad, value_fn=f)
    ...     x = fg.apply_updates(x, updates)
    >>> float(x)
    3.0
    """

    @functools.wraps(value_fn)
    def value_and_grad(params: Params, *args: Any, state: Any, **kwargs: Any) -> tuple[jax.Array, Params]:
        value, grad = _stored(state, "value"), _stored(state, "grad")
        if grad is None:
            raise ValueError("value_and_grad_from_state: `state` keeps no gradient; search with store_grad=True.")

        def evaluate() -> tuple[jax.Array, Params]:
            f, grad = jax.value_and_grad(value_fn)(params, *args, **kwargs)
            return jnp.asarray(f, value.dtype), grad

        if is_traced(value):
            return jax.lax.cond(jnp.isfinite(value), lambda: (value, grad), evaluate)
        return (value, grad) if jnp.isfinite(value) else evaluate()

    return value_and_grad


def _stored(state: Any, name: str) -> Any:
    try:
        return tree.get(state, name)
    except KeyError:
        raise ValueError(
            f"value_and_grad_from_state: `state` must be that of a transform with one line search, such as fg.lbfgs; "
            f"`{name}` is not there exactly once."
        ) from None
