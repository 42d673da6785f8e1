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


def decayed(
    who: str, updates: Updates, weight_decay: Any, params: Params, mask: Mask, cautious: bool = False
) -> Updates:
    """u + λθ where the mask is True, else u; if `cautious`, only in entries where u and θ do not differ in sign.

    Raises:
        TypeError, ValueError: naming `who`, if the mask does not fit the parameters.
    """
    numbers = SimpleNamespace(weight_decay=weight_decay)

    def rule(h: Any, u: jax.Array, p: jax.Array) -> jax.Array:
        decay = h.weight_decay * p
        if cautious:
            decay = jnp.where((jnp.sign(u) * jnp.conj(jnp.sign(p))).real >= 0, decay, 0)
        return u + decay

    new = lift(rule, numbers, updates, read=(params,))
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
        cautious: let entries decay only where g takes them towards 0 already, or rests: λ·[g·θ ≥ 0]·θ. So the minima
            of the loss stay where they are. It belongs before `scale_by_learning_rate`, where g is the direction.

    Raises:
        ValueError: at update, if `params` are missing or the mask does not fit them.

    References: Loshchilov, Hutter, Decoupled weight decay regularization, ICLR 2019, arXiv:1711.05101; Chen, Li, Liang
    et al., Cautious weight decay, 2025, arXiv:2510.12402.

    >>> import funcgd as fg
    >>> tx = fg.add_decayed_weights(0.1, mask={"w": True, "b": False})
    >>> params = {"w": 2.0, "b": 2.0}
    >>> {name: float(u) for name, u in tx.update(params, tx.init(params), params)[0].items()}  # doctest: +NUMBER
    {'b': 2.0, 'w': 2.2}
    """

    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)
    cautious: bool = static(default=False)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        weight_decay = self.numbers(state).weight_decay
        updates = decayed("add_decayed_weights", grads, weight_decay, params, self.mask, self.cautious)
        return updates, self.next_state(state)
