"""Named optimizers, one published family per file; `registry` has one row for each."""

from funcgd.optimizers.adadelta import ScaleByAdaDeltaState, adadelta, scale_by_adadelta
from funcgd.optimizers.adagrad import ScaleByRssState, adagrad, scale_by_rss
from funcgd.optimizers.adam import ScaleByAdamState, adam, adamw, scale_by_adam
from funcgd.optimizers.gradient_descent import gradient_descent, normalized_gradient_descent
from funcgd.optimizers.lbfgs import ScaleByLBFGSState, lbfgs, scale_by_lbfgs
from funcgd.optimizers.lion import ScaleByLionState, lion, scale_by_lion
from funcgd.optimizers.rmsprop import ScaleByRmsState, ScaleByRStdDevState, rmsprop, scale_by_rms, scale_by_stddev
from funcgd.optimizers.rprop import ScaleByRpropState, rprop, scale_by_rprop
from funcgd.optimizers.sgd import sgd
from funcgd.optimizers.sign_sgd import scale_by_sign, sign_sgd, signum

__all__ = [
    "ScaleByAdaDeltaState",
    "ScaleByAdamState",
    "ScaleByLBFGSState",
    "ScaleByLionState",
    "ScaleByRStdDevState",
    "ScaleByRmsState",
    "ScaleByRpropState",
    "ScaleByRssState",
    "adadelta",
    "adagrad",
    "adam",
    "adamw",
    "gradient_descent",
    "lbfgs",
    "lion",
    "normalized_gradient_descent",
    "rmsprop",
    "rprop",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_lbfgs",
    "scale_by_lion",
    "scale_by_rms",
    "scale_by_rprop",
    "scale_by_rss",
    "scale_by_sign",
    "scale_by_stddev",
    "sgd",
    "sign_sgd",
    "signum",
]
