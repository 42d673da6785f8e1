"""RAdam: Adam whose first steps are shortened by how little is known of the second moment."""

from typing import Any

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
from funcgd.optimizers.adam import ScaleByAdamState
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


def _series(x: jax.Array) -> jax.Array:
    """x/(eˣ − 1) − 1 + x/2 for 0 ≤ x ≤ ½, by its Taylor series; the closed form cancels there."""
    y = x * x
    return y * (1 / 12 - y * (1 / 720 - y * (1 / 30240 - y * (1 / 1209600 - y / 47900160))))


def _rectification(b2: Any, count: jax.Array, threshold: Any) -> jax.Array:
    """r for ρₜ ≥ threshold, else 0, accurate for every β₂ in [0, 1).

    With λ = −log β₂, the paper's ρₜ is ρ∞ − 2t/(e^{λt} − 1). For small λt both terms are near 2/λ and cancel; there
    ρₜ = t + (2/λ)(φ(λ) − φ(λt)) with φ(x) = x/(eˣ − 1) − 1 + x/2 is used, which follows from ρ₁ = 1.
    """
    rate = 1 - b2  # formed before rounding where b2 is a Python float
    rate = jnp.asarray(rate, numerics.wide_dtype(jnp.result_type(rate)))
    t = count.astype(rate.dtype)
    rate_inside = jnp.minimum(rate, 0.9999)  # where λ is finite; t = 1, 2, … are far from the threshold beyond
    decay = -jnp.log1p(-rate_inside)
    x = decay * t
    small = x < 0.5
    longest = 2 / rate - 1
    near = t + 2 / decay * (_series(jnp.where(small, decay, 0)) - _series(jnp.where(small, x, 0)))
    far = longest - 2 * t / jnp.expm1(jnp.where(small, 1, jnp.minimum(x, 80)))
    rho = jnp.where(small, near, far)
    known = rho >= threshold
    p, q = jnp.where(known, rho, 5), jnp.where(known, longest, 5)
    return jnp.where(known, numerics.sqrt((p - 4) / (q - 4) * ((p - 2) / (q - 2)) * (q / p)), 0)


@value
class scale_by_radam(Transform):
    """Bias-corrected moments as in Adam, times how well the second is known: the direction of RAdam.

        ρ∞ = 2/(1 − β₂) − 1,   ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ)
        r² = (ρₜ − 4)(ρₜ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρₜ)
        u = r·m̂ / (√(v̂ + ε̄) + ε)    where ρₜ ≥ `threshold`
        u = m̂                        before

    ρₜ is about the number of gradients that v̂ stands on. The first steps have the unit of the gradient, not of the
    parameters.

    Args:
        b1, b2, eps, eps_root, nesterov: see `scale_by_adam`.
        threshold: in [4, ∞); the paper has 4, its authors' programs 5.

    Reference: Liu, Jiang, He, Chen, Liu, Gao, Han, On the variance of the adaptive learning rate and beyond, ICLR 2020,
    arXiv:1908.03265.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_radam()
    >>> float(tx.update(-3.0, tx.init(1.0))[0])  # doctest: +NUMBER
    -3.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    threshold: ScalarOrSchedule = number("[4, inf)", default=5.0)
    nesterov: bool = static(default=False)

    def init(self, params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), moment(params), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdamState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
        h.r = _rectification(h.b2, t, h.threshold)
        if self.nesterov:
            h.c1_next = numerics.bias_correction(h.b1, numerics.increment(t))

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            m = numerics.ema(m, g, h.b1)
            v = numerics.ema(v, numerics.square(g), h.b2)
            m_hat = h.b1 * m / h.c1_next + (1 - h.b1) * g / h.c1 if self.nesterov else m / h.c1
            scaled = h.r * m_hat / (numerics.root(v / h.c2 + h.eps_root) + h.eps)
            return jnp.where(h.r > 0, scaled, m_hat), m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByAdamState(t, mu, nu)


@value
class radam(Composed):
    """RAdam: Adam that begins with plain momentum and lengthens its steps as the second moment becomes known.

        θ ← θ − η·r·m̂ / (√(v̂ + ε̄) + ε)

    It takes the place of a warmup.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters (in the first few steps [θ]²/[loss]).
        b1, b2, eps, eps_root, threshold, nesterov: see `scale_by_radam`.

    Reference: Liu et al., ICLR 2020, arXiv:1908.03265.

    >>> import funcgd as fg
    >>> fg.radam(1e-3)
    radam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, threshold=5.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    threshold: ScalarOrSchedule = number("[4, inf)", default=5.0)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        direction = scale_by_radam(self.b1, self.b2, self.eps, self.eps_root, self.threshold, self.nesterov)
        return chain(direction, scale_by_learning_rate(self.learning_rate))
