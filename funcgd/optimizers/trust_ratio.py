"""LARS, LAMB and Fromage: steps whose length is in proportion to that of the parameters, layer by layer."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adam import scale_by_adam
from funcgd.transforms.masked import masked
from funcgd.transforms.momentum import trace
from funcgd.transforms.scale import Counted, scale_by_learning_rate
from funcgd.transforms.units import norm, split_norm
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


@value
class scale_by_trust_ratio(Counted):
    """Give each leaf's update a norm in proportion to that of its parameters.

        u = c · max(‖θ‖, n) / (max(‖g‖, n) + ε) · g
        u = g   where a norm is 0 (and n = 0)

    The norms are those of a leaf, and neither overflow nor underflow.

    Args:
        min_norm: n ≥ 0, the least norm.
        trust_coefficient: c > 0.
        eps: ε ≥ 0, unit of the update.

    Raises:
        ValueError: at update, if `params` are missing.

    Reference: You, Gitman, Ginsburg, Large batch training of convolutional networks, 2017, arXiv:1708.03888.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.scale_by_trust_ratio(trust_coefficient=0.5)
    >>> params = jnp.array([0.0, 4.0])
    >>> tx.update(jnp.array([1e-30, 0.0]), tx.init(params), params)[0].tolist()
    [2.0, 0.0]
    """

    min_norm: ScalarOrSchedule = number("[0, inf)", default=0.0)
    trust_coefficient: ScalarOrSchedule = number("(0, inf)", default=1.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=0.0)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array, p: jax.Array) -> jax.Array:
            length = jnp.maximum(norm(p, _all(p)), h.min_norm)
            direction, size = unit(g, h.min_norm, h.eps)
            return jnp.where((length == 0) | (size == 0), g, h.trust_coefficient * length * direction)

        h = self.numbers(state)
        return lift(rule, h, grads, read=(params,)), self.next_state(state)


def _all(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(x.ndim))


def unit(g: jax.Array, min_norm: Any, eps: Any) -> tuple[jax.Array, jax.Array]:
    """g / (max(‖g‖, n) + ε), 0 where that is 0, and its divisor in units of about the largest entry."""
    scale, r = split_norm(g, _all(g))
    size = jnp.maximum(r, min_norm / scale)
    return numerics.divide(g / scale, size + eps / scale), size


@value
class lars(Composed):
    """LARS: momentum over steps whose length is in proportion to that of each layer's parameters.

        d = g + λθ
        v ← βv − η·c·‖θ‖/(‖d‖ + ε)·d,   without the ratio where a norm is 0
        θ ← θ + v

    The momentum remembers steps, not gradients: a change of η leaves past ones as long as they were.

    Args:
        learning_rate: η in [0, ∞), without a unit: c·η is the relative length of a step.
        weight_decay: λ in [0, ∞).
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.
        trust_coefficient: c > 0.
        eps: ε ≥ 0, unit of the gradient.
        trust_ratio_mask: which leaves are scaled by their ratio; biases and norms' parameters often are not.
        momentum: β in [0, 1).
        nesterov: Nesterov's form of it.

    Reference: You, Gitman, Ginsburg, Large batch training of convolutional networks, 2017, arXiv:1708.03888.

    >>> import funcgd as fg
    >>> fg.lars(0.1)
    lars(learning_rate=0.1, weight_decay=0.0, trust_coefficient=0.001, eps=0.0, momentum=0.9)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)
    trust_coefficient: ScalarOrSchedule = number("(0, inf)", default=0.001)
    eps: ScalarOrSchedule = number("[0, inf)", default=0.0)
    trust_ratio_mask: Mask = static(default=None, convert=as_mask)
    momentum: ScalarOrSchedule = number("[0, 1)", default=0.9)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        ratio = scale_by_trust_ratio(trust_coefficient=self.trust_coefficient, eps=self.eps)
        return chain(
            add_decayed_weights(self.weight_decay, self.weight_decay_mask),
            ratio if self.trust_ratio_mask is None else masked(ratio, self.trust_ratio_mask),
            scale_by_learning_rate(self.learning_rate),
            trace(self.momentum, self.nesterov),
        )


@value
class lamb(Composed):
    """LAMB: AdamW with steps whose length is in proportion to that of each layer's parameters.

        d = m̂ / (√(v̂ + ε̄) + ε) + λθ
        θ ← θ − η·‖θ‖/‖d‖·d,   without the ratio where a norm is 0

    Args:
        learning_rate: η in [0, ∞), without a unit: the relative length of a step.
        b1, b2, eps, eps_root: see `scale_by_adam`.
        weight_decay, mask: see `adamw`.

    Reference: You, Li, Reddi et al., Large batch optimization for deep learning: training BERT in 76 minutes, ICLR
    2020, arXiv:1904.00962.

    >>> import funcgd as fg
    >>> fg.lamb(1e-3)
    lamb(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-06, eps_root=0.0, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            scale_by_adam(self.b1, self.b2, self.eps, self.eps_root),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_trust_ratio(),
            scale_by_learning_rate(self.learning_rate),
        )


@value
class fromage(Counted):
    """Fromage: steps of one relative length for each layer, and norms that do not grow by them.

        θ ← (θ − η·max(‖θ‖, n) / max(‖g‖, n) · g) / √(1 + η²)

    The root takes back what a step at a right angle to θ adds to ‖θ‖.

    Args:
        learning_rate: η in [0, ∞), without a unit: the relative length of a step.
        min_norm: n ≥ 0, the least norm of parameters and of gradients.

    Raises:
        ValueError: at update, if `params` are missing.

    Reference: Bernstein, Vahdat, Yue, Liu, On the distance between two neural networks and the stability of learning,
    NeurIPS 2020, arXiv:2002.03432.

    >>> import funcgd as fg
    >>> tx = fg.fromage(0.75)
    >>> 2.0 + float(tx.update(-3.0, tx.init(2.0), 2.0)[0])  # (2 + ¾ · 2) / √(1 + 9/16)
    2.8
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    min_norm: ScalarOrSchedule = number("[0, inf)", default=1e-6)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array, p: jax.Array) -> jax.Array:
            length = jnp.maximum(norm(p, _all(p)), h.min_norm)
            eta, stretch = h.learning_rate, jnp.sqrt(1 + h.learning_rate**2)
            step = eta * length * unit(g, h.min_norm, 0.0)[0]
            return -(step + eta**2 / (1 + stretch) * p) / stretch  # 1 − 1/√(1 + η²) without cancellation

        h = self.numbers(state)
        return lift(rule, h, grads, read=(params,)), self.next_state(state)
