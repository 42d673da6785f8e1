"""Keep parameters from becoming negative."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.lift import lift
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.values import value


class NonNegativeParamsState(NamedTuple):
    """The state of `keep_params_nonnegative`, which remembers nothing.

    >>> import funcgd as fg
    >>> fg.keep_params_nonnegative().init(1.0)
    NonNegativeParamsState()
    """


@value
class keep_params_nonnegative(Transform):
    """Cut the step where it would make a parameter negative, so that it becomes 0; the last transform of a chain.

        u = −θ  where θ + g < 0,   u = g  else

    Parameters that are negative already become 0 at once, unless their own step is longer.

    Raises:
        ValueError: at update, if `params` are missing.
        TypeError: if a parameter is complex.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.keep_params_nonnegative(), jnp.array([1.0, 1.0])
    >>> tx.update(jnp.array([-3.0, -0.5]), tx.init(params), params)[0].tolist()
    [-1.0, -0.5]
    """

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> NonNegativeParamsState:
        for path, p in jax.tree_util.tree_leaves_with_path(params):
            if jnp.iscomplexobj(p):
                where = jax.tree_util.keystr(path)
                raise TypeError(
                    f"keep_params_nonnegative.init: `params{where}` must be real, got {jnp.result_type(p)}."
                )
        return NonNegativeParamsState()

    def update(
        self, grads: Updates, state: NonNegativeParamsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, NonNegativeParamsState]:
        updates = lift(lambda h, g, p: jnp.where(p + g < 0, -p, g), SimpleNamespace(), grads, read=(params,))
        return updates, state
