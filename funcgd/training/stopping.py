"""Stopping rules, as `fg.stop.*`: values that combine with `|` (any) and `&` (all)."""

from typing import Any

import jax

from funcgd.core.fields import number
from funcgd.core.stop import Progress, StopReason, StopRule, both, code_when, either
from funcgd.core.types import Scalar
from funcgd.core.values import value

__all__ = ["both", "either", "gradient_norm", "step_size", "target_value"]


@value
class gradient_norm(StopRule):
    """Stop where ‖∇f‖₂ ≤ tolerance.

    Args:
        tolerance: in [0, ∞), unit of the gradient.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.5), max_steps=9, stop=fg.stop.gradient_norm(1e-6))
    >>> int(run.steps), run.reason.name
    (1, 'GRADIENT_NORM')
    """

    tolerance: Scalar = number("[0, inf)", schedule=False)

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.gradient_norm <= self.tolerance, StopReason.GRADIENT_NORM), state


@value
class target_value(StopRule):
    """Stop where f ≤ target.

    Args:
        target: unit of the value.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.25), max_steps=9, stop=fg.stop.target_value(0.3))
    >>> int(run.steps), float(run.value)
    (2, 0.25)
    """

    target: Scalar = number(schedule=False)

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.value <= self.target, StopReason.TARGET_VALUE), state


@value
class step_size(StopRule):
    """Stop where the last update was short: ‖x_k − x_{k−1}‖₂ ≤ tolerance.

    Args:
        tolerance: in [0, ∞), unit of the parameters.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.sgd(0.25), max_steps=9, stop=fg.stop.step_size(0.3))
    >>> int(run.steps), float(run.params)
    (3, 0.25)
    """

    tolerance: Scalar = number("[0, inf)", schedule=False)

    def test(self, progress: Progress, state: Any) -> tuple[jax.Array, Any]:
        return code_when(progress.step_norm <= self.tolerance, StopReason.STEP_SIZE), state
