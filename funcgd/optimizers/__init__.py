"""Named optimizers, one published family per file; `registry` has one row for each."""

from funcgd.optimizers.acprop import acprop, scale_by_acprop
from funcgd.optimizers.adabelief import ScaleByBeliefState, adabelief, scale_by_belief
from funcgd.optimizers.adadelta import ScaleByAdaDeltaState, adadelta, scale_by_adadelta
from funcgd.optimizers.adafactor import (
    FactoredState,
    adafactor,
    scale_by_factored_rms,
    scale_by_param_block_norm,
    scale_by_param_block_rms,
)
from funcgd.optimizers.adagrad import ScaleByRssState, adagrad, scale_by_rss
from funcgd.optimizers.adam import ScaleByAdamState, adam, adamw, scale_by_adam
from funcgd.optimizers.adamax import adamax, adamaxw, scale_by_adamax
from funcgd.optimizers.adan import ScaleByAdanState, adan, scale_by_adan
from funcgd.optimizers.ademamix import (
    ScaleByAdemamixState,
    ScaleBySimplifiedAdEMAMixState,
    ademamix,
    scale_by_ademamix,
    scale_by_simplified_ademamix,
    simplified_ademamix,
)
from funcgd.optimizers.adopt import adopt, fourth_root, scale_by_adopt
from funcgd.optimizers.amsgrad import ScaleByAmsgradState, amsgrad, scale_by_amsgrad
from funcgd.optimizers.cautious import cautious
from funcgd.optimizers.cocob import COCOBState, cocob, scale_by_cocob
from funcgd.optimizers.dadapt_adamw import DAdaptAdamWState, dadapt_adamw
from funcgd.optimizers.distance_over_gradients import (
    DoGState,
    DoWGState,
    ScaleByDistanceOverGradientsState,
    dog,
    dowg,
    scale_by_distance_over_gradients,
    scale_by_dog,
    scale_by_dowg,
)
from funcgd.optimizers.dpsgd import DifferentiallyPrivateAggregateState, differentially_private_aggregate, dpsgd
from funcgd.optimizers.galore import GaLoreDimensionNumbers, GaLoreState, galore, scale_by_galore
from funcgd.optimizers.gradient_descent import gradient_descent, normalized_gradient_descent
from funcgd.optimizers.lbfgs import ScaleByLBFGSState, lbfgs, scale_by_lbfgs
from funcgd.optimizers.lion import ScaleByLionState, lion, scale_by_lion
from funcgd.optimizers.lookahead import LookaheadParams, LookaheadState, lookahead
from funcgd.optimizers.madgrad import MadgradState, madgrad, scale_by_madgrad
from funcgd.optimizers.mars import MarsState, mars, mars_correction
from funcgd.optimizers.mechanize import MechanicState, mechanize
from funcgd.optimizers.momo import MomoAdamState, MomoState, momo, momo_adam
from funcgd.optimizers.muon import MuonDimensionNumbers, MuonState, muon, scale_by_muon, scale_by_shape
from funcgd.optimizers.nadam import nadam, nadamw
from funcgd.optimizers.noisy_sgd import noisy_sgd
from funcgd.optimizers.novograd import ScaleByNovogradState, novograd, scale_by_novograd
from funcgd.optimizers.optimistic import (
    optimistic_adam,
    optimistic_adam_v2,
    optimistic_gradient_descent,
    scale_by_optimistic_gradient,
)
from funcgd.optimizers.parameter_averages import ParamsAverageState, params_ema, swa
from funcgd.optimizers.polyak import polyak_sgd, scale_by_polyak
from funcgd.optimizers.prodigy import ProdigyState, prodigy
from funcgd.optimizers.radam import radam, scale_by_radam
from funcgd.optimizers.rmsprop import ScaleByRmsState, ScaleByRStdDevState, rmsprop, scale_by_rms, scale_by_stddev
from funcgd.optimizers.rprop import ScaleByRpropState, rprop, scale_by_rprop
from funcgd.optimizers.sam import SAMState, sam
from funcgd.optimizers.schedule_free import (
    ScheduleFreeState,
    schedule_free,
    schedule_free_adamw,
    schedule_free_eval_params,
    schedule_free_sgd,
)
from funcgd.optimizers.sgd import sgd
from funcgd.optimizers.shampoo import ScaleByShampooState, scale_by_shampoo, shampoo
from funcgd.optimizers.sign_sgd import scale_by_sign, sign_sgd, signum
from funcgd.optimizers.sm3 import ScaleBySM3State, scale_by_sm3, sm3
from funcgd.optimizers.soap import ScaleBySoapState, scale_by_soap, soap
from funcgd.optimizers.sophia import (
    HutchinsonState,
    SophiaState,
    hutchinson_estimator_diag_hessian,
    scale_by_sophia,
    sophia,
)
from funcgd.optimizers.trust_ratio import fromage, lamb, lars, scale_by_trust_ratio
from funcgd.optimizers.yogi import scale_by_yogi, yogi

