"""The names of the types that appear in signatures."""

from collections.abc import Callable
from types import NoneType
from typing import Any, TypeAlias

import jax

Params: TypeAlias = Any
"""A pytree of arrays that are trained."""

Updates: TypeAlias = Any
"""A pytree like the parameters: gradients on their way in, steps to add on their way out."""

OptState: TypeAlias = Any
"""The state of a transform: a pytree of arrays, the same in structure, shapes and dtypes after every update."""

Batch: TypeAlias = Any
"""A pytree of arrays that share their leading axis."""

Scalar: TypeAlias = float | jax.Array
"""A Python number or a 0-d array."""

Schedule: TypeAlias = Callable[[Any], Any]
"""step → number, pure in the step: step is an int32 scalar that counts finished updates, 0 for the first."""

ScalarOrSchedule: TypeAlias = Scalar | Schedule
"""What every scalar hyperparameter accepts."""

TransformInitFn: TypeAlias = Callable[[Params], OptState]
"""The `init` of a transform: params → state."""

TransformUpdateFn: TypeAlias = Callable[..., tuple[Updates, OptState]]
"""The `update` of a transform: grads, state, params=None, **extra → (updates, state)."""

TransformUpdateExtraArgsFn: TypeAlias = TransformUpdateFn
"""The same: here every `update` takes extras."""

MaskOrFn: TypeAlias = Callable[[Params], Any] | Any
"""Which leaves take part: booleans (a prefix of the parameters' tree), a function params → such, or names of paths."""

MaskedNode: TypeAlias = NoneType
"""What stands in a state for a leaf outside a mask or group: None, an empty node for JAX."""

ConditionFn: TypeAlias = Callable[..., Any]
"""step, **extra → whether a transform acts, for `conditionally_mask` and `conditionally_transform`."""

ShouldSkipUpdateFunction: TypeAlias = Callable[[Updates, Any, Params | None], tuple[Any, Any]]
"""updates, gradient_step, params → (whether to leave the updates out, what to keep in the state), for `MultiSteps`."""
