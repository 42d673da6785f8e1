"""Train on data: host code around a compiled chunk of steps."""

import contextlib
import functools
import math
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree
from funcgd.core.stop import Progress, Result, StopReason, StopRule
from funcgd.core.types import Params
from funcgd.core.validate import check_key, check_watched
from funcgd.data.as_source import as_source
from funcgd.data.sources import Run, Source
from funcgd.training import objective
from funcgd.training.checkpoint import Checkpoint
from funcgd.training.chunk import run_chunk
from funcgd.training.history import History, Log
from funcgd.training.interrupt import Interruptible
from funcgd.training.progress import Display
from funcgd.training.report import ChunkReport
from funcgd.training.standing import Saves, Standing, best_of
from funcgd.training.state import TrainState, state_of
from funcgd.training.step import TrainStep, step_of
from funcgd.training.validation import validate

PASSING = {StopReason.RUNNING, StopReason.MAX_STEPS, StopReason.WALL_TIME, StopReason.INTERRUPTED}


def fit(
    loss: Callable,
    params: Params | TrainState,
    tx: Any,
    data: Any,
    *,
    batch_size: int | None,
    epochs: int | None,
    key: jax.Array,
    validation: Any = None,
    metrics: Callable | None = None,
    stop: StopRule | None = None,
    history: History = History(),  # noqa: B008 - a value
    on_chunk: Callable | Iterable[Callable] = (),
    checkpoint: Checkpoint | None = None,
    progress: bool = True,
) -> Result:
    """Train for some epochs over data.

    Each epoch visits every example once, in an order that depends only on (key, epoch). Steps run in compiled chunks
    whose length is not part of the program, and the optimizer is an argument of it: more epochs or other numbers in
    `tx` do not recompile. The caller's arrays stay valid. The first Ctrl-C or SIGTERM finishes the chunk and returns.

    Args:
        loss: `loss(params, batch)` → a real scalar or (scalar, `fg.Aux`), see `fg.make_step`.
        params: a pytree whose floating and complex arrays train; everything else in it is carried. A `TrainState`
            instead goes on from its step, up to `epochs` in all, or brings a model state.
        tx: the optimizer.
        data: a pytree of arrays with one leading axis over the examples; or data larger than memory (`fg.Indexed`), or
            an iterable of batches (`fg.Batches`).
        batch_size: examples per step: 1 is stochastic, None the full batch, or the iterable's own.
        epochs: how often to visit the data, at least 1; None until a rule of `stop` is met.
        key: PRNG key for the order of the examples and the loss's own randomness.
        validation: data to evaluate at each epoch's end, without updates; a parameter of the loss named `training` is
            False then.
        metrics: `metrics(params, batch)` → dict of scalars, evaluated on `validation` beside its loss; it may
            have the loss's further parameters, too.
        stop: a stopping rule, such as `fg.stop.patience(5)`, tested at each epoch's end with `validation`, else at each
            chunk's. Its value is the monitored loss; its metrics are "loss" (the mean of the chunk), "validation loss"
            and "validation …" for `metrics`; its norms are those of the last step.
        history: what to record of which steps.
        on_chunk: hooks, `hook(report)`, called with a `fg.ChunkReport` after each chunk: `fg.CSVWriter("log.csv")`.
        checkpoint: where and how often to save the run. Called again with the same arguments, `fit` goes on from what
            is there, bitwise as if it had never stopped.
        progress: whether to show how far it is.

    Returns:
        A `Result`. `history` holds "step", "loss" and what else is recorded; the dict "chunks" of "step", "loss" and
        "examples_per_second"; and with `validation` the dict "validation" of "step", "loss" and `metrics`. `best` has
        the lowest validation loss; without validation, the lowest mean training loss over the chunk of steps that led
        to it (and a short last batch behind it); `aux` is the model state of then. `state` is the final `TrainState`.
        If the loss becomes NaN or infinite, training stops, the reason is NON_FINITE, and params, state and steps are
        those of the latest chunk's start whose loss was finite. With a guard in the optimizer, such as
        `fg.skip_nonfinite`, it goes on.

    Raises:
        ValueError, TypeError: if an argument is not as above, the loss returns no real scalar, or the checkpoint is
            that of other arguments.
        Exception: what data, hooks or the disk raise; such an error has the result so far as its attribute `result`.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> data = {"x": jnp.arange(8.0), "y": 3 * jnp.arange(8.0)}
    >>> loss = lambda w, batch: jnp.mean((w * batch["x"] - batch["y"]) ** 2)
    >>> key = jax.random.key(0)
    >>> run = fg.fit(loss, jnp.array(0.0), fg.sgd(0.02), data, batch_size=4, epochs=9, key=key, progress=False)
    >>> round(float(run.params), 3), run.history["loss"].shape, run.reason.name
    (3.0, (18,), 'MAX_STEPS')
    """
    source = as_source("fit", "data", data)
    held_out = None if validation is None else as_source("fit", "validation", validation)
    hooks = (on_chunk,) if callable(on_chunk) else tuple(on_chunk)
    _check(key, epochs, stop, held_out, metrics, history, hooks, checkpoint)
    per_epoch = source.steps_per_epoch("fit", batch_size)
    step = step_of("fit", loss, tx)
    guards = step.tx.guards
    check_watched("fit", step.tx.watches, held_out is not None)
    order_key, run = _begin(step, params, key, stop, Log(history.every))
    began = time.monotonic()
    limit = math.inf if stop is None else stop.limit
    last = limit if epochs is None or per_epoch is None else min(limit, epochs * per_epoch)
    last_norms = stop is not None and bool(stop.needs & {"gradient_norm", "step_norm"})
    with contextlib.ExitStack() as context:
        store = None if checkpoint is None else context.enter_context(checkpoint.open("fit"))
        every = None if checkpoint is None else checkpoint.every
        saves = Saves(store, every, lambda: _arguments(key, batch_size, step, metrics, source, held_out, history))
        saves.restore(run)
        if run.reason not in PASSING or run.done >= last:
            return run.result()
        for hook in hooks:
            context.callback(getattr(hook, "close", lambda: None))
            getattr(hook, "start", lambda step: None)(run.done)
        interrupt = context.enter_context(Interruptible())
        display = context.enter_context(Display(None if math.isinf(last) else int(last), run.done, progress))
        cut = Run(
            batch_size=batch_size,
            parameters=tree.size(run.state.packed_params),
            key=order_key,
            first=run.done,
            origin=run.origin,
            epochs=epochs,
            limit=limit,
            epoch_ends=held_out is not None,
            every=every,
            cancelled=lambda: interrupt.requested,
        )
        run.reason = StopReason.MAX_STEPS
        try:
            clock = time.perf_counter()
            for chunk in context.enter_context(source.chunks(cut)):
                new, found = run_chunk(
                    step,
                    run.state,
                    chunk.feed,
                    np.int32(chunk.steps),
                    history=history,
                    last_norms=last_norms,
                    room=chunk.room,
                )
                found, now = jax.device_get((found, new.step))
                losses = found.losses[: int(now) - run.done]
                rows = run.log.record(run.done, losses, found.rows)
                shown = {"loss": run.see(losses)}
                clock, seconds = time.perf_counter(), time.perf_counter() - clock
                speed = chunk.examples / seconds
                failed = not guards and not np.isfinite(losses).all()
                tested = not failed and (chunk.complete if held_out is None else chunk.ends_epoch)
                if failed:
                    run.fail(first=len(losses) == 1)
                else:
                    run.advance(new, len(losses))
                    run.log.measured({"step": run.done, "loss": shown["loss"], "examples_per_second": speed})
                if tested and held_out is not None:
                    scores = jax.device_get(validate(step.loss, metrics, step.tx, run.state, held_out))
                    run.log.validated({"step": run.done, **{name: float(x) for name, x in scores.items()}})
                    shown |= {f"validation {name}": float(x) for name, x in scores.items()}
                if tested:
                    run.monitor(shown["loss" if held_out is None else "validation loss"], step.tx)
                    run.observe(step.tx, shown)
                display.update(chunk.steps, shown, speed)
                epoch = math.nan if per_epoch is None else run.done / per_epoch
                _tell(hooks, ChunkReport(run.done, epoch, rows, shown, speed, run.state, step.tx))
                if tested and stop is not None:
                    norms = found.norms.get("gradient_norm"), found.norms.get("update_norm")
                    run.test(stop, Progress(run.done, run.value, *norms, shown, time.monotonic() - began))
                if interrupt.requested or run.reason is not StopReason.MAX_STEPS:
                    break
                saves.now_and_then(run)
            if interrupt.requested and run.reason is StopReason.MAX_STEPS:
                run.reason = StopReason.INTERRUPTED
            saves.last(run)
        except BaseException as error:
            error.result = run.result()  # pyright: ignore[reportAttributeAccessIssue]
            error.add_note(f"fit: stopped after {run.done} steps; what was reached is this error's `result`.")
            saves.rescue(run, error)
            raise
    return run.result()


