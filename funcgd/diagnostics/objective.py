"""The loss as a function of what trains alone."""

from collections.abc import Callable
from typing import Any

import jax

from funcgd.core.fields import as_count
from funcgd.core.types import Batch, Params
from funcgd.core.values import release
from funcgd.training import partition
from funcgd.training.objective import check_scalar, parted


def trained_objective(
    who: str, loss: Any, packed: Params, batch: Batch
) -> tuple[Callable[[Params], jax.Array], Params]:
    """(f, x): the value of the loss as a function of the arrays that train, and these.

    Args:
        who: the function that asks, for errors.
        loss: (params, batch) → a real scalar, or a pair of that and anything; held.
        packed: the parameters, packed.
        batch: what the loss takes.
    """
    trained, carried = partition.split(packed)
    function = release(loss)

    def f(trained: Params) -> jax.Array:
        value, _ = parted(function(partition.unpack(partition.merge(trained, carried)), batch))
        check_scalar(who, "the loss", value)
        return value

    return f, trained


def check_loss(who: str, loss: Any) -> None:
    """`loss` must be a function.

    Raises:
        TypeError: if it is not.
    """
    if not callable(loss):
        raise TypeError(f"{who}: `loss` must be a function (params, batch) → value, got {loss!r}.")


def count(who: str, name: str, x: Any, least: int = 1, most: int | None = None) -> int:
    """x as an integer from `least` to `most`, which is the number of parameters."""
    try:
        n = as_count(x, least)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: `{name}`: {error}") from None
    if most is not None and n > most:
        raise ValueError(f"{who}: `{name}` must be at most {most}, the number of parameters, got {n}.")
    return n
