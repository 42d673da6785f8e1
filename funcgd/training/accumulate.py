"""Gradient accumulation: a large batch in the memory of a small one."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics, tree
from funcgd.core.fields import as_count, describe, field, static
from funcgd.core.signature import instance_signature
from funcgd.core.types import Batch, Params
from funcgd.core.validate import leading_axis
from funcgd.core.values import hold, value
from funcgd.training import objective
from funcgd.training.own_gradient import (
    Outcome,
    arrays_of,
    call,
    chosen,
    filled,
    parted_extra,
    strong,
    trace,
    with_gradient,
)
from funcgd.training.per_example import as_loss, weighted_mean


def as_weight(weight: Any) -> Callable[[Batch], Any] | None:
    """`weight` as it is, if it computes weights."""
    if weight is None or callable(weight):
        return weight
    raise TypeError(f"expected a function batch → total weight, got {describe(weight)}.")


@value
class accumulate:
    """The loss of a batch, computed over micro-batches one after the other: their gradients are summed as they come.

        L(θ) = Σᵢ wᵢ Lᵢ(θ) / Σᵢ wᵢ,    ∇L(θ) = Σᵢ wᵢ ∇Lᵢ(θ) / Σᵢ wᵢ

    For a mean over examples that is the loss of the whole batch, in the memory of one micro-batch. It wraps the loss,
    so it serves every loop and optimizer. The sum is held in at least float32 and rounded once to the parameters'
    dtype. Without differentiation it computes values only. One micro-batch is the loss itself, bitwise.

    A batch of N examples is cut into pieces of ⌈N/k⌉; the last may be shorter, and weighs accordingly. A micro-batch of
    weight 0 has no effect, even if its loss is NaN; if all weights are 0, so are value, metrics and gradient. A NaN in
    another makes value and gradient NaN: `fg.skip_nonfinite` then leaves the whole step out.

    Reverse mode only. Metrics and model state have no gradient, and weights are constant; gradients of gradients, such
    as hypergradients, are complete.

    Args:
        loss: `loss(params, batch)` → a real scalar that is a mean over the batch, or (scalar, `fg.Aux`). Micro-batch i
            gets the key `fold_in(key, i)` and the model state that i − 1 left; metrics are averaged with the weights.
        micro_batches: k, at least 1.
        weight: batch → wᵢ ≥ 0, a scalar: what the loss divides its sum by, such as the number of tokens. None is that
            of the loss if it has a method `total_weight(batch)`, as `fg.mean_loss` has, else the number of examples.

    Raises:
        TypeError, ValueError: when called, if the loss returns no scalar, or the leading axes of the batch differ.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = fg.accumulate(lambda w, batch: jnp.mean((w - batch) ** 2), 3)
    >>> jax.value_and_grad(loss)(1.0, jnp.arange(7.0))[1].item()
    -4.0
    >>> mean = fg.mean_loss(lambda w, e: w * e["x"], weights="mask")
    >>> batch = {"x": jnp.array([1.0, 2.0, jnp.nan]), "mask": jnp.array([1.0, 1.0, 0.0])}
    >>> fg.accumulate(mean, 2)(2.0, batch).item()
    3.0
    """

    loss: Callable = field("plain", as_loss)
    micro_batches: int = static(convert=as_count)
    weight: Callable[[Batch], Any] | None = static(default=None, convert=as_weight)

    @instance_signature
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.loss)

    def init_model_state(self) -> Any:
        """That of the loss inside, if it has one."""
        return objective.initial_model_state(self.loss)

    def __call__(self, params: Params, batch: Batch, **extra: Any) -> Any:
        n = leading_axis("accumulate", "batch", batch)
        if self.micro_batches == 1:
            return self.loss(params, batch, **extra)
        size = -(-n // self.micro_batches)
        extra, fixed = parted_extra(extra)
        (own, together), batch = arrays_of((hold(self.loss), params)), strong(batch)

        def one(own: Any, batch: Batch, i: jax.Array, extra: dict[str, Any]) -> tuple[Outcome, jax.Array]:
            """The outcome and the weight of micro-batch i."""
            if "key" in extra:
                extra = {**extra, "key": jax.random.fold_in(extra["key"], i)}
            loss, params = together(own)
            return call("accumulate", loss, params, batch, {**extra, **fixed}), self._weight_of(batch)

        # Traced once for each of the two sizes, whatever is then computed or differentiated, and how often.
        parts = [trace(one, own, _first(batch, m), jnp.int32(0), extra) for m in (size, n % size) if m]
        mean = _Mean([part.run for part in parts], parts[0].shapes[0], size, n)
        args = {"shared": (own, [part.closed_over for part in parts]), "batch": batch, "extra": extra}
        return with_gradient(mean, args).returned()

    def _weight_of(self, batch: Batch) -> jax.Array:
        w = objective.total_weight(self.loss, batch) if self.weight is None else self.weight(batch)
        if np.shape(w):
            raise ValueError(f"accumulate: `weight` must return a scalar, got shape {np.shape(w)}.")
        return jax.lax.stop_gradient(numerics.widen(w))


class _Mean(NamedTuple):
    """The weighted mean over micro-batches, and its gradient."""

    runs: list[Callable]  # what one micro-batch gives: for those of full size, and for a shorter last one
    shapes: Outcome  # of one micro-batch
    size: int
    n: int  # examples in all

    def __call__(self, args: Any, wanted: Any) -> tuple[Outcome, Any]:
        steps, rest = divmod(self.n, self.size)
        wanted = {**wanted, "extra": jax.tree.map(lambda _: False, wanted["extra"])}

        def advance(which: int, carry: tuple, x: tuple) -> tuple[tuple, tuple]:
            (total, state), (i, batch) = carry, x
            here = {**args, "batch": batch}

            def value_of(some: Any) -> tuple[jax.Array, Any]:
                found, w = self._one(which, filled(some, here), i, state)
                return found.value, (found, w)

            (_, (found, w)), g = jax.value_and_grad(value_of, has_aux=True)(chosen(here, wanted))
            g = jax.tree.map(functools.partial(_weighed, w), g)
            if found.model_state is not None:
                state = jax.tree.map(functools.partial(_where_any, w), found.model_state, state)
            return (tree.add(total, g["shared"]), state), (found.value, found.metrics, w, g["batch"])

        carry = self._start(chosen(args["shared"], wanted["shared"]), args["extra"])
        cut = jax.tree.map(lambda x: x[: steps * self.size].reshape(steps, self.size, *x.shape[1:]), args["batch"])
        carry, rows = jax.lax.scan(functools.partial(advance, 0), carry, (jnp.arange(steps, dtype=jnp.int32), cut))
        *rows, slopes = rows
        slopes = jax.tree.map(lambda g: g.reshape(steps * self.size, *g.shape[2:]), slopes)
        if rest:
            last = jax.tree.map(lambda x: x[steps * self.size :], args["batch"])
            carry, (*row, slope) = advance(1, carry, (jnp.int32(steps), last))
            rows = jax.tree.map(lambda a, b: jnp.concatenate([a, jnp.asarray(b, a.dtype)[None]]), rows, row)
            slopes = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), slopes, slope)
        (total, state), (*rows, w) = carry, rows
        value, metrics = jax.tree.map(functools.partial(weighted_mean, w), tuple(rows))
        gradients = {"shared": total, "batch": slopes, "extra": chosen(args["extra"], wanted["extra"])}
        gradients = jax.tree.map(lambda g: numerics.divide(g, jnp.asarray(jnp.sum(w), g.dtype)), gradients)
        return Outcome(value, metrics, None if self.shapes.model_state is None else state), gradients

    def _one(self, which: int, args: Any, i: jax.Array, state: Any) -> tuple[Outcome, jax.Array]:
        (own, closed_over), extra = args["shared"], args["extra"]
        extra = {**extra, "model_state": state} if "model_state" in extra else extra
        return self.runs[which](closed_over[which], own, args["batch"], i, extra)

    def _start(self, shared: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Zeros in place of the sum of gradients, and the model state before the first micro-batch."""
        state = extra.get("model_state")
        if state is None:
            state = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), self.shapes.model_state)
        return jax.tree.map(lambda x: jnp.zeros_like(numerics.widen(x)), shared), state


def _weighed(w: jax.Array, g: jax.Array) -> jax.Array:
    """w·g in at least float32, and 0 where w is 0, whatever g is."""
    g = numerics.widen(g)
    return jnp.where(w != 0, jnp.asarray(w, g.dtype) * g, 0)


def _where_any(w: jax.Array, new: Any, old: jax.Array) -> jax.Array:
    """What a micro-batch of weight w leaves: nothing new if that is 0. In the dtype of the old, to be carried."""
    return jnp.where(w != 0, jnp.asarray(new, old.dtype), old)


def _first(batch: Batch, m: int) -> Batch:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((m, *x.shape[1:]), x.dtype), batch)
