"""Training and minimising: one step, the scan over steps, training on data, running to convergence."""

from funcgd.training.accumulate import accumulate
from funcgd.training.accumulators import AccumulationType, Accumulator
from funcgd.training.checkpoint import Checkpoint
from funcgd.training.checkpoint_store import CheckpointError
from funcgd.training.evaluate import evaluate
from funcgd.training.fit import fit
from funcgd.training.frozen import freeze, unfreeze
from funcgd.training.history import History
from funcgd.training.method import FirstOrder
from funcgd.training.microbatching import MicroGradAux, micro_grad, micro_vmap, microbatch, reshape_batch_axis
from funcgd.training.minimize import minimize
from funcgd.training.mixed_precision import LossScaleState, mixed_precision
from funcgd.training.objective import Aux
from funcgd.training.penalties import l1_penalty, l2_penalty
from funcgd.training.per_example import mean_loss, per_example_grad
from funcgd.training.report import ChunkReport
from funcgd.training.state import TrainState, eval_params
from funcgd.training.step import TrainStep, make_step
from funcgd.training.sweep import sweep
from funcgd.training.sweep_table import Sweep
from funcgd.training.tensorboard import TensorBoardWriter
from funcgd.training.train import train
from funcgd.training.weighted_sum import weighted_sum
from funcgd.training.writers import CSVWriter, JSONLinesWriter

__all__ = [
    "AccumulationType",
    "Accumulator",
    "Aux",
    "CSVWriter",
    "Checkpoint",
    "CheckpointError",
    "ChunkReport",
    "FirstOrder",
    "History",
    "JSONLinesWriter",
    "LossScaleState",
    "MicroGradAux",
    "Sweep",
    "TensorBoardWriter",
    "TrainState",
    "TrainStep",
    "accumulate",
    "eval_params",
    "evaluate",
    "fit",
    "freeze",
    "l1_penalty",
    "l2_penalty",
    "make_step",
    "mean_loss",
    "micro_grad",
    "micro_vmap",
    "microbatch",
    "minimize",
    "mixed_precision",
    "per_example_grad",
    "reshape_batch_axis",
    "sweep",
    "train",
    "unfreeze",
    "weighted_sum",
]
