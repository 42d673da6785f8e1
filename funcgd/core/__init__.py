"""Values, transforms and their chains, schedules' protocol, trees, safe numerics, checks, stopping."""

from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.chain import Chain, chain, named_chain
from funcgd.core.fields import number, static, vector
from funcgd.core.hyperparameters import hyperparameters
from funcgd.core.least_squares import least_squares
from funcgd.core.lift import lift
from funcgd.core.method import Evaluation
from funcgd.core.schedule import resolve
from funcgd.core.stack import as_arrays, grid, stack, unstack
from funcgd.core.stop import Progress, Result, StopReason, StopRule
from funcgd.core.transform import (
    Composed,
    EmptyState,
    GradientTransformation,
    ScaleByScheduleState,
    Transform,
    identity,
    stateless,
)
from funcgd.core.types import Batch, OptState, Params, Scalar, ScalarOrSchedule, Schedule, Updates
from funcgd.core.values import value

__all__ = [
    "Batch",
    "Chain",
    "Composed",
    "EmptyState",
    "Evaluation",
    "GradientTransformation",
    "OptState",
    "Params",
    "Progress",
    "Result",
    "Scalar",
    "ScalarOrSchedule",
    "ScaleByScheduleState",
    "Schedule",
    "StopReason",
    "StopRule",
    "Transform",
    "Updates",
    "apply_updates",
    "as_arrays",
    "chain",
    "grid",
    "hyperparameters",
    "identity",
    "least_squares",
    "lift",
    "named_chain",
    "number",
    "resolve",
    "stack",
    "stateless",
    "static",
    "tree",
    "unstack",
    "value",
    "vector",
]
