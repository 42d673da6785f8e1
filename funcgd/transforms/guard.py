"""Guards: an optimizer inside that leaves bad steps out."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.numerics import increment
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.values import value


class Guard(Transform):
    """The base of guards: `inner` decides what an update is, the guard whether there is one."""

    inner: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", as_transform(type(self).__name__, self.inner))

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def eval_params(self, state: Any, params: Params) -> Params:
        return self.inner.eval_params(state.inner_state, params)


def _inner_update(
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


def _is_finite(grads: Updates, loss: Any) -> jax.Array:
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
        good = _is_finite(grads, extra.get("value"))
        updates, inner_state = _inner_update(self.inner, good, grads, state.inner_state, params, extra)
        skipped = jnp.where(good, state.skipped, increment(state.skipped))
        consecutive = jnp.where(good, 0, increment(state.consecutive))
        return updates, SkipNonfiniteState(inner_state, skipped, consecutive)
