"""Schedule-free learning: an average of the iterates in place of a learning rate that falls."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, resolve
from funcgd.core.transform import Composed, OptState, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.rmsprop import scale_by_rms
from funcgd.schedules.steps import real
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import copied, from_slot, scalar
from funcgd.transforms.weight_decay import add_decayed_weights
from funcgd.transforms.wrapper import Follower


class ScheduleFreeState(NamedTuple):
    """The state of `schedule_free`.

    >>> import funcgd as fg
    >>> float(fg.schedule_free_sgd(0.1).init(2.0).z)
    2.0
    """

    b1: jax.Array  # (), at least float32: the β that y was made with
    weight_sum: jax.Array  # (), at least float32: sum of the weights so far, unit of γ to the power
    step_count: jax.Array  # (), int32: finished updates
    max_lr: jax.Array  # (), at least float32: the largest γ so far
    base_optimizer_state: OptState  # that of the optimizer inside
    z: Params  # like the parameters, at least float32 or `state_dtype`: where the optimizer inside would be


@value
class schedule_free(Follower):
    """Make an optimizer schedule-free: its steps move z, the average x is evaluated, the gradient is taken between.

        z ← z + u,               u = base(∇f(y)), evaluated at y
        x ← (1 − c)x + cz,       c = wₜ / (w₁ + … + wₜ),  wₜ = (max γ₁ … γₜ)ᵖ
        y ← (1 − β)z + βx

    The parameters are y; `eval_params` gives x, so that `fg.fit` validates with it. Of the three one is kept in the
    state: x is z + (y − z)/β. With a constant γ, x is the mean of all z behind the first. The base should have no
    momentum, which β is in place of, and its rate should not fall; a warmup is welcome. Where parameters are of low
    precision, y is rounded at every step, and x with it.

    Departure from the paper, after its authors' code: wₜ is of the largest γ so far; the same where γ never falls.

    Args:
        base_optimizer: the optimizer inside, of funcgd or any library with `init` and `update`.
        learning_rate: γ in [0, ∞), that of the base, for the weights; while it is 0, x stays.
        b1: β in (0, 1], how near to x the gradient is taken.
        weight_lr_power: p in [0, ∞); 0 weighs all steps alike, 2 is the paper's.
        state_dtype: dtype that stores z; None is at least float32.

    Reference: Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, The road less scheduled, NeurIPS 2024,
    arXiv:2405.15682.

    >>> import funcgd as fg
    >>> tx = fg.schedule_free(fg.sgd(1.0), 1.0, b1=0.5)
    >>> y, state = 0.0, tx.init(0.0)
    >>> for _ in range(3):  # z is 1, 2, 3
    ...     update, state = tx.update(-1.0, state, y)
    ...     y = y + update
    ...     print(float(y), float(fg.eval_params(tx, state, y)))
    1.0 1.0
    1.75 1.5
    2.5 2.0
    """

    base_optimizer: Any
    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("(0, 1]", default=0.9)
    weight_lr_power: ScalarOrSchedule = number("[0, inf)", default=2.0)
    state_dtype: Any = static(default=None, convert=as_optional_dtype)

    part, part_state = "base_optimizer", "base_optimizer_state"

    def init(self, params: Params) -> ScheduleFreeState:
        return ScheduleFreeState(
            b1=_like(at(self, 0).b1, scalar(params)),
            weight_sum=scalar(params),
            step_count=jnp.zeros((), jnp.int32),
            max_lr=scalar(params),
            base_optimizer_state=self.inside.init(params),
            z=copied(params, self.state_dtype),
        )

    def update(
        self, grads: Updates, state: ScheduleFreeState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScheduleFreeState]:
        updates, base_state = self.inside.update(grads, state.base_optimizer_state, params, **extra)
        numbers = at(self, state.step_count)
        max_lr = jnp.maximum(state.max_lr, _like(numbers.learning_rate, state.max_lr))
        weight = _power(max_lr, _like(numbers.weight_lr_power, max_lr))
        weight_sum = state.weight_sum + weight
        h = SimpleNamespace(c=numerics.divide(weight, weight_sum), old=state.b1, new=numbers.b1)

        def rule(h: Any, u: jax.Array, z: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
            x = z + (y - z) / h.old
            z = z + u
            x = x + h.c * (z - x)
            return z + h.new * (x - z) - y, z

        updates, z = lift(rule, h, updates, state.z, read=(params,))
        b1, count = _like(numbers.b1, state.b1), numerics.increment(state.step_count)
        return updates, ScheduleFreeState(b1, weight_sum, count, max_lr, base_state, z)

    def eval_params(self, state: ScheduleFreeState, params: Params) -> Params:
        return schedule_free_eval_params(state, params)


def _like(x: Any, y: jax.Array) -> jax.Array:
    return jnp.asarray(x, y.dtype)


def _power(x: jax.Array, p: jax.Array) -> jax.Array:
    """xᵖ for x ≥ 0, with finite derivatives at 0, too."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1) ** p, _like(p == 0, x))


