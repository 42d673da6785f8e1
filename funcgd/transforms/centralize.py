"""Take the mean out of the gradient of every unit."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import static
from funcgd.core.lift import lift
from funcgd.core.transform import EmptyState, Params, Transform, Updates
from funcgd.core.values import value


@value
class centralize(Transform):
    """Subtract from the gradient of every unit its mean.

        u = g − mean(g)   over all axes but the one that counts units; vectors and scalars pass unchanged

    Args:
        unit_axis: the axis that counts units, 0 or -1. 0 suits arrays (out, in). In the paper a unit is what feeds one
            output, so for the arrays (in, out) and (height, width, in, out) that are common in JAX take -1.

    Reference: Yong, Huang, Hua, Zhang, Gradient centralization: a new optimization technique for deep neural networks,
    ECCV 2020, arXiv:2004.01461.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.centralize()
    >>> tx.update(jnp.array([[1.0, 3.0], [5.0, 5.0]]), tx.init(jnp.zeros((2, 2))))[0].tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    unit_axis: int = static(default=0, one_of=(0, -1))

    def init(self, params: Params) -> EmptyState:
        del params
        return EmptyState()

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        def rule(h: Any, g: jax.Array) -> jax.Array:
            if g.ndim < 2 or not g.size:
                return g
            return g - jnp.mean(
                g, axis=tuple(range(1, g.ndim) if self.unit_axis == 0 else range(g.ndim - 1)), keepdims=True
            )

        return lift(rule, SimpleNamespace(), grads), state
