"""Weight decay, decoupled from the gradient."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.transform import Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.mask import Mask, as_mask, flags_of
from funcgd.transforms.scale import Counted


@value
class add_decayed_weights(Counted):
    """Add λ times the parameters to the update.

        u = g + λθ

    Before `scale_by_learning_rate` this is decoupled weight decay (AdamW); before a direction it is an L2 penalty.

    Args:
        weight_decay: λ in [0, ∞).
        mask: which leaves decay: a pytree of booleans or a prefix of one, a function params → that, or paths as for
            `path_mask`; None is all.

    Raises:
        ValueError: at update, if `params` are missing or the mask does not fit them.

    Reference: Loshchilov, Hutter, Decoupled weight decay regularization, ICLR 2019, arXiv:1711.05101.

    >>> import funcgd as fg
    >>> tx = fg.add_decayed_weights(0.1, mask={"w": True, "b": False})
    >>> params = {"w": 2.0, "b": 2.0}
    >>> {name: float(u) for name, u in tx.update(params, tx.init(params), params)[0].items()}  # doctest: +NUMBER
    {'b': 2.0, 'w': 2.2}
    """

    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        h = self.numbers(state)
        updates = lift(lambda h, g, p: g + h.weight_decay * p, h, grads, read=(params,))
        if self.mask is not None:
            decays = flags_of("add_decayed_weights", self.mask, params)
            updates = jax.tree.map(lambda on, u, g: u if on else jnp.asarray(g, u.dtype), decays, updates, grads)
        return updates, self.next_state(state)
