"""AMSGrad: Adam whose divisor never falls."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


class ScaleByAmsgradState(NamedTuple):
    """The state of `scale_by_amsgrad`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_amsgrad().init(1.0).nu_max)
    0.0
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: first moment, unit of the gradient
    nu: Updates  # like the parameters, real, at least float32: second moment, unit of the gradient squared
    nu_max: Updates  # like nu: the largest v̂ so far


@value
class scale_by_amsgrad(Transform):
    """Scale the first moment by the root of the largest second moment so far, the direction of AMSGrad.

        m ← β₁m + (1 − β₁)g        m̂ = m / (1 − β₁ᵗ)
        v ← β₂v + (1 − β₂)|g|²     v̂ = max(v̂, v / (1 − β₂ᵗ))
        u = m̂ / (√(v̂ + ε̄) + ε),   and 0 where v̂ = ε̄ = ε = 0

    The paper has no bias corrections: switch them off for its form.

    Args:
        b1, b2, eps, eps_root, mu_dtype: see `scale_by_adam`.
        bias_correction_mu: divide m by 1 − β₁ᵗ.
        bias_correction_nu: divide v by 1 − β₂ᵗ before the maximum is taken.

    Reference: Reddi, Kale, Kumar, On the convergence of Adam and beyond, ICLR 2018, arXiv:1904.09237.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_amsgrad(b1=0.0, b2=0.0, eps=0.0)
    >>> _, state = tx.update(-3.0, tx.init(1.0))
    >>> float(tx.update(-1.5, state)[0])  # −1.5 / 3
    -0.5
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    bias_correction_mu: bool = static(default=True)
    bias_correction_nu: bool = static(default=True)

    def init(self, params: Params) -> ScaleByAmsgradState:
        mu = moment(params, self.mu_dtype)
        return ScaleByAmsgradState(jnp.zeros((), jnp.int32), mu, second_moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAmsgradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAmsgradState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1 = numerics.bias_correction(h.b1, t) if self.bias_correction_mu else 1.0
        h.c2 = numerics.bias_correction(h.b2, t) if self.bias_correction_nu else 1.0

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array, v_max: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            v = numerics.ema(v, numerics.square(g), h.b2)
            v_max = jnp.maximum(v_max, v / h.c2)
            return m / h.c1 / (numerics.root(v_max + h.eps_root) + h.eps), m, v, v_max

        updates, mu, nu, nu_max = lift(rule, h, grads, state.mu, state.nu, state.nu_max)
        return updates, ScaleByAmsgradState(t, mu, nu, nu_max)


@value
class amsgrad(Composed):
    """AMSGrad: Adam whose steps cannot grow again after a large gradient.

        θ ← θ − η·m̂ / (√(v̂ + ε̄) + ε),   v̂ the largest second moment so far

    It converges where Adam does not: rare large gradients are not forgotten.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu: see `scale_by_amsgrad`.

    Reference: Reddi, Kale, Kumar, ICLR 2018, arXiv:1904.09237.

    >>> import funcgd as fg
    >>> fg.amsgrad(1e-3)
    amsgrad(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    bias_correction_mu: bool = static(default=True)
    bias_correction_nu: bool = static(default=True)

    def compose(self) -> Transform:
        direction = scale_by_amsgrad(
            self.b1,
            self.b2,
            self.eps,
            self.eps_root,
            self.mu_dtype,
            self.bias_correction_mu,
            self.bias_correction_nu,
        )
        return chain(direction, scale_by_learning_rate(self.learning_rate))
