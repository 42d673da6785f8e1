"""Zeros in place of NaN."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.lift import lift
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.values import value


class ZeroNansState(NamedTuple):
    """The state of `zero_nans`.

    >>> import funcgd as fg
    >>> bool(fg.zero_nans().init({"w": 1.0}).found_nan["w"])
    False
    """

    found_nan: Updates  # a tree like the parameters of (), bool: whether the last gradient had NaN in this leaf


@value
class zero_nans(Transform):
    """Put zeros in place of NaN, and tell where there were any.

    It hides why there are NaN, and what is left is no gradient any more: `fg.skip_nonfinite` leaves out such steps.
    Infinite entries pass.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.zero_nans()
    >>> updates, state = tx.update(jnp.array([jnp.nan, 2.0]), tx.init(jnp.zeros(2)))
    >>> updates.tolist(), bool(state.found_nan)
    ([0.0, 2.0], True)
    """

    def init(self, params: Params) -> ZeroNansState:
        return ZeroNansState(jax.tree.map(lambda p: jnp.zeros((), bool), params))

    def update(
        self, grads: Updates, state: ZeroNansState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ZeroNansState]:
        updates = lift(lambda h, g: jnp.where(jnp.isnan(g), 0, g), SimpleNamespace(), grads)
        return updates, ZeroNansState(jax.tree.map(lambda g: jnp.any(jnp.isnan(g)), grads))
