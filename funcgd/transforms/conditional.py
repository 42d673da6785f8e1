"""A transform inside that acts at some steps only."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import as_count, static
from funcgd.core.numerics import increment
from funcgd.core.transform import OptState, Params, Transform, Updates
from funcgd.core.values import value
from funcgd.transforms.guard import Guard, inner_update, is_finite
from funcgd.transforms.wrapper import Wrapper


def update_if(
    condition: jax.Array,
    inner: Transform,
    grads: Updates,
    state: OptState,
    params: Params | None,
    extra: dict[str, Any],
    keep: bool = False,
) -> tuple[Updates, OptState]:
    """One update of `inner` where the condition holds; else zeros or, with `keep`, `grads`, and the state as it was.

    A branch: what is not needed is not computed.
    """

    def act() -> tuple[Updates, OptState]:
        return inner.update(grads, state, params, **extra)

    like, _ = jax.eval_shape(act)

    def pass_by() -> tuple[Updates, OptState]:
        return jax.tree.map(lambda g, u: jnp.asarray(g if keep else np.zeros(u.shape), u.dtype), grads, like), state

    return jax.lax.cond(condition, act, pass_by)


class Conditional(Wrapper):
    """The base of transforms that ask a function of the step whether `inner` acts."""

    should_transform_fn: Any
    forward_extra_args: Any

    def _asked(self, step: jax.Array, extra: dict[str, Any]) -> jax.Array:
        answer = self.should_transform_fn(step, **(extra if self.forward_extra_args else {}))
        if np.shape(answer):
            who = type(self).__name__
            raise ValueError(f"{who}: `should_transform_fn` must return one boolean, got shape {np.shape(answer)}.")
        return jnp.asarray(answer, bool)


class ConditionallyTransformState(NamedTuple):
    """The state of `conditionally_transform`.

    >>> import funcgd as fg
    >>> int(fg.conditionally_transform(fg.clip(1.0), lambda step: step < 10).init(0.0).step)
    0
    """

    inner_state: OptState  # that of the transform inside, which knows only of steps at which it acts
    step: jax.Array  # (), int32: updates so far, of any kind


class ConditionallyMaskState(NamedTuple):
    """The state of `conditionally_mask`.

    >>> import funcgd as fg
    >>> int(fg.conditionally_mask(fg.sgd(1.0), lambda step: step < 10).init(0.0).step)
    0
    """

    step: jax.Array  # (), int32: updates so far, of any kind
    inner_state: OptState  # that of the transform inside, which knows only of steps at which it acts


@value
class conditionally_transform(Conditional):
    """Apply `inner` where a condition on the step holds; let the updates pass unchanged where it does not.

        u, s ← inner(g, s)   where the condition holds
        u, s ← g, s          else, as for an optimizer would be raw gradients: see `conditionally_mask`

    Counts and schedules of `inner` advance only when it acts. What it would do is not computed otherwise.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.
        should_transform_fn: step → whether it acts; the step counts all updates, from 0. Held statically.
        forward_extra_args: whether the function also gets the extra arguments of `update`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.conditionally_transform(fg.clip(1.0), lambda step: step == 0)  # the first gradient only
    >>> first, state = tx.update(jnp.array([5.0]), tx.init(jnp.zeros(1)))
    >>> second, state = tx.update(jnp.array([5.0]), state)
    >>> first.tolist(), second.tolist()
    ([1.0], [5.0])
    """

    inner: Transform
    should_transform_fn: Callable = static()
    forward_extra_args: bool = static(default=False)

    def init(self, params: Params) -> ConditionallyTransformState:
        return ConditionallyTransformState(self.inner.init(params), jnp.zeros((), jnp.int32))

    def update(
        self, grads: Updates, state: ConditionallyTransformState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ConditionallyTransformState]:
        acts = self._asked(state.step, extra)
        updates, inner_state = update_if(acts, self.inner, grads, state.inner_state, params, extra, keep=True)
        return updates, ConditionallyTransformState(inner_state, increment(state.step))


@value
class conditionally_mask(Conditional):
    """Apply `inner` where a condition on the step holds; make the updates zero where it does not.

        u, s ← inner(g, s)   where the condition holds
        u, s ← 0, s          else

    Counts and schedules of `inner` advance only when it acts. What it would do is not computed otherwise.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.
        should_transform_fn: step → whether it acts; the step counts all updates, from 0. Held statically.
        forward_extra_args: whether the function also gets the extra arguments of `update`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.conditionally_mask(fg.sgd(1.0), lambda step: step % 2 == 1)
    >>> first, state = tx.update(jnp.array([5.0]), tx.init(jnp.zeros(1)))
    >>> second, state = tx.update(jnp.array([5.0]), state)
    >>> first.tolist(), second.tolist()
    ([0.0], [-5.0])
    """

    inner: Transform
    should_transform_fn: Callable = static()
    forward_extra_args: bool = static(default=False)

    def init(self, params: Params) -> ConditionallyMaskState:
        return ConditionallyMaskState(jnp.zeros((), jnp.int32), self.inner.init(params))

    def update(
        self, grads: Updates, state: ConditionallyMaskState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ConditionallyMaskState]:
        acts = self._asked(state.step, extra)
        updates, inner_state = update_if(acts, self.inner, grads, state.inner_state, params, extra)
        return updates, ConditionallyMaskState(increment(state.step), inner_state)


class ApplyIfFiniteState(NamedTuple):
    """The state of `apply_if_finite`.

    >>> import funcgd as fg
    >>> bool(fg.apply_if_finite(fg.sgd(0.1), 5).init(0.0).last_finite)
    True
    """

    notfinite_count: jax.Array  # (), int32: bad gradients since the last good one
    last_finite: jax.Array  # (), bool: whether the last gradient was good
    total_notfinite: jax.Array  # (), int32: bad gradients so far
    inner_state: OptState  # that of the transform inside, which knows of good gradients only


@value
class apply_if_finite(Guard):
    """Leave out steps whose gradient has a NaN or infinite entry, and fail when there are too many in a row.

        u, s ← inner(g, s)   where g is finite
        u, s ← 0, s          where it is not, for up to n times in a row
        u, s ← NaN, s        from then on until g is finite, so that the failure shows

    The state of `inner` never sees such a gradient. `skip_nonfinite` looks at the loss too, and never fails.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.
        max_consecutive_errors: n, an integer from 0.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.apply_if_finite(fg.sgd(0.5), max_consecutive_errors=1)
    >>> state = tx.init(0.0)
    >>> for g in (jnp.nan, jnp.nan, 1.0):
    ...     update, state = tx.update(g, state)
    ...     print(float(update), end=" ")
    0.0 nan -0.5
    """

    inner: Transform
    max_consecutive_errors: int = static(convert=lambda n: as_count(n, 0))

    def init(self, params: Params) -> ApplyIfFiniteState:
        zero, total = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        return ApplyIfFiniteState(zero, jnp.ones((), bool), total, self.inner.init(params))

    def update(
        self, grads: Updates, state: ApplyIfFiniteState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ApplyIfFiniteState]:
        good = is_finite(grads, None)
        updates, inner_state = inner_update(self.inner, good, grads, state.inner_state, params, extra)
        count = jnp.where(good, 0, increment(state.notfinite_count))
        total = jnp.where(good, state.total_notfinite, increment(state.total_notfinite))
        failed = count > self.max_consecutive_errors
        updates = jax.tree.map(lambda u: jnp.where(failed, jnp.asarray(np.nan, u.dtype), u), updates)
        return updates, ApplyIfFiniteState(count, good, total, inner_state)
