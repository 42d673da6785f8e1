"""Schedules one after another."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, vector
from funcgd.core.schedule import is_concrete
from funcgd.core.values import value
from funcgd.schedules.constant import constant_schedule
from funcgd.schedules.steps import as_step, boundary_steps, real


@value
class join_schedules:
    """Schedules one after another, each counting its own steps from 0.

        f(t) = fᵢ(t − bᵢ)     for bᵢ ≤ t < bᵢ₊₁, with b₀ = 0

    At a boundary the later schedule begins: f(bᵢ) = fᵢ(0). Equal boundaries leave the schedule between them out. Every
    schedule is asked only for steps of its own segment (the nearest of them, while another is in charge), so what it
    would be elsewhere, even NaN, does not matter.

    Args:
        schedules: n + 1 schedules: values, plain functions of the step, or numbers (made `constant_schedule`).
        boundaries: b₁ ≤ … ≤ bₙ, ≥ 0, in steps.

    Raises:
        ValueError: if the boundaries are not ascending, or their number is not one less than that of the schedules.
        TypeError: if a schedule is neither callable nor a number.

    The derivative with respect to a boundary is 0.

    Reference: Goyal et al., Accurate, large minibatch SGD, 2017, arXiv:1706.02677 (a warmup joined to a step decay).

    >>> import funcgd as fg
    >>> rate = fg.join_schedules([fg.linear_schedule(0.0, 1.0, 4), 1.0, fg.exponential_decay(1.0, 2, 0.25)], [4, 6])
    >>> [float(rate(step)) for step in range(9)]  # doctest: +NUMBER
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.25]
    """

    schedules: Any
    boundaries: Any = vector()

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if type(self.schedules) is not tuple:
            raise TypeError(f"{owner}: `schedules` must be a list of schedules, got {describe(self.schedules)}.")
        for i, schedule in enumerate(self.schedules):
            if not callable(schedule) and not isinstance(schedule, (float, jax.Array)):
                raise TypeError(f"{owner}: `schedules[{i}]` must be a schedule or a number, got {describe(schedule)}.")
        if len(self.schedules) != len(self.boundaries) + 1:
            raise ValueError(
                f"{owner}: `boundaries` must have one entry less than `schedules`, "
                f"got {len(self.boundaries)} for {len(self.schedules)} schedules."
            )
        if is_concrete(self.boundaries) and (np.any(self.boundaries < 0) or np.any(np.diff(self.boundaries) < 0)):
            raise ValueError(f"{owner}: `boundaries` must be ≥ 0 and ascending, got {self.boundaries.tolist()}.")
        schedules = tuple(f if callable(f) else constant_schedule(f) for f in self.schedules)
        object.__setattr__(self, "schedules", schedules)

    def __call__(self, step: Any) -> jax.Array:
        step, starts = as_step(step), boundary_steps(type(self).__name__, self.boundaries).whole
        result, start = real(0.0), np.int32(0)
        for i, schedule in enumerate(self.schedules):
            local = jnp.maximum(step - start, np.int32(0))
            if i < len(starts):
                local = jnp.minimum(local, jnp.maximum(starts[i] - start - np.int32(1), np.int32(0)))
            here = real(schedule(local))
            if here.shape not in ((), step.shape):
                raise ValueError(
                    f"{type(self).__name__}: `schedules[{i}]` must return a scalar, got shape {here.shape} at a step "
                    f"of shape {step.shape}."
                )
            result = jnp.where(step >= start, here, result)
            start = starts[i] if i < len(starts) else start
        return result
