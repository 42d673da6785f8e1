"""Lookahead: fast weights explore, slow weights follow them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.numerics import increment
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps
from funcgd.transforms.slots import copied, from_slot
from funcgd.transforms.wrapper import Follower


class LookaheadParams(NamedTuple):
    """Fast and slow parameters side by side, for loops that keep both; gradients are those of the fast ones.

    >>> import funcgd as fg
    >>> fg.LookaheadParams.init_synced(1.0)
    LookaheadParams(fast=1.0, slow=1.0)
    """

    fast: Params  # where gradients are computed
    slow: Params  # what a model is evaluated with

    @classmethod
    def init_synced(cls, params: Params) -> "LookaheadParams":
        """The pair before the first step: `params` twice."""
        return cls(params, params)

    @property
    def __trained__(self) -> Params:
        return self.fast


class LookaheadState(NamedTuple):
    """The state of `lookahead`.

    >>> import funcgd as fg
    >>> int(fg.lookahead(fg.sgd(0.1), 5, 0.5).init(1.0).steps_since_sync)
    0
    """

    fast_state: OptState  # that of the optimizer inside
    steps_since_sync: jax.Array  # (), int32: its steps since slow and fast weights met
    slow: Params  # like the parameters, at least float32: the slow weights; None where the parameters are a pair


@value
class lookahead(Follower):
    """Lookahead: k steps of a fast optimizer, then one step of slow weights towards where they led, and begin there.

        θ ← θ + u,  u, s ← fast(∇f(θ), s);   after every k-th:  φ ← φ + α(θ − φ),  θ ← φ

    The parameters are the fast weights θ; the slow ones φ stand in the state, and `eval_params` gives them, so that
    `fg.fit` validates with them. Parameters may be a pair (θ, φ) instead, `LookaheadParams`, for loops that keep
    both; then the gradient is that of θ, and updates are pairs, too. Put nothing behind it that changes updates.

    Args:
        fast_optimizer: the optimizer inside, of funcgd or any library with `init` and `update`.
        sync_period: k in [1, ∞), rounded to an integer; 5 to 10 in the paper.
        slow_step_size: α in [0, 1]; 0.5 to 0.8 in the paper.
        reset_state: begin anew with the state of the fast optimizer whenever the weights meet.

    Reference: Zhang, Lucas, Hinton, Ba, Lookahead optimizer: k steps forward, 1 step back, NeurIPS 2019,
    arXiv:1907.08610.

    >>> import funcgd as fg
    >>> tx = fg.lookahead(fg.sgd(1.0), sync_period=2, slow_step_size=0.5)
    >>> params, state = 0.0, tx.init(0.0)
    >>> for _ in range(2):  # two steps of −1, and half of the way back
    ...     update, state = tx.update(1.0, state, params)
    ...     params = params + update
    ...     print(float(params), float(fg.eval_params(tx, state, params)))
    -1.0 0.0
    -1.0 -1.0
    """

    fast_optimizer: Any
    sync_period: float = number("[1, inf)", schedule=False)
    slow_step_size: float = number("[0, 1]", schedule=False)
    reset_state: bool = static(default=False)

    part, part_state = "fast_optimizer", "fast_state"

    def init(self, params: Params) -> LookaheadState:
        pair = isinstance(params, LookaheadParams)
        fast_state = self.inside.init(params.fast if pair else params)
        return LookaheadState(fast_state, jnp.zeros((), jnp.int32), None if pair else copied(params))

    def update(
        self, grads: Updates, state: LookaheadState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, LookaheadState]:
        pair = isinstance(params, LookaheadParams)
        fast, slow = (params.fast, copied(params.slow)) if pair else (params, state.slow)
        updates, fast_state = self.inside.update(grads, state.fast_state, fast, **extra)
        steps, h = increment(state.steps_since_sync), at(self, None)
        h.meet = meet = steps >= as_steps(h.sync_period).whole

        def rule(h: Any, u: jax.Array, slow: jax.Array, fast: jax.Array) -> tuple[jax.Array, jax.Array]:
            met = slow + h.slow_step_size * (fast + u - slow)
            return jnp.where(h.meet > 0, met - fast, u), jnp.where(h.meet > 0, met, slow)

        updates, new = lift(rule, h, updates, slow, read=(fast,))
        if self.reset_state:
            anew = self.inside.init(apply_updates(fast, updates))
            fast_state = tree.where(meet, anew, fast_state)
        state = LookaheadState(fast_state, jnp.where(meet, 0, steps), None if pair else new)
        return (LookaheadParams(updates, tree.sub(new, slow)) if pair else updates), state

    def eval_params(self, state: LookaheadState, params: Params) -> Params:
        return params.slow if isinstance(params, LookaheadParams) else from_slot(state.slow, params)
