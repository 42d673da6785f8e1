"""Prodigy: Adam whose learning rate is an estimate of the distance to the solution."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import number, numbers, static
from funcgd.core.lift import lift
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.dadapt_adamw import adam_numbers, larger
from funcgd.transforms.slots import copied, moment, scalar, second_moment
from funcgd.transforms.weight_decay import Mask, as_mask, decayed


class ProdigyState(NamedTuple):
    """The state of `prodigy`.

    >>> import funcgd as fg
    >>> float(fg.prodigy(estim_lr0=0.5).init(2.0).estim_lr)
    0.5
    """

    exp_avg: Updates  # like the parameters, at least float32: m, unit of the loss
    exp_avg_sq: Updates  # like the parameters, real, at least float32: v, that squared
    grad_sum: Updates  # like the parameters, at least float32: s, unit of the loss times that of the parameters
    params0: Params  # the first parameters, at least float32
    estim_lr: jax.Array  # (), at least float32: d, unit of the parameters
    numerator_weighted: jax.Array  # (), at least float32: r, unit of s times that of the parameters
    count: jax.Array  # (), int32: finished updates


@value
class prodigy(Transform):
    """Prodigy: Adam without a learning rate, which is an estimate of the distance to the solution.

        m ← β₁m + (1 − β₁)dg,   v ← β₂v + (1 − β₂)d²|g|²,   γ = η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)
        r ← β₃r + γd²⟨g, θ₀ − θ⟩,   s ← β₃s + γd²g
        θ ← θ − γd·(m / (√v + dε) + λθ)
        d ← max(d, c·r / ‖s‖₁)

    r / ‖s‖₁ is a lower bound of ‖θ₀ − θ*‖∞ where the loss is convex, so d never decreases. Where g was 0 so far, or η
    is 0, s = 0 and d stays. NaN does not enter d.

    Args:
        learning_rate: η in [0, ∞), no unit, a factor on what is found: 1, or a schedule that falls from 1 to 0.
        betas: (β₁, β₂) in [0, 1).
        beta3: β₃ in [0, 1); None is √β₂.
        eps: ε ≥ 0, unit of the gradient.
        estim_lr0: d₀ in (0, ∞), the first d, unit of the parameters: smaller than a sensible step, but not
            lost by rounding in them; with bfloat16 about 1e-2.
        estim_lr_coef: c in (0, ∞), to be tuned in place of η.
        weight_decay: λ in [0, ∞), unit of one over the parameters, as d has theirs.
        safeguard_warmup: leave γ out of s, so that d does not grow too far while η is small at first.
        bias_correction: as in Adam; False is γ = η, as the paper lists it, with a first step of
            (1 − β₁)/√(1 − β₂) = 3.2 times the length.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Mishchenko, Defazio, Prodigy: an expeditiously adaptive parameter-free learner, ICML 2024,
    arXiv:2306.06101, algorithm 4.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.prodigy(), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    betas: tuple[ScalarOrSchedule, ScalarOrSchedule] = numbers("[0, 1)", default=(0.9, 0.999))
    beta3: ScalarOrSchedule | None = number("[0, 1)", default=None)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    estim_lr0: Scalar = number("(0, inf)", default=1e-6, schedule=False)
    estim_lr_coef: ScalarOrSchedule = number("(0, inf)", default=1.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    safeguard_warmup: bool = static(default=False)
    bias_correction: bool = static(default=True)
    mask: Mask = static(default=None, convert=as_mask)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> ProdigyState:
        return ProdigyState(
            exp_avg=moment(params),
            exp_avg_sq=second_moment(params),
            grad_sum=moment(params),
            params0=copied(params),
            estim_lr=scalar(params, self.estim_lr0),
            numerator_weighted=scalar(params),
            count=jnp.zeros((), jnp.int32),
        )

    def update(
        self, grads: Updates, state: ProdigyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ProdigyState]:
        d, t = state.estim_lr, numerics.increment(state.count)
        h = adam_numbers(self, state.count, d.dtype)
        b3 = numerics.sqrt(jnp.asarray(h.b2, d.dtype)) if h.beta3 is None else h.beta3
        h.d, h.b3, h.rate = d, b3, h.gamma * d
        h.weight = d if self.safeguard_warmup else h.rate

        def rule(h: Any, dg: jax.Array, m: jax.Array, v: jax.Array, s: jax.Array) -> tuple[jax.Array, ...]:
            m = numerics.ema(m, dg, h.b1)
            v = numerics.ema(v, numerics.square(dg), h.b2)
            return m / (numerics.root(v) + h.d * h.eps), m, v, h.b3 * s + h.weight * dg

        dg = lift(lambda h, g: numerics.saturate(h.d * numerics.saturate(g)), h, grads)
        moved = jax.tree.map(lambda p0, p: p0 - numerics.widen(p), state.params0, params)
        r = h.b3 * state.numerator_weighted + h.rate * jnp.asarray(tree.real_vdot(dg, moved), d.dtype)
        u, m, v, s = lift(rule, h, dg, state.exp_avg, state.exp_avg_sq, state.grad_sum)
        u = decayed("prodigy", u, h.weight_decay, params, self.mask)
        updates = lift(lambda h, u: -h.rate * u, h, u)
        d = larger(d, h.estim_lr_coef * r, tree.norm(s, ord=1))
        return updates, ProdigyState(m, v, s, state.params0, d, r, t)
