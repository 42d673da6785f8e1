"""Caution: an update acts only where it agrees with the gradient of now."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.values import value
from funcgd.transforms.wrapper import Wrapper


@value
class cautious(Wrapper):
    """Cautious updates: leave out the entries that the gradient of now speaks against, and lengthen the others for it.

        u ← inner(g),   φ = [u·g < 0],   u ← u·φ·d / (Σφ + ε)    in each array of d entries

    Momentum that points uphill waits until the gradient turns, or it does.

    Args:
        inner: an optimizer with momentum, of funcgd or any library with `init` and `update`.
        eps: ε ≥ 0, in entries. With 0 the steps of small arrays are not shortened.
        direction: whether `inner` is a direction that is subtracted later, so that φ = [u·g > 0]. So weight decay can
            stay outside: `fg.chain(fg.cautious(fg.scale_by_adam(), direction=True), fg.add_decayed_weights(0.01),
            fg.scale_by_learning_rate(1e-3))` is the paper's C-AdamW.

    Reference: Liang, Chen, Liu, Liu, Cautious optimizers: improving training with one line of code, 2024,
    arXiv:2411.16085.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.cautious(fg.sgd(1.0, momentum=0.5), eps=0.0)
    >>> _, state = tx.update(jnp.array([4.0, 4.0]), tx.init(jnp.zeros(2)))
    >>> tx.update(jnp.array([1.0, -1.0]), state)[0].tolist()  # momentum of 3 and 1; the second gradient has turned
    [-6.0, 0.0]
    """

    inner: Any
    eps: float = number("[0, inf)", default=1.0, schedule=False)
    direction: bool = static(default=False)

    part_state = None

    def init(self, params: Params) -> OptState:
        return self.inside.init(params)

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        updates, state = self.inside.update(grads, state, params, **extra)

        def rule(h: Any, u: jax.Array, g: jax.Array) -> jax.Array:
            agreement = (jnp.sign(u) * jnp.conj(jnp.sign(g))).real  # of signs: a product of small numbers underflows
            against = agreement <= 0 if self.direction else agreement >= 0  # neither where NaN is, so that it shows
            left = jnp.sum(~against, dtype=agreement.dtype) + h.eps
            share = numerics.divide(jnp.asarray(u.size, left.dtype), left)
            return jnp.where(against, 0, share * u)

        return lift(rule, at(self, None), updates, read=(grads,)), state
