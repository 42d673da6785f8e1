"""Weight decay, decoupled from the gradient."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.transform import Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import Counted


class Frozen:
    """A pytree of booleans that can be hashed, so that it may be part of a structure."""

    def __init__(self, tree: Any):
        self.tree = tree
        leaves, structure = jax.tree.flatten(tree)
        if not all(isinstance(leaf, bool) for leaf in leaves):
            raise TypeError(f"expected a pytree of True and False, or a function params → such a pytree, got {tree!r}.")
        self._content = (tuple(leaves), structure)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return repr(self.tree)


Mask: TypeAlias = Callable[[Params], Any] | Frozen | Any
"""Which leaves take part: a pytree of booleans (a prefix of the parameters' tree suffices), or a function of them."""


def as_mask(mask: Any) -> Callable[[Params], Any] | Frozen | None:
    """`mask` in hashable form."""
    return mask if mask is None or callable(mask) or isinstance(mask, Frozen) else Frozen(mask)


def broadcast_mask(who: str, mask: Any, params: Params) -> Any:
    """The mask with one boolean for every leaf of `params`.

    Raises:
        TypeError: if it holds anything but booleans.
        ValueError: if it is no prefix of the tree of `params`.
    """
    try:
        chosen = (mask if isinstance(mask, Frozen) else Frozen(mask(params))).tree
        return jax.tree.map(lambda flag, part: jax.tree.map(lambda _: flag, part), chosen, params)
    except TypeError as error:
        raise TypeError(f"{who}: `mask`: {error}") from error
    except ValueError as error:
        raise ValueError(f"{who}: `mask` must be a prefix of the parameters' tree: {error}") from error


@value
class add_decayed_weights(Counted):
    """Add λ times the parameters to the update.

        u = g + λθ

    Before `scale_by_learning_rate` this is decoupled weight decay (AdamW); before a direction it is an L2 penalty.

    Args:
        weight_decay: λ in [0, ∞).
        mask: which leaves decay: a pytree of booleans or a prefix of one, or a function params → that; None is all.

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
            chosen = broadcast_mask("add_decayed_weights", self.mask, params)
            updates = jax.tree.map(lambda on, u, g: u if on else jnp.asarray(g, u.dtype), chosen, updates, grads)
        return updates, self.next_state(state)
