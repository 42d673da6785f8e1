"""One training step: loss, gradient, update."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import static
from funcgd.core.transform import Transform, as_transform
from funcgd.core.types import Batch
from funcgd.core.validate import check_structure, leading_axis
from funcgd.core.values import value
from funcgd.training import objective, partition
from funcgd.training.per_example import weighted_mean
from funcgd.training.state import TrainState


@value
class TrainStep:
    """A training step as a value: `step(state, batch) -> (state, metrics)`. Made by `fg.make_step`.

    Passed to a compiled function as an argument, it may change its numbers without recompiling.

    >>> import funcgd as fg
    >>> fg.make_step(lambda w, batch: (w * batch) ** 2, fg.sgd(0.1)).tx
    sgd(learning_rate=0.1)
    """

    loss: Callable
    tx: Transform
    norms: bool = static(default=False)

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        new, metrics, grads, updates = self.advance(state, batch)
        if self.tx.per_example:
            grads = jax.tree.map(lambda g: jnp.mean(g, axis=0), grads)
        return new, metrics | norms_of(state, grads, updates) if self.norms else metrics

    def advance(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array], Any, Any]:
        """The step, with its gradient and update beside it: (state, metrics, grads, updates)."""
        trained, carried = partition.split(state.packed_params)
        loss_key, tx_key = jax.random.split(jax.random.fold_in(state.key, state.step))

        def value_and_aux(trained: Any, batch: Batch = batch, key: Any = loss_key) -> tuple[Any, objective.Aux]:
            params = partition.unpack(partition.merge(trained, carried))
            return objective.evaluate_loss("make_step", self.loss, params, batch, key, state.model_state)

        value_and_grad = jax.value_and_grad(value_and_aux, has_aux=True)
        if self.tx.per_example:
            (loss, aux), grads = self._of_examples(functools.partial(value_and_grad, trained), batch, loss_key)
        else:
            (loss, aux), grads = value_and_grad(trained)
        grads = ascent(grads)
        updates, opt_state = self.tx.update(
            grads, state.opt_state, trained, value=loss, grad=grads, value_fn=lambda p: value_and_aux(p)[0], key=tx_key
        )
        trained = apply_updates(trained, updates)
        new = state.replace(
            step=numerics.increment(state.step),
            packed_params=partition.merge(trained, carried),
            opt_state=opt_state,
            model_state=_like(aux.model_state, state.model_state),
        )
        return new, {"loss": loss, **aux.metrics}, grads, updates

    def _of_examples(self, value_and_grad: Callable, batch: Batch, key: jax.Array) -> tuple[tuple, Any]:
        """Mean loss and metrics, and the gradient of each example, taken from batches of one."""
        keys = jax.random.split(key, leading_axis("make_step", "batch", batch))
        alone = jax.tree.map(lambda x: jnp.asarray(x)[:, None], batch)
        (losses, aux), grads = jax.vmap(value_and_grad)(alone, keys)
        if aux.model_state is not None:
            raise ValueError(
                f"make_step: {type(self.tx).__name__} takes the gradient of each example by itself, so the loss must "
                f"not have a model state, in which they would mix; got one of {jax.tree.structure(aux.model_state)}."
            )
        weights = jax.vmap(lambda one: numerics.widen(objective.total_weight(self.loss, one)))(alone)
        loss, metrics = jax.tree.map(functools.partial(weighted_mean, weights), (losses, aux.metrics))
        return (loss, objective.Aux(metrics)), grads


def norms_of(state: TrainState, grads: Any, updates: Any) -> dict[str, jax.Array]:
    """The norms of a step from `state`: of gradient and update, and the update's relative to the parameters'."""
    update = tree.norm(updates)
    ratio = numerics.divide(update, tree.norm(partition.split(state.packed_params)[0]))
    return {"gradient_norm": tree.norm(grads), "update_norm": update, "update_ratio": ratio}


def make_step(loss: Callable, tx: Any, *, norms: bool = False) -> TrainStep:
    """The pure function `step(state, batch) -> (state, metrics)` that makes one update.

    Args:
        loss: `loss(params, batch)` → a real scalar, or (scalar, `fg.Aux`). Parameters named `key`, `model_state` and
            `training` are filled in: a fresh PRNG key for each step, the model's state, and True here, but False where
            `fg.fit` evaluates the loss on validation data.
        tx: the optimizer, of funcgd or any library with `init` and `update`.
        norms: report "gradient_norm" (before the optimizer clips it), "update_norm", and "update_ratio", which is the
            latter relative to the norm of the parameters, too.

    Returns:
        A step over `TrainState`; metrics are a dict with "loss", at the parameters before the step, and what the loss
        reports. For complex parameters the gradient is conjugated, so that optimizers receive the direction of ascent.
        An optimizer that takes the gradient of each example (`fg.dpsgd`) gets those of batches of one, each with a key
        of its own; the loss must not have a model state then.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> tx = fg.sgd(0.25)
    >>> step = jax.jit(fg.make_step(lambda w, batch: jnp.mean((w - batch) ** 2), tx))
    >>> state, metrics = step(fg.TrainState.create(jnp.array(1.0), tx), jnp.array([3.0, 5.0]))
    >>> float(state.params), float(metrics["loss"])
    (2.5, 10.0)
    """
    return step_of("make_step", loss, tx, norms)


def step_of(who: str, loss: Any, tx: Any, norms: bool = False) -> TrainStep:
    """The step of `make_step`, for the function `who` that the user has called."""
    if not callable(loss):
        raise TypeError(f"{who}: `loss` must be a function (params, batch) → value, got {loss!r}.")
    return TrainStep(loss, as_transform(who, tx), norms)


def ascent(grads: Any) -> Any:
    """The direction of steepest ascent: JAX's gradient, conjugated where it is complex."""
    return jax.tree.map(lambda g: jnp.conj(g) if jnp.iscomplexobj(g) else g, grads)


def _like(new: Any, old: Any) -> Any:
    """The new model state in the dtypes of the old, so that it can be carried through a loop."""
    if old is None and new is not None:
        raise ValueError(
            "make_step: the loss returns a model state, but there is none before the first step; give it to "
            "fg.TrainState.create(…, model_state=…), which fg.fit takes in place of the parameters."
        )
    check_structure("make_step", "model_state", new, "as before the step", old)
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), new, old)
