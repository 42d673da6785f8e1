"""Guards: an optimizer inside that leaves bad steps out."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import number
from funcgd.core.numerics import increment
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Transform, Updates
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps
from funcgd.transforms.wrapper import Wrapper


class Guard(Wrapper):
    """The base of guards: `inner` decides what an update is, the guard whether there is one."""

    @property
    def guards(self) -> bool:
        return True

    @property
    def per_example(self) -> bool:
        return self.inside.per_example


def inner_update(
    inner: Transform, good: jax.Array, grads: Updates, state: OptState, params: Params | None, extra: dict[str, Any]
) -> tuple[Updates, OptState]:
    """One update of `inner` where `good`; else zeros, and the state as it was.

    A select is exact, and costs less than a branch. The gradients are selected too, before: what is not used is
    finite then, so that derivatives through the optimizer do not become 0 · NaN.
    """

    def select(new: Any, old: Any) -> jax.Array:
        return jnp.where(good, new, old)

    safe = jax.tree.map(lambda g: select(g, jnp.zeros_like(g)), grads)
    updates, new = inner.update(safe, state, params, **extra)
    return jax.tree.map(lambda u: select(u, jnp.zeros_like(u)), updates), jax.tree.map(select, new, state)


def is_finite(grads: Updates, loss: Any) -> jax.Array:
    """Whether every entry is finite, and so is the loss, if there is one."""
    return jnp.stack([jnp.all(jnp.isfinite(x)) for x in (0.0, *jax.tree.leaves((grads, loss)))]).all()


class SkipNonfiniteState(NamedTuple):
    """The state of `skip_nonfinite`.

    >>> import funcgd as fg
    >>> fg.skip_nonfinite(fg.sgd(0.1)).init(0.0).skipped.dtype
    dtype('int32')
    """

    inner_state: OptState  # that of the transform inside, which knows of good steps only
    skipped: jax.Array  # (), int32: steps left out so far
    consecutive: jax.Array  # (), int32: steps left out since the last good one


@value
class skip_nonfinite(Guard):
    """Leave out steps whose gradient has a NaN or infinite entry, or whose loss is NaN or infinite.

        u, s ← inner(g, s)    where g, and the loss if it is passed as `value`, are finite
        u, s ← 0, s           else

    A step that is left out advances nothing: moments, counts and schedules of `inner` stay bitwise what they were, so
    the next good step is that of a run which never saw the bad one. Only the two counters of the guard tell. A NaN in
    one leaf leaves the whole step out. What `inner` itself makes of finite gradients is not looked at.

    A guard hides why steps are bad: look at the counters, with `fg.tree.get(state, "skipped")`.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.

    Raises:
        TypeError: if `inner` is no transform.

    Reference: Micikevicius et al., Mixed precision training, ICLR 2018, arXiv:1710.03740, which leaves such steps out
    where a scaled loss overflows.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.skip_nonfinite(fg.sgd(0.5))
    >>> updates, state = tx.update({"w": jnp.array([1.0, jnp.nan])}, tx.init({"w": jnp.ones(2)}))
    >>> updates["w"].tolist(), int(state.skipped)
    ([0.0, 0.0], 1)
    """

    inner: Transform

    def init(self, params: Params) -> SkipNonfiniteState:
        return SkipNonfiniteState(self.inner.init(params), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def update(
        self, grads: Updates, state: SkipNonfiniteState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SkipNonfiniteState]:
        good = is_finite(grads, extra.get("value"))
        updates, inner_state = inner_update(self.inner, good, grads, state.inner_state, params, extra)
        skipped = jnp.where(good, state.skipped, increment(state.skipped))
        consecutive = jnp.where(good, 0, increment(state.consecutive))
        return updates, SkipNonfiniteState(inner_state, skipped, consecutive)


class Moments(NamedTuple):
    """An average and a variance that forget."""

    steps: jax.Array  # (), int32: how many numbers have entered
    mean: jax.Array  # (), float32
    var: jax.Array  # (), float32

    def observe(self, x: jax.Array, decay: Any) -> "Moments":
        """With one more number; that of k steps ago weighs decayᵏ (West 1979)."""
        steps = increment(self.steps)
        weight = jnp.asarray((1 - decay) / numerics.bias_correction(decay, steps), jnp.float32)
        weight = jnp.where(steps == 1, 1, jnp.minimum(weight, 1))  # rounding must not make a variance negative
        d = x - self.mean
        return Moments(steps, self.mean + weight * d, (1 - weight) * (self.var + weight * d * d))


def _no_moments() -> Moments:
    return Moments(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))


class SkipSpikesState(NamedTuple):
    """The state of `skip_spikes`.

    >>> import funcgd as fg
    >>> int(fg.skip_spikes(fg.sgd(0.1)).init(0.0).log_norm.steps)
    0
    """

    inner_state: OptState  # that of the transform inside, which knows of accepted steps only
    skipped: jax.Array  # (), int32: steps left out so far
    consecutive: jax.Array  # (), int32: steps left out since the last accepted one
    spikes: jax.Array  # (), int32: those of them that were finite
    log_norm: Moments  # of the logarithm of the norm of accepted gradients other than zero
    loss: Moments  # of the loss of accepted steps, if it is passed


@value
class skip_spikes(Guard):
    """Leave out steps whose gradient or loss is far above those of the steps before; also what is not finite.

        ℓ = log‖g‖₂,   m, σ² = mean and variance of ℓ over the accepted steps, that of k steps ago weighing βᵏ
        spike:  ℓ − m > max(τσ, log c)

    and likewise, with the loss f in place of ℓ, f − m > max(τσ, (c − 1)|m|) if it is passed as `value`. As in
    `skip_nonfinite`, a step that is left out advances nothing, and it does not enter the averages either.

    The logarithm, because norms are positive, skewed, and fall by orders of magnitude in a run: a spike is a factor,
    and the unit of the loss does not matter. Gradients of zero pass and do not enter m and σ; ones far below m enter as
    m − max(τσ, log c), so that one of them does not make the guard blind. After `patience` spikes in a row the next
    is taken for a new level: it is accepted, and averages and warm-up begin anew with it. NaN and ∞ are never
    accepted, and do not count as spikes in this.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.
        threshold: τ in [0, ∞), in standard deviations.
        decay: β in [0, 1); averages reach back about 1/(1 − β) steps.
        warmup: accepted steps before the first that may be a spike, in [0, ∞); 0 is as 1.
        patience: spikes in a row that are left out, in [1, ∞).
        min_factor: c in [1, ∞): up to c times the geometric mean of norms is no spike, however steady they are.

    Raises:
        TypeError: if `inner` is no transform.
        ValueError: at update, if `value` is passed and is no scalar.

    References: Chowdhery et al., PaLM: Scaling language modeling with pathways, 2022, arXiv:2204.02311, section 5.1
    (batches around a spike are left out); Kumar et al., ZClip: Adaptive spike mitigation for LLM pre-training, 2025,
    arXiv:2504.02507 (deviations from a running mean of norms); West, Updating mean and variance estimates: an improved
    method, CACM 22, 1979.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.skip_spikes(fg.sgd(1.0), warmup=3)
    >>> state = tx.init(0.0)
    >>> for g in (1.0, 1.1, 0.9, 1.0, 50.0, 1.0):
    ...     update, state = tx.update(g, state)
    ...     print(round(float(update), 1), end=" ")
    -1.0 -1.1 -0.9 -1.0 0.0 -1.0
    """

    inner: Transform
    threshold: float = number("[0, inf)", default=6.0, schedule=False)
    decay: float = number("[0, 1)", default=0.99, schedule=False)
    warmup: float = number("[0, inf)", default=20, schedule=False)
    patience: float = number("[1, inf)", default=10, schedule=False)
    min_factor: float = number("[1, inf)", default=1.5, schedule=False)

    def init(self, params: Params) -> SkipSpikesState:
        skipped, consecutive, spikes = (jnp.zeros((), jnp.int32) for _ in range(3))
        return SkipSpikesState(self.inner.init(params), skipped, consecutive, spikes, _no_moments(), _no_moments())

    def update(
        self, grads: Updates, state: SkipSpikesState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SkipSpikesState]:
        # Decisions have no derivative; those of what leads to them would only be in the way.
        (h, old), observed = jax.lax.stop_gradient(
            ((_numbers(self), (state.log_norm, state.loss)), _observed(grads, extra))
        )
        finite = is_finite(grads, extra.get("value"))
        floors = (jnp.log(h["min_factor"]), (h["min_factor"] - 1) * jnp.abs(state.loss.mean))
        first = jnp.maximum(as_steps(h["warmup"]).whole, 1)
        limits = [
            jnp.where(m.steps < first, jnp.inf, jnp.maximum(h["threshold"] * jnp.sqrt(m.var), floor))
            for m, floor in zip(old, floors, strict=True)
        ]
        above = [seen & (x - m.mean > limit) for (seen, x), m, limit in zip(observed, old, limits, strict=True)]
        spike = finite & (above[0] | above[1])
        restart = spike & (state.spikes >= as_steps(h["patience"]).whole)
        good = finite & (~spike | restart)

        def renew(m: Moments, seen: Any, x: jax.Array, limit: jax.Array) -> Moments:
            start = jax.tree.map(lambda none, m: jnp.where(restart, none, m), _no_moments(), m)
            new = start.observe(jnp.where(restart, x, jnp.maximum(x, m.mean - limit)), h["decay"])
            return jax.tree.map(lambda new, m: jnp.where(good & seen, new, m), new, m)

        log_norm, loss = (renew(m, *x, limit) for m, x, limit in zip(old, observed, limits, strict=True))
        updates, inner_state = inner_update(self.inner, good, grads, state.inner_state, params, extra)
        return updates, SkipSpikesState(
            inner_state,
            jnp.where(good, state.skipped, increment(state.skipped)),
            jnp.where(good, 0, increment(state.consecutive)),
            jnp.where(good, 0, jnp.where(spike, increment(state.spikes), state.spikes)),
            log_norm,
            loss,
        )


def _numbers(tx: skip_spikes) -> dict[str, jax.Array]:
    return {name: jnp.asarray(x, jnp.float32) for name, x in vars(at(tx, None)).items()}


def _observed(grads: Updates, extra: dict[str, Any]) -> list[tuple[Any, jax.Array]]:
    """(whether there is one, float32) of the logarithm of the norm, and of the loss."""
    scale, r = numerics.split_norm([jnp.asarray(g) for g in jax.tree.leaves(grads)])
    log_norm = jnp.log(scale) + jnp.log(jnp.where(r > 0, r, 1))
    norm = r > 0, jnp.asarray(log_norm, jnp.float32)
    loss = extra.get("value")
    if loss is None:
        return [norm, (jnp.zeros((), bool), jnp.zeros((), jnp.float32))]
    if jnp.shape(loss):
        raise ValueError(f"skip_spikes.update: `value` must be a scalar, got shape {jnp.shape(loss)}.")
    limited = jnp.clip(numerics.widen(loss), -1e18, 1e18)  # so that squares stay finite
    return [norm, (jnp.ones((), bool), jnp.asarray(limited, jnp.float32))]
