"""The base of methods that step from iterate to iterate by a proximal map, with trials of the step size."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params
from funcgd.solvers import composite, first_steps
from funcgd.solvers.composite import Comparison, Smooth


class ProximalState(NamedTuple):
    """The state of proximal methods.

    >>> from funcgd.solvers.proximal_method import ProximalState
    >>> ProximalState._fields
    ('base', 'step', 'recent', 'trials', 'first')
    """

    base: Smooth  # f at x_k
    step: jax.Array  # (), η: x = move(x_k, ∇f(x_k), η) is evaluated next
    recent: jax.Array  # (memory,), f + h at the last iterates; −∞ where there was none
    trials: jax.Array  # (), int32: trials of this step that were rejected
    first: jax.Array  # (), bool: whether x is the start


class ProximalMethod:
    """The base of methods whose next iterate is `move(x, ∇f(x), η)`.

    A subclass is a value with a field `step_size` (η, or None to find it) and defines `move`, `penalty(x)` (h),
    `feasible(x)` (x, or a point near it where f + h is finite) and `enough` (whether a trial is good enough); if need
    be `compare`, and `residual`, whose norm stopping rules see.

    Each evaluation of `fun` is one step of the loop.

    >>> import funcgd as fg
    >>> from funcgd.solvers.proximal_method import ProximalMethod
    >>> isinstance(fg.ProximalGradient(fg.L1Norm(0.1)), ProximalMethod)
    True
    """

    step_size: Any
    memory = 1
    max_trials = 40

    def penalty(self, x: Params) -> jax.Array:
        """h(x)."""
        raise NotImplementedError(f"{type(self).__name__} must define `penalty(self, x)`.")

    def feasible(self, x: Params) -> Params:
        """x, or a point near it where f + h is finite."""
        raise NotImplementedError(f"{type(self).__name__} must define `feasible(self, x)`.")

    def move(self, x: Params, grads: Params, step: jax.Array) -> Params:
        """The next iterate."""
        raise NotImplementedError(f"{type(self).__name__} must define `move(self, x, grads, step)`.")

    def residual(self, x: Params, grads: Params, step: jax.Array, moved: Params) -> tuple[Params, jax.Array]:
        """(a point that is x at a solution, what to divide the distance by); `moved` is `move(x, grads, step)`."""
        del x, grads
        return moved, step

    def optimality(self, fun: Callable, x: Params, args: tuple) -> Params:
        """What is 0 at a solution, for its derivative."""
        at_x, _ = composite.evaluate(fun, x, args)
        one = jnp.ones_like(at_x.value)
        return tree.sub(x, self.residual(x, at_x.grads, one, self.move(x, at_x.grads, one))[0])

    def compare(self, old: Smooth, new: Smooth) -> Comparison:
        """How f at a trial differs from its linear model."""
        return composite.compare(old, new)

    def enough(self, state: ProximalState, found: Comparison, new: Smooth, total: jax.Array) -> jax.Array:
        """Whether a trial, at which f + h is `total`, is good enough."""
        raise NotImplementedError(f"{type(self).__name__} must define `enough(…)`.")

    def init(self, fun: Callable, x: Params, args: tuple) -> ProximalState:
        """The state before the first evaluation."""
        value, _ = jax.eval_shape(fun, x, args)
        zero = jnp.zeros((), value.dtype)
        base = Smooth(x, zero, jax.tree.map(jnp.zeros_like, x))
        recent = jnp.full((self.memory,), -jnp.inf, value.dtype)
        return ProximalState(base, jnp.ones_like(zero), recent, jnp.int32(0), jnp.bool_(True))

    def step(
        self, fun: Callable, x: Params, state: ProximalState, args: tuple
    ) -> tuple[Params, ProximalState, Evaluation]:
        """One evaluation, at x: an iterate, or a trial that is rejected."""
        new, aux = composite.evaluate(fun, x, args)
        total = new.value + jnp.asarray(self.penalty(x), state.step.dtype)
        accepted, eta = self._judge(state, new, total)
        trials = jnp.where(accepted, 0, state.trials + 1)
        base = tree.where(accepted, new, state.base)
        recent = jnp.where(accepted, jnp.roll(state.recent, 1).at[0].set(total), state.recent)
        moved = self.move(base.x, base.grads, eta)
        norm, largest = composite.mapping_norms(x, *self.residual(x, new.grads, eta, moved))
        over = tree.equal(moved, base.x) | (trials >= self.max_trials)
        code = jnp.where(over, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        at_x = Evaluation(total, norm, aux, accepted, code, largest)
        return moved, ProximalState(base, eta, recent, trials, jnp.bool_(False)), at_x

    def _judge(self, state: ProximalState, new: Smooth, total: jax.Array) -> tuple[Any, jax.Array]:
        """Whether a point becomes an iterate, and η for the next trial."""
        if self.step_size is not None:
            return True, jnp.asarray(self.step_size, state.step.dtype)
        found, trial = self.compare(state.base, new), ~state.first
        finite = jnp.isfinite(total) & jnp.isfinite(found.bend)
        accepted = ~trial | (finite & self.enough(state, found, new, total))
        first = first_steps.short(new.grads, state.step.dtype)
        longer = jnp.where(trial, composite.spectral(found, state.step), first)
        return accepted, jnp.where(accepted, longer, composite.shorter(found, state.step))
