"""Validation: the loss and metrics on data that do not train."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.numerics import divide, widen
from funcgd.core.types import Batch, Params
from funcgd.core.values import hold, release
from funcgd.data.sources import Examples, Source
from funcgd.training import objective, partition
from funcgd.training.evaluate import evaluate, examples
from funcgd.training.state import TrainState, evaluated

SHARE = "weight per example"
EVALUATION_BATCH = 1024  # examples at a time: enough to fill a device, few enough to fit


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scores:
    """Loss and metrics as one function (params, batch) → dict; a pytree, so that equal ones share a compilation.

    What puts batches together weighs them by their examples, but a loss may have weights of its own (those of
    `fg.mean_loss`). So it comes times its weight for each example, and that beside it; `means` divides.
    """

    loss: Any  # held
    metrics: Any  # held, or None
    key: jax.Array
    model_state: Any

    def __call__(self, params: Params, batch: Batch) -> dict[str, Any]:
        loss = release(self.loss)
        offered = {"key": self.key, "model_state": self.model_state, "training": False}
        value, _ = objective.evaluate_loss("fit", loss, params, batch, **offered)
        metrics = (lambda params, batch: {}) if self.metrics is None else release(self.metrics)
        found = metrics(params, batch, **objective.wanted(metrics, **offered))
        if not isinstance(found, dict):
            raise TypeError(f"fit: `metrics` must return a dict of scalars by name, got {type(found).__name__}.")
        if not hasattr(loss, "total_weight"):
            return {"loss": value, **found}
        value = widen(value)
        share = jnp.asarray(loss.total_weight(batch), value.dtype) / examples(batch)
        return {"loss": jnp.where(share > 0, value * share, 0), SHARE: share, **found}


def means(found: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The means of `Scores` over batches, with the loss relative to its own weights."""
    share = found.pop(SHARE, None)
    return found if share is None else {**found, "loss": divide(found["loss"], share)}


def validate(
    loss: Callable, metrics: Callable | None, tx: Any, state: TrainState, data: Source
) -> dict[str, jax.Array]:
    """The mean loss and metrics over `data`, at the parameters that the optimizer evaluates with."""
    scores = Scores(hold(loss), None if metrics is None else hold(metrics), state.key, state.model_state)
    return means(evaluate(scores, partition.unpack(evaluated(tx, state)), data, evaluation_size(data)))


def evaluation_size(data: Source) -> int | None:
    """How many examples of `data` to evaluate at a time; None is the iterable's own."""
    return min(EVALUATION_BATCH, data.n) if isinstance(data, Examples) else None
