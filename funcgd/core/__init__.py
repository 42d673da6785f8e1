"""Values, transforms and their chains, schedules' protocol, trees, safe numerics, checks, stopping."""

from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.chain import Chain, chain, named_chain
from funcgd.core.fields import number, static, vector
from funcgd.core.follow import incremental_update, periodic_update
from funcgd.core.hyperparameters import hyperparameters
from funcgd.core.least_squares import least_squares
from funcgd.core.lift import lift
from funcgd.core.matrix_powers import matrix_inverse_pth_root, power_iteration
from funcgd.core.method import Evaluation
from funcgd.core.safe import safe_increment, safe_int32_increment, safe_norm, safe_root_mean_squares
from funcgd.core.schedule import resolve
from funcgd.core.stack import as_arrays, grid, stack, unstack
from funcgd.core.stop import Progress, Result, StopReason, StopRule
from funcgd.core.transform import (
    AdaptiveGradClipState,
    AddDecayedWeightsState,
    ClipByGlobalNormState,
    ClipState,
    Composed,
    EmptyState,
    GradientTransformation,
    GradientTransformationExtraArgs,
    NormalizeState,
    ScaleByScheduleState,
    ScaleByTrustRatioState,
    ScaleState,
    Transform,
    identity,
    init_empty_state,
    stateless,
    stateless_with_tree_map,
)
from funcgd.core.tree import (
    bias_correction,
    update_infinity_moment,
    update_moment,
    update_moment_per_elem_norm,
)
from funcgd.core.tree import map_params as tree_map_params
from funcgd.core.tree import norm as global_norm
from funcgd.core.types import (
    Batch,
    ConditionFn,
    MaskedNode,
    MaskOrFn,
    OptState,
    Params,
    Scalar,
    ScalarOrSchedule,
    Schedule,
    ShouldSkipUpdateFunction,
    TransformInitFn,
    TransformUpdateExtraArgsFn,
    TransformUpdateFn,
    Updates,
)
from funcgd.core.values import value

__all__ = [
    "AdaptiveGradClipState",
    "AddDecayedWeightsState",
    "Batch",
    "Chain",
    "ClipByGlobalNormState",
    "ClipState",
    "Composed",
    "ConditionFn",
    "EmptyState",
    "Evaluation",
    "GradientTransformation",
    "GradientTransformationExtraArgs",
    "MaskOrFn",
    "MaskedNode",
    "NormalizeState",
    "OptState",
    "Params",
    "Progress",
    "Result",
    "Scalar",
    "ScalarOrSchedule",
    "ScaleByScheduleState",
    "ScaleByTrustRatioState",
    "ScaleState",
    "Schedule",
    "ShouldSkipUpdateFunction",
    "StopReason",
    "StopRule",
    "Transform",
    "TransformInitFn",
    "TransformUpdateExtraArgsFn",
    "TransformUpdateFn",
    "Updates",
    "apply_updates",
    "as_arrays",
    "bias_correction",
    "chain",
    "global_norm",
    "grid",
    "hyperparameters",
    "identity",
    "incremental_update",
    "init_empty_state",
    "least_squares",
    "lift",
    "matrix_inverse_pth_root",
    "named_chain",
    "number",
    "periodic_update",
    "power_iteration",
    "resolve",
    "safe_increment",
    "safe_int32_increment",
    "safe_norm",
    "safe_root_mean_squares",
    "stack",
    "stateless",
    "stateless_with_tree_map",
    "static",
    "tree",
    "tree_map_params",
    "unstack",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
    "value",
    "vector",
]
