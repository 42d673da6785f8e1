"""Adam and AdamW: steps scaled by running moments of the gradient."""

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
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByAdamState(NamedTuple):
    """The state of `scale_by_adam`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.scale_by_adam().init({"w": jnp.ones(2, jnp.bfloat16)}).nu["w"].dtype
    dtype('float32')
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: first moment, unit of the gradient
    nu: Updates  # like the parameters, real, at least float32: second moment, unit of the gradient squared


@value
class scale_by_adam(Transform):
    """Scale by bias-corrected first and second moments, the direction of Adam.

        m ← β₁m + (1 − β₁)g        m̂ = m / (1 − β₁ᵗ)
        v ← β₂v + (1 − β₂)|g|²     v̂ = v / (1 − β₂ᵗ)
        u = m̂ / (√(v̂ + ε̄) + ε)

    With `nesterov`, m̂ = β₁m / (1 − β₁ᵗ⁺¹) + (1 − β₁)g / (1 − β₁ᵗ), which looks one step ahead.
    The update has no unit, and does not change when the loss is scaled (but for ε). Where v̂ = 0 and ε = 0 it is 0.
    Departure from the paper: a finite |g| saturates at ¼√max of the dtype, so that |g|² is finite too.

    Args:
        b1: β₁ in [0, 1), decay of the first moment.
        b2: β₂ in [0, 1), decay of the second; accurate up to 1 − 1e-7.
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, inside the root, unit of the gradient squared.
        mu_dtype: dtype that stores m; None is at least float32.
        nesterov: use Nesterov momentum (Dozat 2016).

    A scheduled β enters the bias correction with its present value.

    References: Kingma, Ba, Adam: a method for stochastic optimization, ICLR 2015; Dozat, Incorporating Nesterov
    momentum into Adam, ICLR workshop 2016.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_adam()
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=False)

    def init(self, params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), moment(params, self.mu_dtype), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdamState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
        if self.nesterov:
            h.c1_next = numerics.bias_correction(h.b1, numerics.increment(t))

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            v = numerics.ema(v, numerics.square(g), h.b2)
            m_hat = h.b1 * m / h.c1_next + (1 - h.b1) * g / h.c1 if self.nesterov else m / h.c1
            return m_hat / (numerics.root(v / h.c2 + h.eps_root) + h.eps), m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByAdamState(t, mu, nu)


@value
class adam(Composed):
    """Adam: steps scaled by bias-corrected running moments of the gradient.

        θ ← θ − η·m̂ / (√(v̂ + ε̄) + ε)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: about how far one step moves each.
        b1, b2, eps, eps_root, mu_dtype, nesterov: see `scale_by_adam`.

    Reference: Kingma, Ba, Adam: a method for stochastic optimization, ICLR 2015, arXiv:1412.6980.

    >>> import funcgd as fg
    >>> fg.adam(1e-3)
    adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        return chain(
            scale_by_adam(self.b1, self.b2, self.eps, self.eps_root, self.mu_dtype, self.nesterov),
            scale_by_learning_rate(self.learning_rate),
        )


@value
class adamw(Composed):
    """Adam with decoupled weight decay.

        θ ← θ − η·(m̂ / (√(v̂ + ε̄) + ε) + λθ)

    The decay does not pass through the moments, unlike an L2 penalty in the loss. As in common practice (and unlike the
    paper's own schedule multiplier) it is scaled by η.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root, mu_dtype, nesterov: see `scale_by_adam`.
        weight_decay: λ in [0, ∞), so that each step shrinks θ by the factor 1 − ηλ.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Loshchilov, Hutter, Decoupled weight decay regularization, ICLR 2019, arXiv:1711.05101.

    >>> import funcgd as fg
    >>> tx = fg.adamw(0.1, weight_decay=0.5)
    >>> float(tx.update(0.0, tx.init(2.0), 2.0)[0])  # only the decay is left: −0.1 · 0.5 · 2
    -0.1
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=1e-4)
    mask: Mask = static(default=None, convert=as_mask)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        return chain(
            scale_by_adam(self.b1, self.b2, self.eps, self.eps_root, self.mu_dtype, self.nesterov),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
