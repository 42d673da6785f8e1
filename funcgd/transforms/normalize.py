"""Give the update unit length."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.transform import Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import Counted


@value
class normalize_by_update_norm(Counted):
    """Scale the update to norm s.

        u = s·g / (‖g‖₂ + ε),   the norm over all leaves together

    With ε = 0 the zero update stays exactly zero.

    Args:
        scale_factor: s, the norm of the result.
        eps: ε ≥ 0, unit of the gradient.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.normalize_by_update_norm()
    >>> tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))[0].tolist()  # doctest: +NUMBER
    [0.6, 0.8]
    """

    scale_factor: ScalarOrSchedule = number(default=1.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=0.0)

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        h = self.numbers(state)
        # ‖g‖ = scale·r. Multiplying both by 1/scale first keeps every intermediate in range.
        scale, r = numerics.split_norm([jnp.asarray(g) for g in jax.tree.leaves(grads)])
        h.inverse = 1 / scale
        divisor = r + jnp.asarray(h.eps, r.dtype) * h.inverse
        h.divisor = jnp.where(divisor == 0, jnp.inf, divisor)
        return lift(lambda h, g: h.scale_factor * (g * h.inverse / h.divisor), h, grads), self.next_state(state)


def normalize() -> normalize_by_update_norm:
    """`normalize_by_update_norm()`: the update scaled to norm 1.

    >>> import funcgd as fg
    >>> fg.normalize()
    normalize_by_update_norm(scale_factor=1.0, eps=0.0)
    """
    return normalize_by_update_norm()
