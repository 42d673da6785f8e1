"""Mixed precision: compute in 16 bits, keep parameters and updates in 32."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import as_dtype, describe, field, number, static
from funcgd.core.schedule import check_single
from funcgd.core.signature import instance_signature, names
from funcgd.core.types import Batch, Params, Scalar
from funcgd.core.values import hold, value
from funcgd.training import objective
from funcgd.training.objective import Aux, parted
from funcgd.training.own_gradient import (
    Outcome,
    arrays_of,
    call,
    chosen,
    filled,
    is_array,
    parted_extra,
    strong,
    trace,
    with_gradient,
)
from funcgd.training.per_example import as_loss

MAX_SCALE = 2.0**24  # far above what any float16 gradient needs, far below what overflows float32


class LossScaleState(NamedTuple):
    """The model state of a float16 loss: the scale, beside what the model itself remembers.

    >>> import funcgd as fg
    >>> state = fg.mixed_precision(lambda w, batch: w * batch, "float16").init_model_state()
    >>> float(state.scale), int(state.good_steps), state.inner
    (32768.0, 0, None)
    """

    scale: jax.Array  # (), float32, in [1, 2²⁴]
    good_steps: jax.Array  # (), int32: gradients without overflow since the scale changed
    inner: Any = None  # the model state of the loss inside


@value
class mixed_precision:
    """A loss computed in 16 bits, of parameters that stay in 32.

    The floating arrays in parameters and batch are cast to `compute_dtype` before the loss sees them, and value and
    metrics are float32 again. The gradient passes through the cast, so that gradient, optimizer state and update are
    float32, and no small update is lost. Integers, keys, complex numbers and the model state pass as they are; what
    the loss itself holds or closes over is its own affair.

    In float16 gradients below 6·10⁻⁸ vanish, so they are taken of S·L and divided by S in float32. The scale S adapts:
    where the value is finite and the gradient overflows, S is halved and the gradient computed again, down to S = 1, so
    that no step is lost; after `growth_interval` gradients without overflow S doubles, up to 2²⁴. Gradients that are
    not finite at any scale are returned so, and S stays. S lives in the model state, as `LossScaleState`, beside the
    loss's own: `fg.fit` starts it by itself; elsewhere pass `model_state=loss.init_model_state()` to
    `fg.TrainState.create`. bfloat16 has the range of float32: it needs no scale, and the model state is the loss's own.

    With `fg.accumulate` put this inside: `fg.accumulate(fg.mixed_precision(loss), 8)`. There is no derivative of a
    float16 gradient in reverse mode, so no hypergradient; bfloat16 has one.

    Args:
        loss: `loss(params, batch)` → a real scalar, or (scalar, `fg.Aux`).
        compute_dtype: "bfloat16" or "float16"; "float32" casts what is wider.
        initial_scale: S at the start, in [1, 2²⁴]; a power of two costs no digit. For float16 only, as the next.
        growth_interval: in [1, ∞).

    Raises:
        TypeError: when called, if `compute_dtype` is "float16" and the model state is no `LossScaleState`.

    Reference: Micikevicius et al., Mixed precision training, ICLR 2018, arXiv:1710.03740. There a step whose gradient
    overflows is skipped.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = fg.mixed_precision(lambda w, batch: jnp.mean((w * batch["x"] - batch["y"]) ** 2))
    >>> value, slope = jax.value_and_grad(loss)(jnp.array(1.5), {"x": jnp.ones(4), "y": jnp.zeros(4)})
    >>> float(value), float(slope), slope.dtype
    (2.25, 3.0, dtype('float32'))
    """

    loss: Callable = field("plain", as_loss)
    compute_dtype: Any = static(default="bfloat16", convert=as_dtype, one_of=("bfloat16", "float16", "float32"))
    initial_scale: Scalar = number("[1, 16777216]", default=2.0**15, schedule=False)
    growth_interval: Scalar = number("[1, inf)", default=2000, schedule=False)

    @instance_signature
    def __signature__(self) -> inspect.Signature:
        own = inspect.signature(self.loss)
        if not self._is_scaled or names(self.loss, "model_state"):
            return own
        parameters = list(own.parameters.values())
        last = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_KEYWORD), len(parameters))
        added = inspect.Parameter("model_state", inspect.Parameter.KEYWORD_ONLY)
        return own.replace(parameters=[*parameters[:last], added, *parameters[last:]])

    @property
    def _is_scaled(self) -> bool:
        return self.compute_dtype == "float16"

    def init_model_state(self, inner: Any = None) -> Any:
        """The state to start with, around `inner`: that of the model, or what the loss starts with if that is None."""
        check_single(self)
        inner = objective.initial_model_state(self.loss) if inner is None else inner
        if not self._is_scaled:
            return inner
        return LossScaleState(jnp.asarray(self.initial_scale, jnp.float32), jnp.zeros((), jnp.int32), inner)

    def total_weight(self, batch: Batch) -> Any:
        """That of the loss inside."""
        return objective.total_weight(self.loss, batch)

    def __call__(self, params: Params, batch: Batch, **extra: Any) -> Any:
        if not self._is_scaled:
            value, aux = parted(self.loss(*self._cast((params, batch)), **extra))
            if not isinstance(aux, Aux):
                return _high(value) if aux is None else (_high(value), aux)
            return _high(value), aux._replace(metrics=_high(aux.metrics))
        return self._scaled(params, batch, extra)

    def _cast(self, x: Any) -> Any:
        """x with its floating arrays in the dtype to compute in."""

        def cast(x: Any) -> Any:
            return jnp.asarray(x, self.compute_dtype) if is_array(x) and jnp.issubdtype(x.dtype, jnp.floating) else x

        return jax.tree.map(cast, x)

    def _scaled(self, params: Params, batch: Batch, extra: dict[str, Any]) -> tuple[Any, Aux]:
        check_single(self)
        state = extra.pop("model_state", None)
        if not isinstance(state, LossScaleState):
            raise TypeError(
                f"mixed_precision: with float16 `model_state` must be a LossScaleState, got {describe(state)}. Start "
                f"with that of `init_model_state()` of the loss, as fg.fit does unless it is given a TrainState."
            )
        if names(self.loss, "model_state"):
            extra = {**extra, "model_state": state.inner}
        extra, fixed = parted_extra(extra)

        def one(own: Any, batch: Batch, extra: dict[str, Any]) -> Outcome:
            loss, params = together(own)
            found = call("mixed_precision", loss, self._cast(params), self._cast(batch), {**extra, **fixed})
            return Outcome(_high(found.value), _high(found.metrics or {}), found.model_state)

        (own, together), batch = arrays_of((hold(self.loss), params)), strong(batch)
        traced = trace(one, own, batch, extra)
        args = {
            "inputs": (traced.closed_over, own, batch),
            "extra": extra,
            "state": strong((state, self.growth_interval)),
        }
        value, metrics, new = with_gradient(_Rescaled(traced.run), args)
        return value, Aux(metrics, new)


class _Rescaled(NamedTuple):
    """The loss, and its gradient taken at a scale at which it does not overflow."""

    run: Callable

    def __call__(self, args: Any, wanted: Any) -> tuple[Outcome, Any]:
        state, interval = args["state"]
        nothing = jax.tree.map(lambda _: None, {"extra": args["extra"], "state": args["state"]})
        point = chosen(args["inputs"], wanted["inputs"])
        if not jax.tree.leaves(point):
            found = self.run(*args["inputs"], args["extra"])
            return _with_state(found, state, state.scale, state.good_steps), {"inputs": point, **nothing}

        def attempt(scale: jax.Array) -> tuple[Outcome, Any]:
            def scaled(some: Any) -> tuple[jax.Array, Outcome]:
                found = self.run(*filled(some, args["inputs"]), args["extra"])
                return found.value * jnp.asarray(scale, found.value.dtype), found

            (_, found), slopes = jax.value_and_grad(scaled, has_aux=True)(point)
            return found, jax.tree.map(lambda g: _unscaled(numerics.widen(g), scale), slopes)

        def again(carry: tuple) -> tuple:
            scale, *_ = carry
            found, slopes = attempt(scale)
            finite = jnp.stack([jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(slopes)]).all()
            overflowed = jnp.isfinite(found.value) & ~finite
            return jnp.where(overflowed, scale / 2, scale), overflowed, found, slopes

        empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(attempt, state.scale))
        scale, overflowed, found, slopes = jax.lax.while_loop(
            lambda carry: carry[1] & (carry[0] >= 1), again, (state.scale, jnp.bool_(True), *empty)
        )
        bad = overflowed | ~jnp.isfinite(found.value)  # at every scale: no reason to change it
        return _with_state(found, state, *_next(state, scale, bad, interval)), {"inputs": slopes, **nothing}


def _next(state: LossScaleState, scale: Any, bad: Any, interval: Any) -> tuple[jax.Array, jax.Array]:
    """The scale and the count of good steps after one that `scale` served."""
    good = jnp.where(scale < state.scale, 0, numerics.increment(state.good_steps))
    grown = good.astype(jnp.float32) >= interval
    scale = jnp.where(grown, jnp.minimum(2 * scale, MAX_SCALE), scale)
    return jnp.where(bad, state.scale, scale), jnp.where(bad, state.good_steps, jnp.where(grown, 0, good))


def _with_state(found: Outcome, state: LossScaleState, scale: jax.Array, good_steps: jax.Array) -> Outcome:
    inner = state.inner if found.model_state is None else found.model_state
    return found._replace(model_state=LossScaleState(scale, good_steps, inner))


def _unscaled(g: jax.Array, scale: jax.Array) -> jax.Array:
    return g / jnp.asarray(scale, g.dtype)


def _high(x: Any) -> Any:
    """x with its floating arrays in at least float32."""
    return jax.tree.map(lambda x: numerics.widen(x) if is_array(x) and jnp.issubdtype(x.dtype, jnp.floating) else x, x)
