"""The α that a line search tries first."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.types import Params
from funcgd.solvers.line_search_method import Step


def short(direction: Params, dtype: Any) -> jax.Array:
    """min(1, 1/‖p‖): the α of a step of length 1 at most, where nothing is known."""
    return 1 / jnp.maximum(1, jnp.asarray(tree.norm(direction), dtype))


def one_or_short(slope: jax.Array, first: Any) -> jax.Array:
    """The first α of quasi-Newton methods: 1; at the beginning, where −p is the gradient g, min(1, 1/‖g‖)."""
    length = jnp.sqrt(jnp.maximum(-slope, 0))  # ‖g‖, where p = −g
    return jnp.where(first, 1 / jnp.maximum(1, length), jnp.ones_like(slope))


def same_change(direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
    """The α whose first-order change αφ′(0) is that of the step before; min(1, 1/‖p‖) in the first one."""
    before = step.trial.step * step.line.start.slope  # α_{k−1} φ′_{k−1}(0)
    usable = ~first & (before < 0)
    return jnp.where(usable, before / jnp.where(slope < 0, slope, -1), short(direction, slope.dtype))
