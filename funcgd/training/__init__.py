"""Training and minimising: one step, the scan over steps, training on data, running to convergence."""

from funcgd.training.evaluate import evaluate
from funcgd.training.fit import fit
from funcgd.training.minimize import Evaluation, FirstOrder, minimize
from funcgd.training.objective import Aux
from funcgd.training.penalties import l1_penalty, l2_penalty
from funcgd.training.per_example import mean_loss, per_example_grad
from funcgd.training.report import ChunkReport
from funcgd.training.state import TrainState, eval_params
from funcgd.training.step import TrainStep, make_step
from funcgd.training.train import train
from funcgd.training.weighted_sum import weighted_sum

__all__ = [
    "Aux",
    "ChunkReport",
    "Evaluation",
    "FirstOrder",
    "TrainState",
    "TrainStep",
    "eval_params",
    "evaluate",
    "fit",
    "l1_penalty",
    "l2_penalty",
    "make_step",
    "mean_loss",
    "minimize",
    "per_example_grad",
    "train",
    "weighted_sum",
]
