"""The compiled inside of `fit`: a run of steps whose number is not part of the program."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.hyperparameters import hyperparameters
from funcgd.core.numerics import widen
from funcgd.training.history import History
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep, norms_of


class Found(NamedTuple):
    """What the steps of a chunk found.

    >>> from funcgd.training.chunk import Found
    >>> Found(count=2, rows={}, total=3.0, finite=2, norms={}).total
    3.0
    """

    count: Any  # (), int32: steps made
    rows: dict[str, Any]  # columns by name; the steps that were due are recorded in the first rows
    total: Any  # (), the sum of the losses that were finite
    finite: Any  # (), int32: how many these are
    norms: dict[str, Any]  # those of the last step, if asked for


class _Loop(NamedTuple):
    state: TrainState
    order: Any  # what the feed carries
    found: Found
    go_on: jax.Array  # (), bool


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

    def advance(state: TrainState, order: Any, moved: Any) -> tuple:
        batch, order = feed.batch(order, state.step, moved)
        return *step.advance(state, batch), order

    def measured(old: TrainState, new: TrainState, metrics: dict, grads: Any, updates: Any) -> tuple[dict, dict]:
        """The row to record, and the norms."""
        norms = norms_of(old, grads, updates) if history.norms or last_norms else {}
        row = metrics | (norms if history.norms else {})
        if history.hyperparameters:
            row |= _flat(hyperparameters(step.tx, new.opt_state))
        return row, norms

    # Compiled as a unit, so that asking for the shapes of its results does not trace the loss a second time.
    advance = jax.jit(advance)
    order = feed.start(state.step)
    new, metrics, grads, updates, _ = jax.eval_shape(advance, state, order, jnp.bool_(False))
    row, norms = jax.eval_shape(measured, state, new, metrics, grads, updates)
    rows = jax.tree.map(lambda x: jnp.zeros((-(-room // history.every), *x.shape), x.dtype), row)
    norms = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), norms)

    def body(loop: _Loop) -> _Loop:
        old, found = loop.state, loop.found
        new, metrics, grads, updates, order = advance(old, loop.order, found.count > 0)
        due = old.step % history.every == 0

        def measure(rows: dict, norms: dict) -> tuple[dict, dict]:
            del norms
            row, norms = measured(old, new, metrics, grads, updates)
            # The rows of a chunk are the multiples of `every` in it, counted from the first of them.
            place = old.step // history.every - -(-state.step // history.every)
            written = jax.tree.map(lambda column, x: column.at[place].set(x), rows, row)
            return (written if history.every == 1 else _where(due, written, rows)), norms

        if history.every == 1:
            rows, norms = measure(found.rows, found.norms)
        else:
            wanted = due | ((found.count + 1 == steps) & last_norms)
            rows, norms = jax.lax.cond(wanted, measure, lambda *same: same, found.rows, found.norms)
        loss = widen(metrics["loss"])
        finite = jnp.isfinite(loss)
        found = Found(
            found.count + 1, rows, found.total + jnp.where(finite, loss, 0), found.finite + jnp.int32(finite), norms
        )
        return _Loop(new, order, found, finite | step.tx.guards)

    zero = jnp.int32(0)
    found = Found(zero, rows, jnp.zeros((), widen(jnp.zeros((), metrics["loss"].dtype)).dtype), zero, norms)
    loop = jax.lax.while_loop(
        lambda loop: loop.go_on & (loop.found.count < steps), body, _Loop(state, order, found, jnp.bool_(True))
    )
    return loop.state, loop.found


run_chunk = functools.partial(jax.jit, static_argnames=("last_norms", "room"))(make_chunk)


def _where(condition: jax.Array, x: Any, y: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


def _flat(nested: dict[str, Any], path: str = "") -> dict[str, jax.Array]:
    """The scalars among nested hyperparameters, by dotted names."""
    flat: dict[str, jax.Array] = {}
    for name, x in nested.items():
        if isinstance(x, dict):
            flat |= _flat(x, f"{path}{name}.")
        elif np.ndim(x) == 0:
            flat[path + name] = jnp.asarray(x, jnp.float32)
    return flat
