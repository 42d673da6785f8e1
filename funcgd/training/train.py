"""The pure core of training: a scan over batches, which one may vmap, differentiate and checkpoint."""

from collections.abc import Callable
from typing import Any

import jax

from funcgd.core.types import Batch
from funcgd.core.validate import leading_axis
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep, make_step


def train(loss: Callable, tx: Any, state: TrainState, batches: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step for each of `batches`, as one compiled scan.

    Pure in all its arguments: `jax.vmap` over optimizers (`fg.stack`), parameters, keys or data trains a population;
    `jax.grad` with respect to `tx` gives hypergradients. It compiles once for each loss, structure of `tx` and shapes.

    Args:
        loss: `loss(params, batch)`, see `fg.make_step`.
        tx: the optimizer.
        state: where to start, from `TrainState.create`.
        batches: a pytree of arrays with one leading axis, over the steps.

    Returns:
        The state after the last step, and the metrics of all steps, each with a leading axis over them.

    Raises:
        ValueError: if the leading axes of `batches` differ, or it has no array.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: jnp.mean((w - batch) ** 2)
    >>> def final_loss(tx):
    ...     state = fg.TrainState.create(jnp.array(0.0), tx)
    ...     return fg.train(loss, tx, state, jnp.ones((5, 8)))[1]["loss"][-1]
    >>> jax.vmap(final_loss)(fg.grid(fg.sgd, learning_rate=[0.25, 0.5])).tolist()
    [0.00390625, 0.0]
    """
    leading_axis("train", "batches", batches)
    return _scan(make_step(loss, tx), state, batches)


@jax.jit
def _scan(step: TrainStep, state: TrainState, batches: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
    return jax.lax.scan(step, state, batches)
