"""The α that a line search tries first."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.types import Params
from funcgd.solvers.line_search_method import Step


def one_or_short(direction: Params, slope: jax.Array, first: Any) -> jax.Array:
    """The first α of quasi-Newton methods: 1; at the beginning, where −p is the gradient g, min(1, 1/‖g‖)."""
    length = jnp.asarray(tree.norm(direction), slope.dtype)
    return jnp.where(first, 1 / jnp.maximum(1, length), jnp.ones_like(length))


def same_change(direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
    """The α whose first-order change αφ′(0) is that of the step before; min(1, 1/‖p‖) in the first one."""
    shortest = 1 / jnp.maximum(1, jnp.asarray(tree.norm(direction), slope.dtype))
    before = step.trial.step * step.line.start.slope  # α_{k−1} φ′_{k−1}(0)
    usable = ~first & (before < 0)
    return jnp.where(usable, before / jnp.where(slope < 0, slope, -1), shortest)
