"""Clip the gradient: entry by entry, or by the norm of the whole."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import Counted


@value
class clip(Counted):
    """Limit every entry to [−δ, δ]; of complex entries, real and imaginary part.

    Args:
        max_delta: δ in [0, ∞), unit of the gradient.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.clip(1.0)
    >>> tx.update(jnp.array([-3.0, 0.5]), tx.init(jnp.zeros(2)))[0].tolist()
    [-1.0, 0.5]
    """

    max_delta: ScalarOrSchedule = number("[0, inf)")

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array) -> jax.Array:
            def limit(x: jax.Array) -> jax.Array:
                return jnp.clip(x, -h.max_delta, h.max_delta)

            return jax.lax.complex(limit(g.real), limit(g.imag)) if jnp.iscomplexobj(g) else limit(g)

        return lift(rule, self.numbers(state), grads), self.next_state(state)


@value
class clip_by_global_norm(Counted):
    """Shorten the gradient to norm c where it is longer, keeping its direction.

        u = g · min(1, c / ‖g‖₂),   the norm over all leaves together

    The norm neither overflows nor underflows, a zero gradient stays zero, and a gradient within the bound passes
    unchanged to the last digit. A gradient with NaN or ∞ in it has no such norm: every entry becomes NaN.

    Args:
        max_norm: c in [0, ∞), unit of the gradient.

    Reference: Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks, ICML 2013.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.clip_by_global_norm(1.0)
    >>> tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))[0].tolist()  # doctest: +NUMBER
    [0.6, 0.8]
    """

    max_norm: ScalarOrSchedule = number("[0, inf)")

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Any]:
        h = self.numbers(state)
        # ‖g‖ = scale·r. Multiplying g by 1/scale first keeps every intermediate in range, and by 1 changes nothing.
        scale, r = numerics.split_norm([jnp.asarray(g) for g in jax.tree.leaves(grads)])
        h.max_norm = jnp.asarray(h.max_norm, r.dtype)
        fits = scale * r <= h.max_norm
        h.inverse = jnp.where(fits, 1, 1 / scale)
        h.factor = jnp.where(fits, 1, jnp.where(jnp.isfinite(r), numerics.divide(h.max_norm, r), jnp.nan))
        return lift(lambda h, g: (g * h.inverse) * h.factor, h, grads), self.next_state(state)
