"""The compiled inside of `fit`: a run of steps whose number is not part of the program."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree
from funcgd.core.types import Batch, Params
from funcgd.training.data import order, take
from funcgd.training.shuffle import EXACT_BELOW, shuffled_indices
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep

WORK = 3e8  # parameters · examples in one chunk: a small part of a second on one core, many times what its start costs


def longest_chunk(params: Params, batch_size: int) -> int:
    """How many steps a chunk may have: many short ones or few long ones, by the size of the arguments alone."""
    return int(np.clip(WORK / (tree.size(params) * batch_size), 10, 10_000))


class Plan(NamedTuple):
    """The steps that one chunk makes.

    >>> from funcgd.training.chunk import Plan
    >>> Plan(steps=5, batch_size=64)
    Plan(steps=5, batch_size=64)
    """

    steps: int
    batch_size: int  # that of the steps in this chunk: the last one of an epoch may be shorter


def plan(done: int, last: int, n: int, batch_size: int, longest: int, epoch_ends: bool) -> Plan:
    """The next chunk: up to `longest` steps of equal batch size, not beyond `last`, nor an epoch's end if so asked."""
    full, rest = divmod(n, batch_size)
    per_epoch = full + bool(rest)
    within = done % per_epoch
    if rest and within == full:
        return Plan(1, rest)
    end = done - within + full if rest or epoch_ends else last
    return Plan(min(end - done, last - done, longest), batch_size)


@functools.partial(jax.jit, static_argnames=("batch_size", "stride", "room"))
def run_chunk(
    step: TrainStep, state: TrainState, data: Batch, key: Any, steps: Any, *, batch_size: int, stride: int, room: int
) -> tuple[TrainState, dict[str, jax.Array], jax.Array]:
    """Make `steps` steps from `state`, fewer if the loss becomes non-finite (unless the optimizer guards against that).

    Args:
        step: the training step.
        state: where to start; `state.step` also says where in which epoch.
        data: a pytree of arrays with n examples on the leading axis.
        key: what the order of each epoch is drawn from.
        steps: (), int32, how many; at most `room`.
        batch_size: examples per step.
        stride: examples between the starts of two batches: the batch size of the run.
        room: how many steps the returned metrics have room for.

    Returns:
        The last state; metrics of shape (room,), of which the first `count` are filled; the count of steps made.
    """
    n = jax.tree.leaves(data)[0].shape[0]
    per_epoch = -(-n // stride)

    def shuffled(t: jax.Array) -> jax.Array:
        return order(key, t // per_epoch, n)

    def batch_at(t: jax.Array, indices: jax.Array | None) -> Batch:
        if stride == n:
            return data
        first = (t % per_epoch) * stride
        if indices is None:
            positions = first + jnp.arange(batch_size, dtype=jnp.int32)
            return take(data, shuffled_indices(key, t // per_epoch, n, positions))
        return take(data, jax.lax.dynamic_slice_in_dim(indices, first, batch_size))

    # Compiled as a unit, so that asking for the shapes of its results does not trace the loss a second time.
    advance = jax.jit(lambda state, indices: step(state, batch_at(state.step, indices)))
    # An epoch's order is carried where it is short; a long one is never formed.
    indices = shuffled(state.step) if stride < n < EXACT_BELOW else None
    _, shapes = jax.eval_shape(advance, state, indices)
    rows = jax.tree.map(lambda x: jnp.zeros((room, *x.shape), x.dtype), shapes)

    def body(carry: tuple) -> tuple:
        count, state, indices, rows, _ = carry
        if indices is not None:
            starts_epoch = (state.step % per_epoch == 0) & (count > 0)
            indices = jax.lax.cond(starts_epoch, shuffled, lambda _: indices, state.step)
        state, found = advance(state, indices)
        rows = jax.tree.map(lambda column, x: column.at[count].set(x), rows, found)
        return count + 1, state, indices, rows, jnp.isfinite(found["loss"]) | step.tx.guards

    def unfinished(carry: tuple) -> jax.Array:
        count, _, _, _, finite = carry
        return finite & (count < steps)

    count, state, _, rows, _ = jax.lax.while_loop(
        unfinished, body, (jnp.int32(0), state, indices, rows, jnp.bool_(True))
    )
    return state, rows, count
