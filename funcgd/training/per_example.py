"""From one example to a batch, by vmap."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import describe, field, is_traced, static
from funcgd.core.signature import instance_signature
from funcgd.core.types import Batch, Params
from funcgd.core.validate import is_inexact, leading_axis
from funcgd.core.values import value
from funcgd.training.objective import Aux, initial_model_state, parted


def as_loss(owner: str, name: str, loss: Any) -> Callable:
    """`loss` as it is, if one can call it."""
    if not callable(loss):
        raise TypeError(f"{owner}: `{name}` must be a function of the parameters and data, got {describe(loss)}.")
    return loss


def as_weights(weights: Any) -> str | Callable[[Batch], Any] | None:
    """`weights` as it is, if it names or computes weights."""
    if weights is None or isinstance(weights, str) or callable(weights):
        return weights
    raise TypeError(f"expected a key of the batch, or a function batch → weights, got {describe(weights)}.")


@value
class mean_loss:
    """The batch loss that is the mean of a loss for one example, built by `vmap`.

        L(θ) = (1/N) Σₙ ℓ(θ, xₙ),    with weights  L(θ) = Σₙ wₙℓ(θ, xₙ) / Σₙ wₙ

    A value: two of them around the same function are equal and share compilations.

    An example of weight 0 has no effect, even if its loss or the gradient of it is NaN or infinite: `ℓ` never sees it,
    as an example of another weight takes its place. So weights pad short batches and mask missing data. If all weights
    are 0, the value, the metrics and the gradient are 0, and the model state stays. `fg.accumulate` and the validation
    of `fg.fit` weigh batches by Σ wₙ, so that their loss is that of all examples at once.

    Args:
        per_example_loss: `ℓ(params, example)` → a scalar, or (scalar, `fg.Aux`), whose metrics and model state are
            averaged too. Parameters named `key` (another key for each example), `model_state` and `training` are
            filled in.
        weights: w ≥ 0 of shape (N,): a key of the batch, which is a dict, or a function batch → weights; None is all 1.

    Raises:
        TypeError, ValueError: when called, if the batch has no such weights, or their shape is another.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> loss = fg.mean_loss(lambda w, example: (w * example["x"] - example["y"]) ** 2)
    >>> float(loss(2.0, {"x": jnp.array([1.0, 2.0]), "y": jnp.array([1.0, 1.0])}))
    5.0
    >>> padded = {"x": jnp.array([1.0, 2.0, jnp.nan]), "mask": jnp.array([True, True, False])}
    >>> float(fg.mean_loss(lambda w, example: w * example["x"], weights="mask")(2.0, padded))
    3.0
    """

    per_example_loss: Callable = field("plain", as_loss)
    weights: str | Callable[[Batch], Any] | None = static(default=None, convert=as_weights)

    @instance_signature
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.per_example_loss)

    def init_model_state(self) -> Any:
        """That of the loss inside, if it has one."""
        return initial_model_state(self.per_example_loss)

    def total_weight(self, batch: Batch) -> Any:
        """What the sum over the batch is divided by."""
        n = leading_axis("mean_loss", "batch", batch)
        return float(n) if self.weights is None else jnp.sum(_weights(self.weights, batch, n))

    def __call__(self, params: Params, batch: Batch, **extra: Any) -> Any:
        n = leading_axis("mean_loss", "batch", batch)
        w = None if self.weights is None else _weights(self.weights, batch, n)
        if w is not None:
            params, batch = _without_weightless(w, params, batch)
        if "key" in extra:
            extra["key"] = jax.random.split(extra["key"], n)
        fixed = {name: extra.pop(name) for name in ("training",) if name in extra}  # a flag is no data for vmap
        axes = {name: 0 if name == "key" else None for name in extra}

        def one(example: Any, extra: dict[str, Any]) -> Any:
            return self.per_example_loss(params, example, **extra, **fixed)

        out = jax.vmap(one, in_axes=(0, axes))(batch, extra)
        if w is None:
            return jax.tree.map(lambda x: jnp.mean(x, axis=0), out)
        out = jax.tree.map(functools.partial(weighted_mean, w), out)
        return _keep_model_state(jnp.all(w == 0), out, extra.get("model_state"))


def _weights(weights: Any, batch: Batch, n: int) -> jax.Array:
    """The weights of the examples: shape (n,), at least float32."""
    w: Any
    if callable(weights):
        w, what = weights(batch), "the result of `weights`"
    else:
        if not isinstance(batch, Mapping):
            raise TypeError(
                f"mean_loss: `weights` names {weights!r}, so the batch must be a dict, got a {type(batch).__name__}."
            )
        if weights not in batch:
            raise ValueError(
                f"mean_loss: `weights` names {weights!r}, but the batch has only {', '.join(map(repr, batch))}."
            )
        w, what = batch[weights], f"`batch[{weights!r}]`"
    if np.shape(w) != (n,):
        raise ValueError(f"mean_loss: {what} must have shape {(n,)}, one weight per example, got {np.shape(w)}.")
    if (not jnp.issubdtype(jnp.result_type(w), jnp.number) and jnp.result_type(w) != jnp.bool_) or jnp.iscomplexobj(w):
        raise TypeError(f"mean_loss: {what} must be real numbers or booleans, got {jnp.result_type(w)}.")
    if not is_traced(w) and np.any(np.asarray(w) < 0):
        raise ValueError(f"mean_loss: {what} must not be negative, got {np.min(np.asarray(w))}.")
    return numerics.widen(w)


def _without_weightless(w: jax.Array, params: Params, batch: Batch) -> tuple[Params, Batch]:
    """The batch with another example in place of each of weight 0; the parameters without gradient if all are 0.

    Weighing with 0 is not enough: differentiated backwards, 0 · ∞ would be NaN inside of the loss.
    """
    w = jax.lax.stop_gradient(w)
    some, rows = jnp.any(w != 0), jnp.where(w != 0, jnp.arange(w.size), jnp.argmax(w != 0))
    batch = jax.tree.map(lambda x: jnp.asarray(x)[rows], batch)
    return jax.tree.map(lambda x: jnp.where(some, x, jax.lax.stop_gradient(x)) if is_inexact(x) else x, params), batch


def weighted_mean(w: jax.Array, x: jax.Array) -> jax.Array:
    """Σ wₙxₙ / Σ wₙ in at least float32, rounded once to the dtype that a mean of x has; 0 if all weights are 0."""
    dtype = numerics.wide_dtype(x.dtype, w.dtype)
    result = x.dtype if is_inexact(x) else dtype
    w, x = jnp.asarray(w, dtype), numerics.widen(x, dtype)
    w_per_entry = w.reshape(-1, *(1,) * (x.ndim - 1))
    weighted = jnp.where(w_per_entry != 0, w_per_entry * x, 0)
    return jnp.asarray(numerics.divide(jnp.sum(weighted, axis=0), jnp.sum(w)), result)


def _keep_model_state(keep: jax.Array, out: Any, old: Any) -> Any:
    """The result of a loss with the `old` model state, if `keep` says so and the loss was given one."""
    aux = parted(out)[1]
    if old is None or not isinstance(aux, Aux) or aux.model_state is None:
        return out
    kept = jax.tree.map(lambda new, old: jnp.where(keep, jnp.asarray(old, new.dtype), new), aux.model_state, old)
    return out[0], aux._replace(model_state=kept)


def per_example_grad(loss: Callable) -> Callable[[Params, Batch], Params]:
    """The gradient of every example of a batch: `vmap` of `jax.grad`.

    Args:
        loss: `loss(params, example)` → a real scalar, for one example.

    Returns:
        A function (params, batch) → gradients like `params`, each with a leading axis over the examples.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.per_example_grad(lambda w, x: (w * x) ** 2)(1.0, jnp.array([1.0, 2.0])).tolist()
    [2.0, 8.0]
    """

    def gradients(params: Params, batch: Batch) -> Params:
        leading_axis("per_example_grad", "batch", batch)

        def value_of(params: Params, example: Any) -> Any:
            return parted(loss(params, example))[0]

        return jax.vmap(jax.grad(value_of), in_axes=(None, 0))(params, batch)

    return gradients
