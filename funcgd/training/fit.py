"""Train on data: host code around a compiled chunk of steps."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

from funcgd.core.stop import Progress, Result, StopReason, StopRule
from funcgd.core.types import Batch, Params
from funcgd.core.validate import check_key, leading_axis
from funcgd.core.values import hold, release
from funcgd.training import objective
from funcgd.training.chunk import longest_chunk, plan, run_chunk
from funcgd.training.data import check_batch_size, on_device
from funcgd.training.evaluate import evaluate
from funcgd.training.state import TrainState, eval_params
from funcgd.training.step import make_step

EVALUATION_BATCH = 1024  # examples at a time in validation: enough to fill a device, few enough to fit


def fit(
    loss: Callable,
    params: Params,
    tx: Any,
    data: Batch,
    *,
    batch_size: int | None,
    epochs: int,
    key: jax.Array,
    validation: Batch | None = None,
    metrics: Callable | None = None,
    stop: StopRule | None = None,
    progress: bool = True,
) -> Result:
    """Train for some epochs over data in memory.

    Each epoch visits every example once, in an order that depends only on (key, epoch); a last short batch is kept.
    Steps run in compiled chunks whose length is not part of the program, and the optimizer is an argument of it: more
    epochs or other numbers in `tx` do not recompile. The caller's arrays stay valid.

    Args:
        loss: `loss(params, batch)` → a real scalar or (scalar, `fg.Aux`), see `fg.make_step`.
        params: a pytree whose floating and complex arrays train; everything else in it is carried. A `TrainState`
            instead goes on from its step, up to `epochs` in all, or brings a model state.
        tx: the optimizer.
        data: a pytree of arrays with one leading axis over the examples.
        batch_size: examples per step: 1 is stochastic, None the full batch.
        epochs: how often to visit the data, at least 1.
        key: PRNG key for the order of the examples and the loss's own randomness.
        validation: data to evaluate at each epoch's end, without updates; a parameter of the loss named `training` is
            False then.
        metrics: `metrics(params, batch)` → dict of scalars, evaluated on `validation` beside its loss; it may
            have the loss's further parameters, too.
        stop: a stopping rule, such as `fg.stop.patience(5)`, tested at each epoch's end with `validation`, else at each
            chunk's. Its value is the monitored loss; its metrics are "loss" (the mean of the chunk), "validation loss"
            and "validation …" for `metrics`; its norms are those of the last step.
        progress: whether to show a progress bar.

    Returns:
        A `Result`. `history` holds "loss" and what the loss reports, one entry for each step; and with `validation` a
        dict of "step", "loss" and `metrics`, one entry for each epoch. `best` has the lowest validation loss; without
        validation, the lowest mean training loss over the chunk of steps that led to it. `state` is the final
        `TrainState`. If the loss becomes NaN or infinite, training stops, the reason is NON_FINITE, and params, state
        and steps are those of the latest chunk's start whose loss was finite. With a guard in the optimizer, such as
        `fg.skip_nonfinite`, it goes on.

    Raises:
        ValueError: if leading axes differ, data are empty or shorter than the batch, or `epochs` is no positive
            integer.
        TypeError: if nothing in `params` trains, the loss returns no real scalar, or `key` is no random key.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> data = {"x": jnp.arange(8.0), "y": 3 * jnp.arange(8.0)}
    >>> loss = lambda w, batch: jnp.mean((w * batch["x"] - batch["y"]) ** 2)
    >>> key = jax.random.key(0)
    >>> run = fg.fit(loss, jnp.array(0.0), fg.sgd(0.02), data, batch_size=4, epochs=9, key=key, progress=False)
    >>> round(float(run.params), 3), run.history["loss"].shape, run.reason.name
    (3.0, (18,), 'MAX_STEPS')
    """
    n = leading_axis("fit", "data", data)
    size = check_batch_size("fit", batch_size, n)
    check_key("fit", key)
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise ValueError(f"fit: `epochs` must be an integer of at least 1, got {epochs!r}.")
    if stop is not None and not isinstance(stop, StopRule):
        raise TypeError(f"fit: `stop` must be a stopping rule such as fg.stop.patience(5), got {stop!r}.")
    if validation is None and metrics is not None:
        raise ValueError("fit: `metrics` are evaluated on `validation` data, and none were given.")
    if validation is not None:
        leading_axis("fit", "validation", validation)
        validation = on_device(validation)
    data = on_device(data)
    order_key, run_key = jax.random.split(key)
    step = make_step(loss, tx, norms=stop is not None and bool(stop.needs & {"gradient_norm", "step_norm"}))
    if isinstance(params, TrainState):
        state = params
    else:
        model_state = objective.initial_model_state(step.loss)
        state = TrainState.create(params, step.tx, key=run_key, model_state=model_state)

    per_epoch, room = -(-n // size), longest_chunk(state.packed_params, size)
    last, done, began = epochs * per_epoch, int(state.step), time.monotonic()
    good = best = state  # `good` is the latest state that a finite loss was computed from
    lowest, reason = np.inf, StopReason.MAX_STEPS
    rule_state = None if stop is None else stop.init()
    history: dict[str, list] = {}
    epochs_seen: list[dict[str, float]] = []
    with tqdm(total=last, unit="step", disable=not progress) as bar:
        while done < last:
            ahead = plan(done, last, n, size, room, epoch_ends=validation is not None)
            new, rows, count = run_chunk(
                step, state, data, order_key, ahead.steps, batch_size=ahead.batch_size, stride=size, room=room
            )
            count = int(count)
            rows = {name: column[:count] for name, column in jax.device_get(rows).items()}
            for name, column in rows.items():
                history.setdefault(name, []).append(column)
            finite = rows["loss"][np.isfinite(rows["loss"])]
            if not step.tx.guards and len(finite) < count:
                state, reason = state if count > 1 else good, StopReason.NON_FINITE
                break
            good, state, done = state, new, done + count
            shown = {"loss": float(np.mean(finite)) if len(finite) else np.nan}
            monitored = shown["loss"] if validation is None else np.inf
            if validation is not None and done % per_epoch == 0:
                found = validate(step.loss, metrics, step.tx, state, validation)
                epochs_seen.append({"step": done, **found})
                monitored = found["loss"]
                shown |= {f"validation {name}": x for name, x in found.items()}
            if monitored < lowest:
                lowest, best = monitored, state
            bar.update(count)
            bar.set_postfix({name: f"{x:.4g}" for name, x in shown.items()}, refresh=False)
            if stop is not None and (validation is None or done % per_epoch == 0):
                g, u = (rows[name][-1] if step.norms else None for name in ("gradient_norm", "update_norm"))
                code, rule_state = stop.test(
                    Progress(done, monitored, g, u, shown, time.monotonic() - began), rule_state
                )
                if int(code):
                    reason = StopReason(int(code))
                    break
    joined: dict[str, Any] = {name: np.concatenate(columns) for name, columns in history.items()}
    if validation is not None:
        joined["validation"] = {
            name: np.array([row[name] for row in epochs_seen]) for name in next(iter(epochs_seen), {})
        }
    return Result(
        params=state.params,
        best=eval_params(step.tx, best.opt_state, best.params),
        value=lowest,
        reason=reason,
        steps=int(state.step),
        state=state,
        history=joined,
        aux=None,
    )


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


def validate(loss: Callable, metrics: Callable | None, tx: Any, state: TrainState, data: Batch) -> dict[str, float]:
    """The mean loss and metrics over `data`, at the parameters that the optimizer evaluates with."""
    scores = Scores(hold(loss), None if metrics is None else hold(metrics), state.key, state.model_state)
    size = min(EVALUATION_BATCH, leading_axis("fit", "validation", data))
    found = evaluate(scores, eval_params(tx, state.opt_state, state.params), data, size)
    return {name: float(x) for name, x in found.items()}