def schedule_free_eval_params(state: OptState, params: Params) -> Params:
    """The average x to evaluate a model with, given the state of a schedule-free optimizer and its parameters y.

    `fg.eval_params(tx, state, params)` is the same for every optimizer.

    Args:
        state: a `ScheduleFreeState`, or any state with one in it.
        params: y, what trains.

    Raises:
        ValueError: if there is no such state in it, or several.

    >>> import funcgd as fg
    >>> tx = fg.schedule_free_sgd(0.1)
    >>> float(fg.schedule_free_eval_params(tx.init(2.0), 2.0))
    2.0
    """

    def is_state(x: Any) -> bool:
        return isinstance(x, ScheduleFreeState)

    found = [x for x in jax.tree.leaves(state, is_leaf=is_state) if is_state(x)]
    if len(found) != 1:
        raise ValueError(f"schedule_free_eval_params: `state` must hold one ScheduleFreeState, got {len(found)}.")
    b1 = found[0].b1
    return from_slot(found[0].z, params, lambda z, y: z + (y - z) / _like(b1, z.real))


@value
class _WarmUp:
    """γ·min(1, t/W) at the t-th update, from 1."""

    rate: ScalarOrSchedule = number("[0, inf)")
    steps: float = number("[1, inf)", schedule=False)

    def __call__(self, step: Any) -> jax.Array:
        steps = real(self.steps)
        return real(resolve(self.rate, step)) * (jnp.minimum(real(step) + 1, steps) / steps)


def _rate(learning_rate: Any, warmup_steps: Any) -> Any:
    return learning_rate if warmup_steps is None else _WarmUp(learning_rate, warmup_steps)


@value
class schedule_free_sgd(Composed):
    """Gradient descent, schedule-free: an average in place of momentum and of a learning rate that falls.

        z ← z − γₜ(∇f(y) + λy),   x and y as in `schedule_free`,   γₜ = γ·min(1, t/W)

    Take γ ten to fifty times as large as for SGD with momentum. The parameters are y; `eval_params` gives x.

    Args:
        learning_rate: γ in [0, ∞), [param]²/[loss].
        warmup_steps: W in [1, ∞), updates until γₜ = γ; None is none.
        b1: β in (0, 1], see `schedule_free`.
        weight_decay: λ in [0, ∞); None is 0.
        weight_lr_power, state_dtype: see `schedule_free`.

    Reference: Defazio, Yang, Mehta et al., NeurIPS 2024 (see `schedule_free`).

    >>> import funcgd as fg
    >>> fg.schedule_free_sgd(0.5, warmup_steps=10)
    schedule_free_sgd(learning_rate=0.5, warmup_steps=10.0, b1=0.9, weight_lr_power=2.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    warmup_steps: float | None = number("[1, inf)", default=None, schedule=False)
    b1: ScalarOrSchedule = number("(0, 1]", default=0.9)
    weight_decay: ScalarOrSchedule | None = number("[0, inf)", default=None)
    weight_lr_power: ScalarOrSchedule = number("[0, inf)", default=2.0)
    state_dtype: Any = static(default=None, convert=as_optional_dtype)

    def compose(self) -> Transform:
        rate = _rate(self.learning_rate, self.warmup_steps)
        decay = () if self.weight_decay is None else (add_decayed_weights(self.weight_decay),)
        base = chain(*decay, scale_by_learning_rate(rate))
        return schedule_free(base, rate, self.b1, self.weight_lr_power, self.state_dtype)


@value
class schedule_free_adamw(Composed):
    """AdamW, schedule-free: an average in place of the first moment and of a learning rate that falls.

        v ← β₂v + (1 − β₂)|g|²,   z ← z − γₜ(g / (√(v / (1 − β₂ᵗ)) + ε) + λy),   g = ∇f(y),   γₜ = γ·min(1, t/W)

    with x and y as in `schedule_free`. The parameters are y; `eval_params` gives x.

    Args:
        learning_rate: γ in [0, ∞), unit of the parameters; one to ten times that of AdamW.
        warmup_steps: W in [1, ∞), updates until γₜ = γ; None is none.
        b1: β in (0, 1], see `schedule_free`; 0.95 or 0.98 may be better in long runs.
        b2, eps: β₂ in [0, 1) and ε ≥ 0, see `scale_by_adam`.
        weight_decay: λ in [0, ∞), of the point y where the gradient is taken.
        weight_lr_power, state_dtype: see `schedule_free`.

    Reference: Defazio, Yang, Mehta et al., NeurIPS 2024 (see `schedule_free`), algorithm 1.

    >>> import funcgd as fg
    >>> tx = fg.schedule_free_adamw(0.5)
    >>> update, state = tx.update(-3.0, tx.init(1.0), 1.0)
    >>> float(fg.eval_params(tx, state, 1.0 + update))  # doctest: +NUMBER
    1.5
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=0.0025)
    warmup_steps: float | None = number("[1, inf)", default=None, schedule=False)
    b1: ScalarOrSchedule = number("(0, 1]", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_lr_power: ScalarOrSchedule = number("[0, inf)", default=2.0)
    state_dtype: Any = static(default=None, convert=as_optional_dtype)

    def compose(self) -> Transform:
        rate = _rate(self.learning_rate, self.warmup_steps)
        base = chain(
            scale_by_rms(self.b2, self.eps, eps_in_sqrt=False, bias_correction=True),
            add_decayed_weights(self.weight_decay),
            scale_by_learning_rate(rate),
        )
        return schedule_free(base, rate, self.b1, self.weight_lr_power, self.state_dtype)
