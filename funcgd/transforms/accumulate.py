"""One step of several gradients."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.numerics import increment
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Transform, Updates
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps
from funcgd.transforms.conditional import update_if
from funcgd.transforms.slots import moment
from funcgd.transforms.wrapper import Wrapper


def skip_not_finite(
    updates: Updates, gradient_step: Any, params: Params | None = None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Whether an entry is NaN or infinite; for `should_skip_update_fn` of `MultiSteps`.

    Returns:
        The answer, and a dict of it as `should_skip` and of how many such entries there are as `num_not_finite`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> bool(fg.skip_not_finite({"w": jnp.array([1.0, jnp.nan])}, 0)[0])
    True
    """
    del gradient_step, params
    bad = [jnp.sum(~jnp.isfinite(x), dtype=jnp.int32) for x in jax.tree.leaves(updates)]
    count = jnp.sum(jnp.stack([jnp.zeros((), jnp.int32), *bad]), dtype=jnp.int32)
    return count > 0, {"should_skip": count > 0, "num_not_finite": count}


def skip_large_updates(
    updates: Updates, gradient_step: Any, params: Params | None, max_squared_norm: Scalar
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Whether ‖u‖² is at least the bound, or NaN; with the bound given, for `should_skip_update_fn` of `MultiSteps`.

    Returns:
        The answer, and a dict of it as `should_skip` and of ‖u‖² as `norm_squared`.

    >>> import functools, funcgd as fg, jax.numpy as jnp
    >>> below_five = functools.partial(fg.skip_large_updates, max_squared_norm=25.0)
    >>> bool(below_five({"w": jnp.array([3.0, 4.5])}, 0, None)[0])
    True
    """
    del gradient_step, params
    squared = jnp.square(tree.norm(updates))
    skip = ~(squared < max_squared_norm)
    return skip, {"should_skip": skip, "norm_squared": squared}


class MultiStepsState(NamedTuple):
    """The state of `MultiSteps`.

    >>> import funcgd as fg
    >>> state = fg.MultiSteps(fg.sgd(0.1), 4).init(0.0)
    >>> int(state.mini_step), int(state.gradient_step)
    (0, 0)
    """

    mini_step: jax.Array  # (), int32: gradients in the sum so far
    gradient_step: jax.Array  # (), int32: finished updates of the transform inside
    inner_opt_state: OptState  # that of the transform inside
    acc_grads: Updates  # like the parameters, at least float32 or `accumulator_dtype`: their mean or sum so far
    skip_state: Any = ()  # what `should_skip_update_fn` said of the last gradient


@value
class MultiSteps(Wrapper):
    """Take one step of `opt` for the mean of k gradients, and none before.

        a ← a + g/k;   every k-th time u, s ← opt(a, s) and a ← 0, else u = 0

    So k batches give the step of one that is k times as large, if losses are means over batches of one size. Between
    steps `opt` is not computed, and what it counts, schedules among it, is steps and not batches. A gradient with NaN
    spoils the step it enters and no other sum; `should_skip_update_fn` keeps it out, and `skip_nonfinite` around `opt`
    keeps its state good.

    Args:
        opt: the transform inside, of funcgd or any library with `init` and `update`.
        every_k_schedule: k in [1, ∞), or a schedule of it by finished steps; rounded to an integer.
        use_grad_mean: False is the sum in place of the mean.
        should_skip_update_fn: (updates, gradient_step, params) → (skip, info), such as `skip_not_finite`: gradients for
            which it says so are left out and do not count towards k; the info of the last stands in the state.
        accumulator_dtype: dtype that stores a; None is at least float32.

    >>> import funcgd as fg
    >>> tx = fg.MultiSteps(fg.sgd(1.0), 2)
    >>> first, state = tx.update(1.0, tx.init(0.0))
    >>> second, state = tx.update(5.0, state)
    >>> float(first), float(second), bool(tx.has_updated(state))
    (0.0, -3.0, True)
    """

    opt: Any
    every_k_schedule: ScalarOrSchedule = number("[1, inf)")
    use_grad_mean: bool = static(default=True)
    should_skip_update_fn: Callable | None = static(default=None)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)

    part, part_state = "opt", "inner_opt_state"

    def has_updated(self, state: MultiStepsState) -> jax.Array:
        """Whether the last update was a step of `opt`, in the form of a boolean array."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> "MultiSteps":
        """This transform itself."""
        return self

    def init(self, params: Params) -> MultiStepsState:
        mini, steps = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        skip_state = ()
        if self.should_skip_update_fn is not None:
            _, like = jax.eval_shape(self.should_skip_update_fn, params, steps, params)
            skip_state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
        return MultiStepsState(mini, steps, self.opt.init(params), moment(params, self.accumulator_dtype), skip_state)

    def update(
        self, grads: Updates, state: MultiStepsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MultiStepsState]:
        k = jnp.maximum(as_steps(at(self, state.gradient_step).every_k_schedule).whole, 1)
        skip, skip_state = jnp.zeros((), bool), state.skip_state
        if self.should_skip_update_fn is not None:
            skip, info = self.should_skip_update_fn(grads, state.gradient_step, params)
            skip_state = jax.tree.map(lambda x, old: jnp.asarray(x, old.dtype), info, skip_state)
        h = at(self, state.gradient_step)
        h.k = k.astype(jnp.float32) if self.use_grad_mean else 1.0
        h.skip = skip

        def rule(h: Any, g: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
            total = a + jnp.where(h.skip > 0, 0, g) / h.k
            return total, total

        total, acc_grads = lift(rule, h, grads, state.acc_grads)
        mini_step = jnp.where(skip, state.mini_step, increment(state.mini_step))
        due = (mini_step >= k) & ~skip
        updates, inner_state = update_if(due, self.opt, total, state.inner_opt_state, params, extra)
        acc_grads = jax.tree.map(lambda a: jnp.where(due, jnp.zeros_like(a), a), acc_grads)
        steps = jnp.where(due, increment(state.gradient_step), state.gradient_step)
        return updates, MultiStepsState(jnp.where(due, 0, mini_step), steps, inner_state, acc_grads, skip_state)


class ApplyEvery(NamedTuple):
    """The state of `apply_every`.

    >>> import funcgd as fg
    >>> int(fg.apply_every(2).init(0.0).count)
    0
    """

    count: jax.Array  # (), int32: updates in the sum so far
    grad_acc: Updates  # like the parameters, at least float32: their sum


@value
class apply_every(Transform):
    """Sum k updates up and give the sum at every k-th, zero before; behind an optimizer, which steps every time.

    The state of what stands before advances with every gradient: `MultiSteps` takes one step for k of them.

    Args:
        k: in [1, ∞), rounded to an integer.

    >>> import funcgd as fg
    >>> tx = fg.apply_every(2)
    >>> first, state = tx.update(1.0, tx.init(0.0))
    >>> float(first), float(tx.update(5.0, state)[0])
    (0.0, 6.0)
    """

    k: float = number("[1, inf)", default=1, schedule=False)

    def init(self, params: Params) -> ApplyEvery:
        return ApplyEvery(jnp.zeros((), jnp.int32), moment(params))

    def update(
        self, grads: Updates, state: ApplyEvery, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ApplyEvery]:
        count = increment(state.count)
        due = count >= jnp.maximum(as_steps(at(self, 0).k).whole, 1)
        h = at(self, 0)
        h.due = due

        def rule(h: Any, g: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
            total = a + g
            return jnp.where(h.due > 0, total, 0), jnp.where(h.due > 0, 0, total)

        updates, grad_acc = lift(rule, h, grads, state.grad_acc)
        return updates, ApplyEvery(jnp.where(due, 0, count), grad_acc)
