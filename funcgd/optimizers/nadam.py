"""Nadam and NadamW: Adam with Nesterov momentum."""

from funcgd.core.fields import static
from funcgd.core.values import value
from funcgd.optimizers.adam import adam, adamw


@value
class nadam(adam):
    """Nadam: Adam with Nesterov momentum, `adam(…, nesterov=True)`.

        m̂ = β₁m / (1 − β₁ᵗ⁺¹) + (1 − β₁)g / (1 − β₁ᵗ)
        θ ← θ − η·m̂ / (√(v̂ + ε̄) + ε)

    β₁ is constant (algorithm 8 of the paper's long form has a schedule: pass one).

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: about how far one step moves each.
        b1, b2, eps, eps_root, mu_dtype, nesterov: see `scale_by_adam`.

    Reference: Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016.

    >>> import funcgd as fg
    >>> fg.nadam(1e-3)
    nadam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    nesterov: bool = static(default=True)


@value
class nadamw(adamw):
    """NadamW: Nadam with decoupled weight decay, `adamw(…, nesterov=True)`.

        θ ← θ − η·(m̂ / (√(v̂ + ε̄) + ε) + λθ),   m̂ as in `nadam`

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root, mu_dtype, nesterov: see `scale_by_adam`.
        weight_decay, mask: see `adamw`.

    References: Dozat, 2016; Loshchilov, Hutter, 2019 (see `nadam`, `adamw`).

    >>> import funcgd as fg
    >>> fg.nadamw(1e-3)
    nadamw(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, weight_decay=0.0001)
    """

    nesterov: bool = static(default=True)
