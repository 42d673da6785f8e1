"""Named optimizers, one published family per file; `registry` has one row for each."""

from funcgd.optimizers.adagrad import ScaleByRssState, adagrad, scale_by_rss
from funcgd.optimizers.adam import ScaleByAdamState, adam, adamw, scale_by_adam
from funcgd.optimizers.gradient_descent import gradient_descent, normalized_gradient_descent
from funcgd.optimizers.lbfgs import ScaleByLBFGSState, lbfgs, scale_by_lbfgs
from funcgd.optimizers.rmsprop import ScaleByRmsState, ScaleByRStdDevState, rmsprop, scale_by_rms, scale_by_stddev
from funcgd.optimizers.sgd import sgd

__all__ = [
    "ScaleByAdamState",
    "ScaleByLBFGSState",
    "ScaleByRStdDevState",
    "ScaleByRmsState",
    "ScaleByRssState",
    "adagrad",
    "adam",
    "adamw",
    "gradient_descent",
    "lbfgs",
    "normalized_gradient_descent",
    "rmsprop",
    "scale_by_adam",
    "scale_by_lbfgs",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_stddev",
    "sgd",
]