def _check(
    key: Any,
    epochs: Any,
    stop: Any,
    validation: Source | None,
    metrics: Any,
    history: Any,
    hooks: tuple,
    checkpoint: Any,
) -> None:
    check_key("fit", key)
    if stop is not None and not isinstance(stop, StopRule):
        raise TypeError(f"fit: `stop` must be a stopping rule such as fg.stop.patience(5), got {stop!r}.")
    if stop is not None and "gradient_max" in stop.needs:
        raise ValueError("fit: `stop` needs the maximum norm of the gradient, which only fg.minimize computes.")
    if epochs is None and stop is None:
        raise ValueError("fit: `epochs` is None, so `stop` must say when to end, such as fg.stop.max_steps(1000).")
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1):
        raise ValueError(f"fit: `epochs` must be an integer of at least 1, got {epochs!r}.")
    if validation is None and metrics is not None:
        raise ValueError("fit: `metrics` are evaluated on `validation` data, and none were given.")
    if not isinstance(history, History):
        raise TypeError(f"fit: `history` must be a value such as fg.History(every=50), got {history!r}.")
    for hook in hooks:
        if not callable(hook):
            raise TypeError(f"fit: `on_chunk` must be a function of a fg.ChunkReport, or several, got {hook!r}.")
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        raise TypeError(f"fit: `checkpoint` must be a fg.Checkpoint(directory, every), got {checkpoint!r}.")


