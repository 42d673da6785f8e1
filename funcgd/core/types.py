"""The names of the types that appear in signatures."""

from collections.abc import Callable
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
