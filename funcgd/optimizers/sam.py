"""Sharpness-aware minimisation: the gradient of a point uphill, taken as if it were that of here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.calculus.gradient import gradient_of
from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import as_count, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.values import value
from funcgd.transforms.slots import copied, from_slot
from funcgd.transforms.wrapper import Wrapper


class SAMState(NamedTuple):
    """The state of `sam`.

    >>> import funcgd as fg
    >>> int(fg.sam(fg.sgd(0.1), fg.normalized_gradient_descent(0.05)).init(1.0).steps_since_sync)
    0
    """

    steps_since_sync: jax.Array  # (), int32: steps uphill since the last of `optimizer`; 0 with `opaque_mode`
    opt_state: OptState  # that of `optimizer`
    adv_state: OptState  # that of `adv_optimizer`
    cache: Params | None  # where the steps uphill began, like the parameters, at least float32; None with `opaque_mode`


@value
class sam(Wrapper):
    """Sharpness-aware minimisation: go uphill for k − 1 steps, and step from where that began with the gradient there.

        w ← θ;   k − 1 times:  w ← w − a,  a = adv_optimizer(∇f(w));      θ ← θ + optimizer(∇f(w))

    With k = 2 and `adv_optimizer=fg.normalized_gradient_descent(ρ)` it is the paper's: w = θ + ρ∇f(θ)/‖∇f(θ)‖. A zero
    gradient leads nowhere, and w = θ.

    With `opaque_mode` all of it is one update, for which `update` needs `value_fn`, as `fg.fit` and `fg.make_step` pass
    it, or `grad_fn`, a function (w, i) → ∇f(w) for the i-th of the k − 1 gradients, from 0. Without, each update is
    one step, uphill or of `optimizer`: the parameters are w in between, and `eval_params` gives θ.

    Args:
        optimizer: what steps with the gradient uphill; it sees the parameters θ.
        adv_optimizer: what goes uphill: an optimizer whose updates are subtracted.
        sync_period: k, an integer from 1; 1 is `optimizer` alone.
        reset_state: begin anew with the state of `adv_optimizer` after each step of `optimizer`.
        opaque_mode: whether an update is all k steps.
        batch_axis_name: with `opaque_mode`, the axis of `jax.pmap` or `jax.shard_map` over which to average gradients.

    Raises:
        ValueError: at update, if `opaque_mode` has neither `value_fn` nor `grad_fn`.

    Reference: Foret, Kleiner, Mobahi, Neyshabur, Sharpness-aware minimization for efficiently improving
    generalization, ICLR 2021, arXiv:2010.01412.

    >>> import funcgd as fg
    >>> tx = fg.sam(fg.sgd(0.25), fg.normalized_gradient_descent(0.5), opaque_mode=True)
    >>> fg.minimize(lambda x: x**2, 1.0, tx, max_steps=1).params.item()  # 1 − ¼ · 2 · 1.5
    0.25
    """

    optimizer: Any
    adv_optimizer: Any
    sync_period: int = static(default=2, convert=as_count)
    reset_state: bool = static(default=True)
    opaque_mode: bool = static(default=False)
    batch_axis_name: str | None = static(default=None)

    part, part_state = "optimizer", "opt_state"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "adv_optimizer", as_transform("sam", self.adv_optimizer))

    @property
    def adversary(self) -> Transform:
        """What goes uphill."""
        return self.adv_optimizer

    @property
    def needs(self) -> frozenset[str]:
        own = {"params", "value_fn or grad_fn"} if self.opaque_mode else {"params"}
        return self.inside.needs | self.adversary.needs | own

    def init(self, params: Params) -> SAMState:
        cache = None if self.opaque_mode else copied(params)
        return SAMState(jnp.zeros((), jnp.int32), self.inside.init(params), self.adversary.init(params), cache)

    def update(
        self, grads: Updates, state: SAMState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SAMState]:
        return (self._all_steps if self.opaque_mode else self._one_step)(grads, state, params, extra)

    def eval_params(self, state: SAMState, params: Params) -> Params:
        if not self.opaque_mode:
            away = state.steps_since_sync > 0
            params = from_slot(state.cache, params, lambda start, w: jnp.where(away, start, w))
        return self.inside.eval_params(state.opt_state, params)

    def _all_steps(
        self, grads: Updates, state: SAMState, params: Params, extra: dict[str, Any]
    ) -> tuple[Updates, SAMState]:
        grad_fn = extra.pop("grad_fn", None) or _gradient_of(extra["value_fn"])
        w, adv_state = params, state.adv_state
        for i in range(self.sync_period - 1):
            a, adv_state = self.adversary.update(self._averaged(grads), adv_state, w, **extra)
            w = apply_updates(w, jax.tree.map(jnp.negative, a))
            grads = grad_fn(w, i)
        updates, opt_state = self.inside.update(self._averaged(grads), state.opt_state, params, **extra)
        if self.reset_state:
            adv_state = self.adversary.init(params)
        return updates, SAMState(state.steps_since_sync, opt_state, adv_state, None)

    def _one_step(
        self, grads: Updates, state: SAMState, params: Params, extra: dict[str, Any]
    ) -> tuple[Updates, SAMState]:
        start = tree.where(state.steps_since_sync == 0, copied(params), state.cache)
        theta = from_slot(start, params)

        def down() -> tuple[Updates, OptState, OptState]:
            updates, opt_state = self.inside.update(grads, state.opt_state, theta, **extra)
            back = lift(lambda h, u, start, w: start + u - w, at(self, None), updates, read=(start, params))
            return back, opt_state, self.adversary.init(theta) if self.reset_state else state.adv_state

        def up() -> tuple[Updates, OptState, OptState]:
            a, adv_state = self.adversary.update(grads, state.adv_state, params, **extra)
            return lift(lambda h, a, start: -a, at(self, None), a, read=(start,)), state.opt_state, adv_state

        last = state.steps_since_sync >= self.sync_period - 1
        updates, opt_state, adv_state = jax.lax.cond(last, down, up)
        return updates, SAMState(jnp.where(last, 0, state.steps_since_sync + 1), opt_state, adv_state, start)

    def _averaged(self, grads: Updates) -> Updates:
        return grads if self.batch_axis_name is None else jax.lax.pmean(grads, self.batch_axis_name)


def _gradient_of(value_fn: Callable) -> Callable:
    ascent = gradient_of(value_fn)
    return lambda w, i: ascent(w)
