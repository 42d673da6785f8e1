"""A transform for some of the leaves only."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import static
from funcgd.core.schedule import is_concrete
from funcgd.core.transform import Composed, OptState, Params, Transform, Updates
from funcgd.core.values import value
from funcgd.transforms import parts
from funcgd.transforms.mask import Mask, as_mask, flags_of, without
from funcgd.transforms.scale import scale, scale_by_learning_rate
from funcgd.transforms.wrapper import Wrapper


class MaskedState(NamedTuple):
    """The state of `masked`.

    >>> import funcgd as fg
    >>> fg.masked(fg.trace(0.9), {"w": True, "b": False}).init({"w": 1.0, "b": 1.0}).inner_state.trace["b"] is None
    True
    """

    inner_state: OptState  # that of the transform inside, with None for leaves that do not take part


@value
class masked(Wrapper):
    """Apply `inner` to the leaves that the mask chooses.

        u = inner(g)   where the mask is True
        u = g          elsewhere with outside="keep", which hands them on to what comes behind in the chain
        u = 0          elsewhere with outside="zero", which leaves those parameters as they are

    The leaves outside cost `inner` nothing: no state, and no part in its norms. "keep" is right for a part of a
    direction, and the default there. Behind an `inner` that takes the step it would add raw gradients to the
    parameters, uphill; so there the choice must be written. For several transforms on several parts see `partition`.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`. Of those from elsewhere nothing
            is known: they count as directions.
        mask: a pytree of booleans or a prefix of one, a function params → that, or paths as for `path_mask`.
        outside: "keep" or "zero"; None is "keep" where `inner` is a direction.
        mask_compatible_extra_args: whether extras that are trees like the gradients are masked too, not just `grad`.

    Raises:
        ValueError: if `outside` is None and `inner` takes the step; at update, if the mask does not fit the tree.
        TypeError: if the mask holds anything but booleans.

    >>> import funcgd as fg
    >>> tx = fg.chain(fg.masked(fg.clip(1.0), "w"), fg.sgd(1.0))
    >>> {name: float(u) for name, u in tx.update({"w": 5.0, "b": 5.0}, tx.init({"w": 0.0, "b": 0.0}))[0].items()}
    {'b': -5.0, 'w': -1.0}
    """

    inner: Transform
    mask: Mask = static(convert=as_mask)
    outside: str | None = static(default=None, one_of=(None, "keep", "zero"))
    mask_compatible_extra_args: bool = static(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outside is None and takes_step(self.inner):
            raise ValueError(
                "masked: `outside` must be chosen where `inner` takes the step, since the gradients outside would be "
                'added to the parameters as they are: "zero" leaves those parameters alone, "keep" hands their '
                f"gradients on to a transform behind this one; got {self.inner!r}."
            )

    @property
    def guards(self) -> bool:
        return self.inner.guards and self.outside == "zero"

    def init(self, params: Params) -> MaskedState:
        return MaskedState(parts.init_part(self.inner, params, self._flags(params)))

    def update(
        self, grads: Updates, state: MaskedState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MaskedState]:
        flags = self._flags(grads if params is None else params)
        updates, inner_state = parts.update_part(
            self.inner, flags, grads, state.inner_state, params, extra, self.mask_compatible_extra_args
        )
        wide = jax.tree.map(numerics.widen, grads)
        others = jax.tree.map(jnp.zeros_like, wide) if self.outside == "zero" else wide
        return parts.merge(updates, others, flags), MaskedState(inner_state)

    def eval_params(self, state: MaskedState, params: Params) -> Params:
        return parts.eval_part(self.inner, self._flags(params), state.inner_state, params)

    def _flags(self, params: Params) -> list[bool]:
        return jax.tree.leaves(flags_of("masked", self.mask, params))


def takes_step(tx: Any) -> bool:
    """Whether updates of `tx` point downhill, to be added to the parameters, as far as one can see."""
    if isinstance(tx, Composed):
        return takes_step(tx.compose())
    if isinstance(tx, scale_by_learning_rate):
        return tx.flip_sign
    if isinstance(tx, scale):
        return is_concrete(tx.step_size) and bool(np.asarray(tx.step_size) < 0)
    known = (Composed, scale_by_learning_rate, scale)
    found = jax.tree.leaves(tx, is_leaf=lambda x: isinstance(x, known))
    return any(takes_step(part) for part in found if isinstance(part, known))


def selective_transform(optimizer: Any, *, freeze_mask: Mask) -> masked:
    """`optimizer` for the leaves where the mask is False; those where it is True stay as they are.

    Frozen leaves have no state. Their gradients are computed nevertheless: `fg.freeze(params, where)` spares that too.

    Args:
        optimizer: a transform whose updates are added to the parameters.
        freeze_mask: a pytree of booleans or a prefix of one, a function params → that, or paths as for `path_mask`.

    >>> import funcgd as fg
    >>> tx, params = fg.selective_transform(fg.sgd(0.5), freeze_mask="encoder/*"), {"encoder": {"w": 2.0}, "head": 2.0}
    >>> fg.apply_updates(params, tx.update(params, tx.init(params))[0])["head"].item()
    1.0
    """
    return masked(optimizer, without(freeze_mask), "zero")
