"""Train a population: many optimizers and keys at once, in one compiled program."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.population import differing, population_size
from funcgd.core.stack import stack, unstack
from funcgd.core.stop import StopRule
from funcgd.core.types import Params
from funcgd.core.validate import check_watched
from funcgd.core.values import hold, is_plain_callable
from funcgd.data.arrays import check_batch_size
from funcgd.data.as_source import as_source
from funcgd.data.shuffle import EXACT_BELOW
from funcgd.data.sources import InMemory
from funcgd.training import objective, partition, population
from funcgd.training.interrupt import Interruptible
from funcgd.training.progress import Display
from funcgd.training.state import TrainState
from funcgd.training.step import TrainStep, step_of
from funcgd.training.sweep_slice import Course, train_slice
from funcgd.training.sweep_table import Sweep, gather

# Half of the memory of small accelerators (4 GB); also far more than the caches of any processor, beyond which more
# members side by side are hardly faster.
BUDGET = 2 * 2**30
# States of a member that are in memory at once: that of now, the good one, the best parameters, before and after a
# chunk; and gradient and update.
COPIES = 8


def sweep(
    loss: Callable,
    init: Callable | Params,
    tx: Any,
    data: Any,
    *,
    keys: jax.Array,
    batch_size: int | None,
    epochs: int | None,
    validation: Any = None,
    metrics: Callable | None = None,
    stop: StopRule | None = None,
    members_at_once: int | None = None,
    progress: bool = True,
) -> Sweep:
    """Train with each of several optimizers, from each of several keys, side by side in one compiled program.

    The members are all pairs of an optimizer and a key; the key runs fastest. Each is a run of `fg.fit`, up to
    rounding: with `a, b = jax.random.split(key)` it is `fg.fit(loss, init(a), tx, data, key=b, …)`. A member whose loss
    becomes NaN or infinite, or whose rule of `stop` is met, is frozen; the others go on. Other numbers in `tx`, other
    keys and more epochs do not recompile.

    Args:
        loss: as in `fg.fit`.
        init: key → parameters, or the parameters that all begin with.
        tx: stacked optimizers, `fg.grid(fg.adam, learning_rate=[1e-3, 1e-2])` or `fg.stack([…])`; or a single one.
        data: a pytree of arrays in memory with one leading axis over the examples; or `fg.InMemory`.
        keys: stacked PRNG keys, `jax.random.split(key, 5)`.
        batch_size, epochs, validation, metrics: as in `fg.fit`.
        stop: as in `fg.fit`, tested for each member at each epoch's end. A clock starts when the member does.
        members_at_once: how many members to train side by side, at most; the others follow in slices of equal size,
            and between them only the best and the last parameters are kept. None takes as many as have room with their
            optimizers' states; lower it if it is the loss that needs the memory.
        progress: whether to show how far it is.

    Returns:
        A `Sweep`. Its `table` has the columns of the hyperparameters that differ, "key" (the index), "loss" (the mean
        of the last epoch; NaN if the member failed), with validation "validation loss" and "validation …" for `metrics`
        at the last epoch, "value" (the lowest validation loss, else the lowest mean training loss of an epoch; ∞ if
        the member failed), "steps" and "reason". `best`, `tx`, `value` and `index` are those of the lowest value.
        `history` has "loss" and "validation …", one column for each epoch. After Ctrl-C or SIGTERM the current chunk is
        finished, and the result is that of so far.

    Raises:
        ValueError, TypeError: if an argument is not as above.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> data = {"x": jnp.arange(8.0), "y": 3 * jnp.arange(8.0)}
    >>> loss = lambda w, batch: jnp.mean((w * batch["x"] - batch["y"]) ** 2)
    >>> txs, keys = fg.grid(fg.sgd, learning_rate=[0.001, 0.02, 1.0]), jax.random.split(jax.random.key(0), 2)
    >>> found = fg.sweep(loss, jnp.array(0.0), txs, data, keys=keys, batch_size=4, epochs=99, progress=False)
    >>> found.tx, found.table["reason"].tolist()[2:5]
    (sgd(learning_rate=0.02), ['MAX_STEPS', 'MAX_STEPS', 'NON_FINITE'])
    """
    source = _in_memory(data)
    held_out = None if validation is None else as_source("sweep", "validation", validation)
    _check(init, keys, epochs, held_out, metrics, stop, members_at_once)
    layout = source.layout(check_batch_size("sweep", batch_size, source.n))
    tx = step_of("sweep", loss, tx).tx
    size = population_size("sweep", "tx", tx)
    one = unstack(_taken(tx, np.zeros(1, np.int32)))[0] if size else tx
    check_watched("sweep", one.watches, held_out is not None)
    step = TrainStep(loss, tx if size else stack([tx]))
    which_tx, which_key = (x.ravel() for x in np.indices((size or 1, len(keys)), np.int32))
    course = Course(
        init=hold(init) if is_plain_callable(init) else partition.pack("sweep", "init", init),
        model_state=objective.initial_model_state(loss),
        keys=keys,
        source=source,
        layout=layout,
        last=min(math.inf if stop is None else stop.limit, math.inf if epochs is None else epochs * layout.steps),
        validation=held_out,
        metrics=metrics,
        stop=stop,
        watches=one.watches,
        cancelled=lambda: interrupt.requested,
    )
    members = len(which_tx)
    slices = math.ceil(members / (_room(course, step, which_tx) if members_at_once is None else members_at_once))
    at_once, ended = math.ceil(members / slices), []
    total = None if math.isinf(course.last) else slices * int(course.last)
    with Interruptible() as interrupt, Display(total, 0, progress) as display:
        for first in range(0, members, at_once):
            rows = np.arange(first, first + at_once)
            real, rows = rows < members, np.where(rows < members, rows, first)
            own = TrainStep(step.loss, _taken(step.tx, which_tx[rows]))
            ended.append(train_slice(course, own, which_key[rows], real, display))
    hyperparameters = {name: column[which_tx] for name, column in differing(step.tx).items()}

    def optimizer(i: int) -> Any:
        return unstack(_taken(tx, which_tx[i : i + 1]))[0] if size else tx

    return gather(hyperparameters | {"key": which_key}, ended, optimizer)


def _in_memory(data: Any) -> InMemory:
    source = as_source("sweep", "data", data)
    if not isinstance(source, InMemory):
        raise TypeError(
            f"sweep: `data` must be arrays in memory, as every member visits them in an order of its own; got "
            f"{type(source).__name__}. Read what fits into memory first, or train one member at a time with fg.fit."
        )
    return source


def _check(init: Any, keys: Any, epochs: Any, validation: Any, metrics: Any, stop: Any, members_at_once: Any) -> None:
    if isinstance(init, TrainState):
        raise TypeError("sweep: `init` must be a function key → parameters or a pytree of them, got a fg.TrainState.")
    typed = jnp.issubdtype(getattr(keys, "dtype", np.float32), jax.dtypes.prng_key)
    if not ((typed or getattr(keys, "dtype", None) == np.uint32) and np.ndim(keys) == 2 - typed and len(keys)):
        raise TypeError(f"sweep: `keys` must be stacked keys, such as jax.random.split(key, 3), got {describe(keys)}.")
    if stop is not None and not isinstance(stop, StopRule):
        raise TypeError(f"sweep: `stop` must be a stopping rule such as fg.stop.patience(5), got {stop!r}.")
    if epochs is None and stop is None:
        raise ValueError("sweep: `epochs` is None, so `stop` must say when to end, such as fg.stop.max_steps(1000).")
    if validation is None and metrics is not None:
        raise ValueError("sweep: `metrics` are evaluated on `validation` data, and none were given.")
    for name, count in (("epochs", epochs), ("members_at_once", members_at_once)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1):
            raise ValueError(f"sweep: `{name}` must be an integer of at least 1, got {count!r}.")


def _room(course: Course, step: TrainStep, which_tx: np.ndarray) -> int:
    """How many members have room in the budget, at least 1."""
    one = TrainStep(step.loss, _taken(step.tx, which_tx[:1]))
    members, _ = jax.eval_shape(population.begin, course.init, one, course.keys, which_tx[:1], course.model_state)
    order = 4 * min(course.layout.n, EXACT_BELOW)
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(members.state))
    return max(int(BUDGET // (COPIES * size + order)), 1)


def _taken(tx: Any, rows: np.ndarray) -> Any:
    return jax.tree.map(lambda x: np.asarray(x)[rows], tx)
