"""The pure core of training: a scan over batches, which one may vmap, differentiate and checkpoint."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from funcgd.core.types import Batch
from funcgd.core.validate import leading_axis
from funcgd.training.segments import scan_in_segments
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep, step_of


def train(
    loss: Callable, tx: Any, state: TrainState, batches: Batch, *, segment: int | None = None
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step for each of `batches`, as one compiled scan.

    Pure in all its arguments: `jax.vmap` over optimizers (`fg.stack`), parameters, keys or data trains a population;
    `jax.grad` with respect to `tx` gives hypergradients. It compiles once for each loss, structure of `tx` and shapes.

    Args:
        loss: `loss(params, batch)`, see `fg.make_step`.
        tx: the optimizer.
        state: where to start, from `TrainState.create`.
        batches: a pytree of arrays with one leading axis, over the K steps.
        segment: for derivatives in reverse mode, keep the states at the start of every so many steps and compute those
            between again: with a segment near √K memory grows like √K instead of K, for one more forward pass. The
            results are the same. None keeps all steps.

    Returns:
        The state after the last step, and the metrics of all steps, each with a leading axis over them.

    Raises:
        ValueError: if the leading axes of `batches` differ, or it has no array; if `segment` is no positive integer.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: jnp.mean((w - batch) ** 2)
    >>> def final_loss(tx):
    ...     state = fg.TrainState.create(jnp.array(0.0), tx)
    ...     return fg.train(loss, tx, state, jnp.ones((5, 8)))[1]["loss"][-1]
    >>> jax.vmap(final_loss)(fg.grid(fg.sgd, learning_rate=[0.25, 0.5])).tolist()
    [0.00390625, 0.0]
    """
    leading_axis("train", "batches", batches)
    if segment is not None and (isinstance(segment, bool) or not isinstance(segment, (int, np.integer)) or segment < 1):
        raise ValueError(f"train: `segment` must be None or an integer of at least 1, got {segment!r}.")
    return _scan(step_of("train", loss, tx), state, batches, segment)


@functools.partial(jax.jit, static_argnames="segment")
def _scan(step: TrainStep, state: TrainState, batches: Batch, segment: int | None) -> tuple[TrainState, dict[str, Any]]:
    return jax.lax.scan(step, state, batches) if segment is None else scan_in_segments(step, state, batches, segment)
