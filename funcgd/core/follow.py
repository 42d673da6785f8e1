"""Copies of the parameters that follow them: slowly, or from time to time."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics


def incremental_update(new_tensors: Any, old_tensors: Any, step_size: Any) -> Any:
    """s·new + (1 − s)·old, in the dtypes of `old_tensors`: the copy goes a part of the way.

    Kept in float32, the copy of bfloat16 parameters follows small steps too. For an average within the state of an
    optimizer see `fg.eval_params`.

    Args:
        new_tensors: the parameters now.
        old_tensors: the copy, like them.
        step_size: s in [0, 1].

    Reference: Lillicrap et al., Continuous control with deep reinforcement learning, ICLR 2016, arXiv:1509.02971.

    >>> import funcgd as fg
    >>> float(fg.incremental_update({"w": 1.0}, {"w": 3.0}, 0.25)["w"])
    2.5
    """

    def one(new: Any, old: Any) -> jax.Array:
        dtype = numerics.wide_dtype(jnp.result_type(new), jnp.result_type(old))
        new_wide, old_wide = numerics.widen(new, dtype), numerics.widen(old, dtype)
        with jax.numpy_dtype_promotion("standard"):  # for complex parameters
            moved = old_wide + jnp.asarray(step_size, dtype) * (new_wide - old_wide)
        return jnp.asarray(moved, jnp.result_type(old))

    return jax.tree.map(one, new_tensors, old_tensors)


def periodic_update(new_tensors: Any, old_tensors: Any, steps: Any, update_period: Any) -> Any:
    """`new_tensors` where `steps` is a multiple of the period, else `old_tensors`; in the dtypes of the old.

    Args:
        new_tensors: the parameters now.
        old_tensors: the copy, like them.
        steps: (), integer: finished steps.
        update_period: (), integer in [1, ∞).

    Reference: Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015.

    >>> import funcgd as fg
    >>> [float(fg.periodic_update({"w": 1.0}, {"w": 3.0}, step, 2)["w"]) for step in (1, 2, 3)]
    [3.0, 1.0, 3.0]
    """
    due = jnp.asarray(steps) % update_period == 0
    return jax.tree.map(
        lambda new, old: jnp.where(due, jnp.asarray(new, jnp.result_type(old)), old), new_tensors, old_tensors
    )
