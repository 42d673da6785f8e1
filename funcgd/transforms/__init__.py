"""Gradient transforms, to be chained: scale, clip, momentum, weight decay, plateau; and guards around them."""

from funcgd.transforms.accumulate import (
    ApplyEvery,
    MultiSteps,
    MultiStepsState,
    apply_every,
    skip_large_updates,
    skip_not_finite,
)
from funcgd.transforms.average import EmaState, ema
from funcgd.transforms.centralize import centralize
from funcgd.transforms.clip import clip, clip_by_global_norm
from funcgd.transforms.clip_units import adaptive_grad_clip, clip_by_block_rms, unitwise_clip, unitwise_norm
from funcgd.transforms.complex_parts import (
    SplitRealAndImaginaryArrays,
    SplitRealAndImaginaryState,
    split_real_and_imaginary,
)
from funcgd.transforms.conditional import (
    ApplyIfFiniteState,
    ConditionallyMaskState,
    ConditionallyTransformState,
    apply_if_finite,
    conditionally_mask,
    conditionally_transform,
)
from funcgd.transforms.flatten import flatten
from funcgd.transforms.groups import group_table, path_labels
from funcgd.transforms.guard import SkipNonfiniteState, SkipSpikesState, skip_nonfinite, skip_spikes
from funcgd.transforms.inject import (
    InjectHyperparams,
    InjectHyperparamsState,
    InjectStatefulHyperparamsState,
    StatefulSchedule,
    WrappedSchedule,
    WrappedScheduleState,
    inject_hyperparams,
    inject_stateful_hyperparams,
)
from funcgd.transforms.line_search import (
    LinesearchInfo,
    ScaleByBacktrackingLinesearchState,
    ScaleByLinesearchState,
    ScaleByZoomLinesearchState,
    ZoomLinesearchInfo,
)
from funcgd.transforms.mask import complement, path_mask
from funcgd.transforms.masked import MaskedState, masked, selective_transform
from funcgd.transforms.matrices import path_dimension_numbers
from funcgd.transforms.momentum import TraceState, trace
from funcgd.transforms.monitor import MonitorState, SnapshotState, measure_with_ema, monitor, snapshot
from funcgd.transforms.noise import AddNoiseState, add_noise
from funcgd.transforms.nonnegative import NonNegativeParamsState, keep_params_nonnegative
from funcgd.transforms.normalize import normalize, normalize_by_update_norm
from funcgd.transforms.partition import MultiTransformState, Partition, PartitionState, multi_transform, partition
from funcgd.transforms.per_example import per_example_global_norm_clip, per_example_layer_norm_clip
from funcgd.transforms.plateau import ReduceLROnPlateauState, reduce_on_plateau
from funcgd.transforms.scale import scale, scale_by_learning_rate, scale_by_schedule, set_to_zero
from funcgd.transforms.scale_by_linesearch import (
    scale_by_backtracking_linesearch,
    scale_by_linesearch,
    scale_by_zoom_linesearch,
)
from funcgd.transforms.value_and_grad_from_state import value_and_grad_from_state
from funcgd.transforms.weight_decay import add_decayed_weights
from funcgd.transforms.wrapper import with_extra_args_support
from funcgd.transforms.zero_nans import ZeroNansState, zero_nans

__all__ = [
    "AddNoiseState",
    "ApplyEvery",
    "ApplyIfFiniteState",
    "ConditionallyMaskState",
    "ConditionallyTransformState",
    "EmaState",
    "InjectHyperparams",
    "InjectHyperparamsState",
    "InjectStatefulHyperparamsState",
    "LinesearchInfo",
    "MaskedState",
    "MonitorState",
    "MultiSteps",
    "MultiStepsState",
    "MultiTransformState",
    "NonNegativeParamsState",
    "Partition",
    "PartitionState",
    "ReduceLROnPlateauState",
    "ScaleByBacktrackingLinesearchState",
    "ScaleByLinesearchState",
    "ScaleByZoomLinesearchState",
    "SkipNonfiniteState",
    "SkipSpikesState",
    "SnapshotState",
    "SplitRealAndImaginaryArrays",
    "SplitRealAndImaginaryState",
    "StatefulSchedule",
    "TraceState",
    "WrappedSchedule",
    "WrappedScheduleState",
    "ZeroNansState",
    "ZoomLinesearchInfo",
    "adaptive_grad_clip",
    "add_decayed_weights",
    "add_noise",
    "apply_every",
    "apply_if_finite",
    "centralize",
    "clip",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "complement",
    "conditionally_mask",
    "conditionally_transform",
    "ema",
    "flatten",
    "group_table",
    "inject_hyperparams",
    "inject_stateful_hyperparams",
    "keep_params_nonnegative",
    "masked",
    "measure_with_ema",
    "monitor",
    "multi_transform",
    "normalize",
    "normalize_by_update_norm",
    "partition",
    "path_dimension_numbers",
    "path_labels",
    "path_mask",
    "per_example_global_norm_clip",
    "per_example_layer_norm_clip",
    "reduce_on_plateau",
    "scale",
    "scale_by_backtracking_linesearch",
    "scale_by_learning_rate",
    "scale_by_linesearch",
    "scale_by_schedule",
    "scale_by_zoom_linesearch",
    "selective_transform",
    "set_to_zero",
    "skip_large_updates",
    "skip_nonfinite",
    "skip_not_finite",
    "skip_spikes",
    "snapshot",
    "split_real_and_imaginary",
    "trace",
    "unitwise_clip",
    "unitwise_norm",
    "value_and_grad_from_state",
    "with_extra_args_support",
    "zero_nans",
]
