"""The compiled inside of `fit`: a run of steps whose number is not part of the program."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.hyperparameters import hyperparameters
from funcgd.training.history import History
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep, norms_of


class Found(NamedTuple):
    """What the steps of a chunk found.

    >>> from funcgd.training.chunk import Found
    >>> Found(losses=[1.0, 2.0], rows={}, norms={}).losses
    [1.0, 2.0]
    """

    losses: Any  # (room,), the losses of the steps
    rows: dict[str, Any]  # columns by name, of what else is recorded: a row for each step that was due
    norms: dict[str, Any]  # those of the last step, if asked for


class _Loop(NamedTuple):
    state: TrainState
    loss: jax.Array  # (), the latest
    found: Found


def make_chunk(
    step: TrainStep, state: TrainState, feed: Any, steps: Any, history: History, last_norms: bool, room: int
) -> tuple[TrainState, Found]:
    """Make `steps` steps from `state`, fewer if the loss becomes non-finite (unless the optimizer guards against that).

    Args:
        step: the training step.
        state: where to start; `state.step` also says which batches are next.
        feed: gives the batch of each step, see `funcgd.data.feed`.
        steps: (), int32, how many; at most `room`.
        history: what to record, and how often.
        last_norms: whether the norms of the last step are wanted.
        room: how many steps a chunk may have.

    Returns:
        The state after the last step, and what was found.
    """

    def row_and_norms(old: TrainState, new: TrainState, metrics: dict, grads: Any, updates: Any) -> tuple[dict, dict]:
        norms = norms_of(old, grads, updates) if history.norms or last_norms else {}
        row = {name: x for name, x in metrics.items() if name != "loss"} | (norms if history.norms else {})
        if history.hyperparameters:
            row |= _flat(hyperparameters(step.tx, new.opt_state))
        return row, norms

    # Compiled as a unit, so that asking for the shapes of its results does not trace the loss a second time.
    advance = jax.jit(lambda state, started: step.advance(state, feed.batch(started, state.step)))
    start = state.step
    started = feed.start(start)
    new, metrics, grads, updates = jax.eval_shape(advance, state, started)
    row, norms = jax.eval_shape(row_and_norms, state, new, metrics, grads, updates)
    loss = metrics["loss"]

    def once(loop: _Loop, started: Any, record: bool) -> _Loop:
        old, found = loop.state, loop.found
        new, metrics, grads, updates = advance(old, started)
        losses, rows, norms = found.losses.at[old.step - start].set(metrics["loss"]), found.rows, found.norms
        if record:
            row, norms = row_and_norms(old, new, metrics, grads, updates)
            due = old.step % history.every == 0
            # The due steps of a chunk are the multiples of `every` in it, counted from the first of them.
            place = old.step // history.every - -(-start // history.every)
            kept = {name: jnp.where(due, x, rows[name][place]) for name, x in row.items()}
            rows = {name: rows[name].at[place].set(x) for name, x in kept.items()}
        return _Loop(new, metrics["loss"], Found(losses, rows, norms))

    def go_on(loop: _Loop, until: Any) -> jax.Array:
        return (loop.state.step < until) & (jnp.isfinite(loop.loss) | step.tx.guards)

    def all_alike(loop: _Loop, started: Any, until: Any, record: bool) -> _Loop:
        return jax.lax.while_loop(lambda loop: go_on(loop, until), lambda loop: once(loop, started, record), loop)

    def run(loop: _Loop, started: Any, until: Any) -> _Loop:
        """The steps of one epoch. Those that record are apart from the others, which then cost nothing more."""
        if not (row or norms) or history.every == 1:
            return all_alike(loop, started, until, record=bool(row or norms))

        def up_to_a_record(loop: _Loop) -> _Loop:
            due = -(-loop.state.step // history.every) * history.every
            due = jnp.minimum(due, start + steps - 1) if last_norms else due
            loop = all_alike(loop, started, jnp.minimum(due, until), record=False)
            return jax.lax.cond(go_on(loop, until), lambda loop: once(loop, started, True), lambda loop: loop, loop)

        return jax.lax.while_loop(lambda loop: go_on(loop, until), up_to_a_record, loop)

    def epoch(loop: _Loop) -> _Loop:
        first = loop.state.step
        return run(loop, feed.start(first), jnp.minimum(first + feed.left(first), start + steps))

    def room_for(shape: Any, rows: int) -> jax.Array:
        return jnp.zeros((rows, *shape.shape), shape.dtype)

    rows = {name: room_for(x, -(-room // history.every)) for name, x in row.items()}
    norms = {name: jnp.zeros(x.shape, x.dtype) for name, x in norms.items()}
    loop = _Loop(state, jnp.zeros((), loss.dtype), Found(room_for(loss, room), rows, norms))
    if feed.left(start) is None:
        loop = run(loop, started, start + steps)
    else:
        loop = jax.lax.while_loop(lambda loop: go_on(loop, start + steps), epoch, loop)
    return loop.state, loop.found


run_chunk = functools.partial(jax.jit, static_argnames=("last_norms", "room"))(make_chunk)


def _flat(nested: dict[str, Any], path: str = "") -> dict[str, jax.Array]:
    """The scalars among nested hyperparameters, by dotted names."""
    flat: dict[str, jax.Array] = {}
    for name, x in nested.items():
        if isinstance(x, dict):
            flat |= _flat(x, f"{path}{name}.")
        elif np.ndim(x) == 0:
            flat[path + name] = jnp.asarray(x, jnp.float32)
    return flat