__all__ = [
    "COCOBState",
    "DAdaptAdamWState",
    "DifferentiallyPrivateAggregateState",
    "DoGState",
    "DoWGState",
    "FactoredState",
    "GaLoreDimensionNumbers",
    "GaLoreState",
    "HutchinsonState",
    "LookaheadParams",
    "LookaheadState",
    "MadgradState",
    "MarsState",
    "MechanicState",
    "MomoAdamState",
    "MomoState",
    "MuonDimensionNumbers",
    "MuonState",
    "ParamsAverageState",
    "ProdigyState",
    "SAMState",
    "ScaleByAdaDeltaState",
    "ScaleByAdamState",
    "ScaleByAdanState",
    "ScaleByAdemamixState",
    "ScaleByAmsgradState",
    "ScaleByBeliefState",
    "ScaleByDistanceOverGradientsState",
    "ScaleByLBFGSState",
    "ScaleByLionState",
    "ScaleByNovogradState",
    "ScaleByRStdDevState",
    "ScaleByRmsState",
    "ScaleByRpropState",
    "ScaleByRssState",
    "ScaleBySM3State",
    "ScaleByShampooState",
    "ScaleBySimplifiedAdEMAMixState",
    "ScaleBySoapState",
    "ScheduleFreeState",
    "SophiaState",
    "acprop",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "cautious",
    "cocob",
    "dadapt_adamw",
    "differentially_private_aggregate",
    "dog",
    "dowg",
    "dpsgd",
    "fourth_root",
    "fromage",
    "galore",
    "gradient_descent",
    "hutchinson_estimator_diag_hessian",
    "lamb",
    "lars",
    "lbfgs",
    "lion",
    "lookahead",
    "madgrad",
    "mars",
    "mars_correction",
    "mechanize",
    "momo",
    "momo_adam",
    "muon",
    "nadam",
    "nadamw",
    "noisy_sgd",
    "normalized_gradient_descent",
    "novograd",
    "optimistic_adam",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "params_ema",
    "polyak_sgd",
    "prodigy",
    "radam",
    "rmsprop",
    "rprop",
    "sam",
    "scale_by_acprop",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_adan",
    "scale_by_ademamix",
    "scale_by_adopt",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_cocob",
    "scale_by_distance_over_gradients",
    "scale_by_dog",
    "scale_by_dowg",
    "scale_by_factored_rms",
    "scale_by_galore",
    "scale_by_lbfgs",
    "scale_by_lion",
    "scale_by_madgrad",
    "scale_by_muon",
    "scale_by_novograd",
    "scale_by_optimistic_gradient",
    "scale_by_param_block_norm",
    "scale_by_param_block_rms",
    "scale_by_polyak",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rprop",
    "scale_by_rss",
    "scale_by_shampoo",
    "scale_by_shape",
    "scale_by_sign",
    "scale_by_simplified_ademamix",
    "scale_by_sm3",
    "scale_by_soap",
    "scale_by_sophia",
    "scale_by_stddev",
    "scale_by_trust_ratio",
    "scale_by_yogi",
    "schedule_free",
    "schedule_free_adamw",
    "schedule_free_eval_params",
    "schedule_free_sgd",
    "sgd",
    "shampoo",
    "sign_sgd",
    "signum",
    "simplified_ademamix",
    "sm3",
    "soap",
    "sophia",
    "swa",
    "yogi",
]
