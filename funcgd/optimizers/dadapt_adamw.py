"""D-Adaptation: AdamW whose learning rate is a lower bound of the distance to the solution."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import number, numbers, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, cast
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.slots import moment, scalar, second_moment
from funcgd.transforms.weight_decay import Mask, as_mask, decayed


class DAdaptAdamWState(NamedTuple):
    """The state of `dadapt_adamw`.

    >>> import funcgd as fg
    >>> float(fg.dadapt_adamw(estim_lr0=0.5).init(2.0).estim_lr)
    0.5
    """

    exp_avg: Updates  # like the parameters, at least float32: m, unit of the loss
    exp_avg_sq: Updates  # like the parameters, real, at least float32: v, unit of the gradient squared
    grad_sum: Updates  # like the parameters, at least float32: s, unit of the loss
    estim_lr: jax.Array  # (), at least float32: d, unit of the parameters
    numerator_weighted: jax.Array  # (), at least float32: r, unit of the parameters times that of the loss
    count: jax.Array  # (), int32: finished updates


def adam_numbers(tx: Any, count: jax.Array, dtype: Any) -> SimpleNamespace:
    """The numbers of `tx` at step `count` in `dtype`, with `betas` as b1 and b2, and γ of Adam's bias correction."""
    h, t = at(tx, count), numerics.increment(count)
    h.b1, h.b2 = vars(h).pop("betas")
    h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
    h = cast(h, dtype)
    h.gamma = h.learning_rate * numerics.sqrt(h.c2) / h.c1 if tx.bias_correction else h.learning_rate
    return h


def larger(d: jax.Array, r: jax.Array, norm: jax.Array) -> jax.Array:
    """max(d, r / norm) in the dtype of d; d where that is 0/0, infinite or NaN."""
    d_hat = numerics.ratio(r, jnp.asarray(norm, d.dtype))
    return jnp.where((d_hat > d) & jnp.isfinite(d_hat), d_hat, d)


@value
class dadapt_adamw(Transform):
    """D-Adaptation of AdamW: the learning rate is a lower bound of the distance to the solution.

        m ← β₁m + (1 − β₁)γdg,   v' = β₂v + (1 − β₂)|g|²,   γ = η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)
        r ← βr + (1 − β)γd⟨g, s / (√v + ε)⟩,   s ← βs + (1 − β)γdg,   β = √β₂
        θ ← θ − m / (√v' + ε) − γdλθ,   v ← v'
        d ← max(d, r / ((1 − β)‖s‖₁))

    s / (√v + ε), with the v before g, is how far the gradients so far have moved θ. Where g was 0 so far, or η is 0,
    s = 0 and d stays. NaN does not enter d. `prodigy` is by the same authors, and finds d sooner.

    Args:
        learning_rate: η in [0, ∞), no unit, a factor on what is found: 1, or a schedule that falls from 1 to 0.
        betas: (β₁, β₂) in [0, 1).
        eps: ε ≥ 0, unit of the gradient.
        estim_lr0: the first d, in (0, ∞), unit of the parameters: smaller than any sensible step.
        weight_decay: λ in [0, ∞), unit of one over the parameters, as d has theirs.
        bias_correction: as in Adam; False is γ = η, as in the paper, with a first step of
            (1 − β₁)/√(1 − β₂) = 3.2 times the length.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Defazio, Mishchenko, Learning-rate-free learning by D-adaptation, ICML 2023, arXiv:2301.07733.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.dadapt_adamw(), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    betas: tuple[ScalarOrSchedule, ScalarOrSchedule] = numbers("[0, 1)", default=(0.9, 0.999))
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    estim_lr0: Scalar = number("(0, inf)", default=1e-6, schedule=False)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    bias_correction: bool = static(default=True)
    mask: Mask = static(default=None, convert=as_mask)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> DAdaptAdamWState:
        return DAdaptAdamWState(
            exp_avg=moment(params),
            exp_avg_sq=second_moment(params),
            grad_sum=moment(params),
            estim_lr=scalar(params, self.estim_lr0),
            numerator_weighted=scalar(params),
            count=jnp.zeros((), jnp.int32),
        )

    def update(
        self, grads: Updates, state: DAdaptAdamWState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, DAdaptAdamWState]:
        d = state.estim_lr
        h = adam_numbers(self, state.count, d.dtype)
        b = numerics.sqrt(jnp.asarray(h.b2, d.dtype))
        h.b, h.share = b, (1 - h.b2) / (1 + b)  # 1 − β, without cancellation
        h.rate = h.gamma * d

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array, s: jax.Array) -> tuple:
            g = numerics.saturate(g)
            dg = numerics.saturate(h.rate * g)
            m = numerics.ema(m, dg, h.b1)
            v = numerics.ema(v, numerics.square(g), h.b2)
            return m / (numerics.root(v) + h.eps), m, v, h.b * s + h.share * dg

        def moved(h: Any, s: jax.Array, v: jax.Array) -> jax.Array:
            return s / (numerics.root(v) + h.eps)

        before = lift(moved, h, state.grad_sum, read=(state.exp_avg_sq,))
        slope = tree.real_vdot(jax.tree.map(lambda g: numerics.saturate(numerics.widen(g)), grads), before)
        r = h.b * state.numerator_weighted + h.share * h.rate * jnp.asarray(slope, d.dtype)
        u, m, v, s = lift(rule, h, grads, state.exp_avg, state.exp_avg_sq, state.grad_sum)
        u = decayed("dadapt_adamw", u, h.rate * h.weight_decay, params, self.mask)
        d = larger(d, r, h.share * jnp.asarray(tree.norm(s, ord=1), d.dtype))
        updates = jax.tree.map(jnp.negative, u)
        return updates, DAdaptAdamWState(m, v, s, d, r, numerics.increment(state.count))
