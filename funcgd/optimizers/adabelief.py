"""AdaBelief: Adam that is scaled by how far gradients lie from their average."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


class ScaleByBeliefState(NamedTuple):
    """The state of `scale_by_belief`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_belief().init(1.0).nu)
    0.0
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32: first moment, unit of the gradient
    nu: Updates  # like the parameters, real, at least float32: average of |g − m|², unit of the gradient squared


@value
class scale_by_belief(Transform):
    """Scale the first moment by the root mean square of the deviations from it, the direction of AdaBelief.

        m ← β₁m + (1 − β₁)g                    m̂ = m / (1 − β₁ᵗ)
        v ← β₂v + (1 − β₂)|g − m|² + ε̄         v̂ = v / (1 − β₂ᵗ)
        u = m̂ / (√v̂ + ε),   and 0 where v̂ = ε = 0

    Where the gradient is as expected, the step is long. With `nesterov`, m̂ as in `scale_by_adam`.

    Args:
        b1: β₁ in [0, 1), decay of the first moment.
        b2: β₂ in [0, 1), decay of the second.
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, added to v in each step, unit of the gradient squared.
        nesterov: use Nesterov momentum.

    Reference: Zhuang, Tang, Ding, Tatikonda, Dvornek, Papademetris, Duncan, AdaBelief optimizer: adapting stepsizes by
    the belief in observed gradients, NeurIPS 2020, arXiv:2010.07468.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_belief(b1=0.5)
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # −3 / |−3 − (−1.5)|
    -2.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    nesterov: bool = static(default=False)

    def init(self, params: Params) -> ScaleByBeliefState:
        return ScaleByBeliefState(jnp.zeros((), jnp.int32), moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByBeliefState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByBeliefState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
        if self.nesterov:
            h.c1_next = numerics.bias_correction(h.b1, numerics.increment(t))

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            v = numerics.ema(v, numerics.square(g - m), h.b2) + h.eps_root
            m_hat = h.b1 * m / h.c1_next + (1 - h.b1) * g / h.c1 if self.nesterov else m / h.c1
            return m_hat / (numerics.root(v / h.c2) + h.eps), m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByBeliefState(t, mu, nu)


@value
class adabelief(Composed):
    """AdaBelief: steps scaled by how far gradients lie from what was expected.

        θ ← θ − η·m̂ / (√v̂ + ε),   v the average of |g − m|²

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root, nesterov: see `scale_by_belief`.

    Reference: Zhuang et al., NeurIPS 2020, arXiv:2010.07468.

    >>> import funcgd as fg
    >>> fg.adabelief(1e-3)
    adabelief(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=1e-16)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        direction = scale_by_belief(self.b1, self.b2, self.eps, self.eps_root, self.nesterov)
        return chain(direction, scale_by_learning_rate(self.learning_rate))
