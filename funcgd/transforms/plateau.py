"""Reduce the step where a value no longer improves."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, cast
from funcgd.core.transform import OptState, Params, Transform, Updates
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps, real


class ReduceLROnPlateauState(NamedTuple):
    """The state of `reduce_on_plateau`.

    >>> import funcgd as fg
    >>> float(fg.reduce_on_plateau().init(0.0).scale)
    1.0
    """

    scale: jax.Array  # (), float32 (float64 where that is enabled): the factor of updates
    best_value: jax.Array  # (), same dtype: the best mean so far; ∞ (mode "min") or −∞ before the first
    plateau_count: jax.Array  # (), int32: means without improvement since
    cooldown_count: jax.Array  # (), int32: means to leave out still
    count: jax.Array  # (), int32: values in `avg_value`, fewer than accumulation_size
    avg_value: jax.Array  # (), as scale: their mean


@value
class reduce_on_plateau(Transform):
    """Make steps smaller by a factor where a value has not improved for some time.

        v̄ = mean of N values;   improved:  v̄ < v* − (ρ|v*| + α), and then v* ← v̄
        after k means in a row that have not:  s ← max(f·s, s_min);   then c means are left out

        u = s·g,  s = 1 at first

    The margin is relative to |v*|, so that values may have any sign. A mean that is NaN is no improvement. A reduction
    counts from the update that brought it on. Put it behind the optimizer: `fg.chain(fg.sgd(0.1), …)`.

    Args:
        factor: f in (0, 1); 0.1 divides by 10.
        patience: k in [1, ∞): the k-th mean in a row without improvement reduces.
        rtol, atol: ρ and α in [0, ∞), without unit, and in the unit of the value.
        cooldown: c in [0, ∞), means that do not count after a reduction.
        accumulation_size: N in [1, ∞), values to a mean. With the steps of an epoch, k counts epochs.
        min_scale: s_min in [0, 1].
        mode: "min", or "max" for a value that should rise (v̄ > v* + ρ|v*| + α).
        metric: None is the loss of every step, which the training step passes as `value`. The name of a metric of
            `fg.fit`, such as "validation loss", takes what is measured at the epoch's end instead; without `fg.fit`,
            pass it on by `state = tx.observe(state, {"validation loss": v})`.

    Raises:
        ValueError: if `value` is not passed though `metric` is None, or is no scalar.

    Reference: He, Zhang, Ren, Sun, Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385, section
    3.4 (divided by 10 when the error plateaus).

    >>> import funcgd as fg
    >>> tx = fg.chain(fg.sgd(1.0), fg.reduce_on_plateau(factor=0.1, patience=2))
    >>> state = tx.init(0.0)
    >>> for value in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     update, state = tx.update(1.0, state, value=value)
    ...     print(round(float(update), 3), end=" ")
    -1.0 -1.0 -1.0 -0.1 -0.1
    """

    factor: Scalar = number("(0, 1)", default=0.1, schedule=False)
    patience: Scalar = number("[1, inf)", default=10, schedule=False)
    rtol: Scalar = number("[0, inf)", default=1e-4, schedule=False)
    atol: Scalar = number("[0, inf)", default=0.0, schedule=False)
    cooldown: Scalar = number("[0, inf)", default=0, schedule=False)
    accumulation_size: Scalar = number("[1, inf)", default=1, schedule=False)
    min_scale: Scalar = number("[0, 1]", default=0.0, schedule=False)
    mode: str = static(default="min", one_of=("min", "max"))
    metric: str | None = static(default=None)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"value"}) if self.metric is None else frozenset()

    @property
    def watches(self) -> frozenset[str]:
        return frozenset() if self.metric is None else frozenset({self.metric})

    def init(self, params: Params) -> ReduceLROnPlateauState:
        plateau, cooldown, count = (jnp.zeros((), jnp.int32) for _ in range(3))
        worst = real(jnp.inf if self.mode == "min" else -jnp.inf)
        return ReduceLROnPlateauState(real(1.0), worst, plateau, cooldown, count, real(0.0))

    def update(
        self, grads: Updates, state: ReduceLROnPlateauState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ReduceLROnPlateauState]:
        if self.metric is None:
            state = self._seen(state, "value", extra["value"])
        h = at(self, None)
        h.scale = state.scale
        return lift(lambda h, g: h.scale * g, h, grads), state

    def in_use(self, state: ReduceLROnPlateauState) -> dict[str, Any]:
        """The factor of the last updates, for `fg.hyperparameters`: learning rates in front of it count that much."""
        return {"scale": state.scale}

    def observe(self, state: OptState, metrics: dict[str, Any]) -> OptState:
        if self.metric is None:
            return state
        if self.metric not in metrics:
            known = ", ".join(map(repr, metrics))
            raise ValueError(f"reduce_on_plateau: `metric` must be one of {known}; got {self.metric!r}.")
        return self._seen(state, self.metric, metrics[self.metric])

    def _seen(self, state: Any, name: str, value: Any) -> ReduceLROnPlateauState:
        if jnp.shape(value):
            raise ValueError(f"reduce_on_plateau: the {name} must be a scalar, got shape {jnp.shape(value)}.")
        return _after(self, state, jax.lax.stop_gradient(real(value)))


@functools.partial(jax.jit, inline=True)
def _after(tx: reduce_on_plateau, state: ReduceLROnPlateauState, value: jax.Array) -> ReduceLROnPlateauState:
    """The state after one more value."""
    h, sign = at(tx, None), 1 if tx.mode == "min" else -1
    size, patience, cooldown = (as_steps(n).whole for n in (h.accumulation_size, h.patience, h.cooldown))
    h = cast(h, value.dtype)
    count = state.count + 1
    mean = state.avg_value + (value - state.avg_value) / count.astype(value.dtype)

    best = sign * state.best_value
    margin = jnp.where(jnp.isfinite(best), h.rtol * jnp.abs(best) + h.atol, 0)  # ∞ − ∞ is NaN
    better = sign * mean < best - margin
    cooling = state.cooldown_count > 0
    waited = jnp.where(better | cooling, 0, state.plateau_count + 1)
    reduces = waited >= jnp.maximum(patience, 1)
    after = ReduceLROnPlateauState(
        scale=jnp.where(reduces, jnp.maximum(h.factor * state.scale, h.min_scale), state.scale),
        best_value=jnp.where(better, mean, state.best_value),
        plateau_count=jnp.where(reduces, 0, waited),
        cooldown_count=jnp.where(reduces, cooldown, jnp.maximum(state.cooldown_count - 1, 0)),
        count=jnp.zeros_like(count),
        avg_value=jnp.zeros_like(mean),
    )
    full = count >= size
    return jax.tree.map(lambda new, old: jnp.where(full, new, old), after, state._replace(count=count, avg_value=mean))