def _tell(hooks: tuple[Callable, ...], report: ChunkReport) -> None:
    """All hooks hear of it, even if one of them raises."""
    with contextlib.ExitStack() as calls:
        for hook in reversed(hooks):
            calls.callback(hook, report)


def _begin(step: TrainStep, params: Any, key: jax.Array, stop: StopRule | None, log: Log) -> tuple[Any, Standing]:
    """The key of the order of the examples, and the run before its first step."""
    order_key, run_key = _two_keys(key)
    if isinstance(params, TrainState):
        state = params
    else:
        model_state = objective.initial_model_state(step.loss)
        state = state_of("fit", params, step.tx, run_key, model_state)
    rule_state = () if stop is None else stop.init()
    done = int(state.step)
    best = functools.partial(best_of, step.tx, state)
    return order_key, Standing(state, state, best, rule_state, log, done, done)


@jax.jit
def _two_keys(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The keys for the order of the examples and for the run."""
    order_key, run_key = jax.random.split(key)
    return order_key, run_key


def _arguments(
    key: Any,
    batch_size: int | None,
    step: TrainStep,
    metrics: Any,
    source: Source,
    validation: Source | None,
    history: History,
) -> dict[str, Any]:
    """What a run that is resumed must have in common with the one that was stopped, beside the shapes of its state."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    held_out = {} if validation is None else validation.arguments()
    named = {"loss": step.loss, "tx": step.tx, "metrics": metrics}
    return {
        "batch_size": batch_size,
        "key": np.asarray(jax.random.key_data(key) if typed else key).tolist(),
        # Addresses differ from process to process.
        **{name: re.sub(r" at 0x[0-9a-f]+", "", repr(x)) for name, x in named.items()},
        "history": repr(history),
        **{f"data: {name}": x for name, x in source.arguments().items()},
        **{f"validation: {name}": x for name, x in held_out.items()},
    }
