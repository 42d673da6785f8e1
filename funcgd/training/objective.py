"""The user's loss in one form."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.signature import names
from funcgd.core.types import Batch, Params
from funcgd.core.validate import is_inexact, leading_axis


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
    who: str, loss: Callable, params: Params, batch: Batch, key: Any, model_state: Any, *, training: bool = True
) -> tuple[Any, Aux]:
    """`loss` at `params` on `batch`, as (value, Aux); see `wanted` for what else reaches it.

    Raises:
        TypeError: if it returns anything but a real scalar, or that and an `Aux`.
    """
    out = loss(params, batch, **wanted(loss, key=key, model_state=model_state, training=training))
    value, aux = parted(out)
    aux = Aux() if aux is None else aux
    if not isinstance(aux, Aux):
        raise TypeError(
            f"{who}: the loss must return a value or (value, fg.Aux(…)), got {describe(aux)} beside its value."
        )
    check_scalar(who, "the loss", value)
    taken = {"step", "loss", "gradient_norm", "update_norm", "update_ratio", "validation", "chunks"} & set(aux.metrics)
    if taken:
        raise ValueError(f"{who}: the loss reports a metric named {min(taken)!r}; that name is taken.")
    return value, aux if aux.model_state is not None else aux._replace(model_state=model_state)


def wanted(function: Callable, **offered: Any) -> dict[str, Any]:
    """Those of `key`, `model_state` and `training` that `function` has parameters for.

    The model state is another object of the same arrays, so that a function which changes its own leaves ours alone.
    """
    found = {name: x for name, x in offered.items() if names(function, name)}
    if "model_state" in found:
        found["model_state"] = jax.tree.map(lambda x: x, found["model_state"])
    return found


def initial_model_state(loss: Callable) -> Any:
    """The model state that `loss` starts with, if it says so by a method `init_model_state()`; else None."""
    init = getattr(loss, "init_model_state", None)
    return None if init is None else init()


def total_weight(loss: Callable, batch: Batch) -> Any:
    """What `loss` divides its sum by, if it says so by a method `total_weight(batch)`; else the number of examples."""
    own = getattr(loss, "total_weight", None)
    return float(leading_axis("total_weight", "batch", batch)) if own is None else own(batch)


def parted(out: Any) -> tuple[Any, Any]:
    """What a loss returned, as (value, what stands beside it or None)."""
    return out if isinstance(out, tuple) and len(out) == 2 else (out, None)


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
