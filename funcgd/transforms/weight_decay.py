"""Weight decay, decoupled from the gradient."""

from types import SimpleNamespace
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


def decayed(who: str, updates: Updates, weight_decay: Any, params: Params, mask: Mask) -> Updates:
    """u + λθ where the mask is True, else u.

    Raises:
        TypeError, ValueError: naming `who`, if the mask does not fit the parameters.
    """
    numbers = SimpleNamespace(weight_decay=weight_decay)
    new = lift(lambda h, u, p: u + h.weight_decay * p, numbers, updates, read=(params,))
    if mask is None:
        return new
    flags = flags_of(who, mask, params)
    return jax.tree.map(lambda on, x, u: x if on else jnp.asarray(u, x.dtype), flags, new, updates)


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
        weight_decay = self.numbers(state).weight_decay
        return decayed("add_decayed_weights", grads, weight_decay, params, self.mask), self.next_state(state)
