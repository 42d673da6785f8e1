"""The user's loss in one form, and the parameters split into what trains and what is carried."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, is_traced
from funcgd.core.signature import names
from funcgd.core.types import Batch, Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import Held


class Aux(NamedTuple):
    """What a loss may return beside its value.

    >>> import funcgd as fg
    >>> def loss(params, batch):
    ...     error = params * batch["x"] - batch["y"]
    ...     return (error**2).mean(), fg.Aux(metrics={"largest_error": abs(error).max()})
    """

    metrics: dict[str, Any] = {}  # noqa: RUF012 - scalars by name, reported beside the loss; never mutated
    model_state: Any = None  # what the model remembers, such as running means; None keeps what there was


def evaluate_loss(
    who: str, loss: Callable, params: Params, batch: Batch, key: Any, model_state: Any
) -> tuple[Any, Aux]:
    """`loss` at `params` on `batch`, as (value, Aux); `key` and `model_state` reach it if it has parameters so named.

    Raises:
        TypeError: if it returns anything but a real scalar, or that and an `Aux`.
    """
    offered = {"key": key, "model_state": model_state}
    out = loss(params, batch, **{name: x for name, x in offered.items() if names(loss, name)})
    value, aux = out if isinstance(out, tuple) and len(out) == 2 else (out, Aux())
    if not isinstance(aux, Aux):
        raise TypeError(
            f"{who}: the loss must return a value or (value, fg.Aux(…)), got {describe(aux)} beside its value."
        )
    check_scalar(who, "the loss", value)
    taken = {"loss", "gradient_norm", "update_norm"} & set(aux.metrics)
    if taken:
        raise ValueError(f"{who}: the loss reports a metric named {min(taken)!r}; that name is taken.")
    return value, aux if aux.model_state is not None else aux._replace(model_state=model_state)


def check_scalar(who: str, what: str, value: Any) -> None:
    """`value` must be a real floating scalar.

    Raises:
        TypeError: saying what it is instead.
    """
    if np.shape(value) != () or not is_inexact(value) or jnp.iscomplexobj(value):
        dtype = getattr(value, "dtype", type(value).__name__)
        hint = " For one value per example use fg.mean_loss." if np.ndim(value) else ""
        raise TypeError(
            f"{who}: {what} must return a real scalar, got shape {np.shape(value)} and dtype {dtype}.{hint}"
        )


# --- parameters: inexact arrays train, all else is carried ----------------------------------------------------------


def freeze(who: str, what: str, params: Params) -> Params:
    """`params` with arrays on the device and everything else held statically, so that they pass through `jit`.

    Raises:
        TypeError: if a plain container holds a Python float, or if no leaf is a floating array.
    """

    def settle(path: tuple, x: Any) -> Any:
        if isinstance(x, (jax.Array, np.ndarray, np.generic)) and not is_traced(x):
            return jnp.asarray(x)  # float64 becomes float32 unless 64-bit types are enabled, as everywhere in JAX
        if isinstance(x, float) and all(not isinstance(key, jax.tree_util.GetAttrKey) for key in path):
            raise TypeError(
                f"{who}: `{what}{jax.tree_util.keystr(path)}` is a Python float; only arrays are trained: "
                f"write jnp.asarray({x!r})."
            )
        return x if isinstance(x, jax.Array) else Held(x)

    frozen = jax.tree_util.tree_map_with_path(settle, params)
    if not any(map(is_inexact, jax.tree.leaves(frozen))):
        raise TypeError(f"{who}: `{what}` has no floating array in it, so there is nothing to train.")
    return frozen


def thaw(params: Params) -> Params:
    """The inverse of `freeze`."""
    return jax.tree.map(lambda x: x.item if isinstance(x, Held) else x, params, is_leaf=lambda x: isinstance(x, Held))


def split(params: Params) -> tuple[Params, Params]:
    """(what trains, what is carried), each with None in the places of the other."""
    trained = jax.tree.map(lambda x: x if is_inexact(x) else None, params)
    carried = jax.tree.map(lambda x: None if is_inexact(x) else x, params)
    return trained, carried


def merge(trained: Params, carried: Params) -> Params:
    """The inverse of `split`."""
    return jax.tree.map(lambda a, b: b if a is None else a, trained, carried, is_leaf=lambda x: x is None)
