"""Validation: the loss and metrics on data that do not train."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from funcgd.core.types import Batch, Params
from funcgd.core.values import hold, release
from funcgd.data.sources import Examples, Source
from funcgd.training import objective
from funcgd.training.evaluate import evaluate
from funcgd.training.state import TrainState, eval_params

EVALUATION_BATCH = 1024  # examples at a time: enough to fill a device, few enough to fit


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scores:
    """Loss and metrics as one function (params, batch) → dict; a pytree, so that equal ones share a compilation."""

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
        return {"loss": value, **found}


def validate(
    loss: Callable, metrics: Callable | None, tx: Any, state: TrainState, data: Source
) -> dict[str, jax.Array]:
    """The mean loss and metrics over `data`, at the parameters that the optimizer evaluates with."""
    scores = Scores(hold(loss), None if metrics is None else hold(metrics), state.key, state.model_state)
    return evaluate(scores, eval_params(tx, state.opt_state, state.params), data, evaluation_size(data))


def evaluation_size(data: Source) -> int | None:
    """How many examples of `data` to evaluate at a time; None is the iterable's own."""
    return min(EVALUATION_BATCH, data.n) if isinstance(data, Examples) else None
