"""Losses: how far a prediction is from its target, entry by entry or example by example.

All of them compute in at least float32, compare shapes instead of broadcasting, and check the labels where they are
known.
"""

from funcgd.losses.contrastive import ntxent, triplet_margin_loss
from funcgd.losses.cosine import cosine_distance, cosine_similarity
from funcgd.losses.cross_entropy import (
    safe_softmax_cross_entropy,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from funcgd.losses.ctc import ctc_loss, ctc_loss_with_forward_probs
from funcgd.losses.dice import binary_dice_loss, dice_loss, multiclass_generalized_dice_loss
from funcgd.losses.divergence import (
    convex_kl_divergence,
    generalized_kl_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
)
from funcgd.losses.entropy import cross_entropy, entropy
from funcgd.losses.fenchel_young import make_fenchel_young_loss
from funcgd.losses.focal import poly_loss_cross_entropy, sigmoid_focal_loss
from funcgd.losses.likelihoods import gaussian_nll_loss, poisson_nll_loss
from funcgd.losses.multiclass import multiclass_hinge_loss, multiclass_perceptron_loss
from funcgd.losses.ranking import ranking_softmax_loss
from funcgd.losses.robust import huber_loss, log_cosh, quantile_loss
from funcgd.losses.signs import hinge_loss, perceptron_loss
from funcgd.losses.smooth import smooth_labels
from funcgd.losses.sparsemax import multiclass_sparsemax_loss, sparsemax_loss
from funcgd.losses.squared import l2_loss, mean_squared_error, squared_error, sum_of_squares
from funcgd.losses.zero_one import zero_one_loss

__all__ = [
    "binary_dice_loss",
    "convex_kl_divergence",
    "cosine_distance",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "ctc_loss_with_forward_probs",
    "dice_loss",
    "entropy",
    "gaussian_nll_loss",
    "generalized_kl_divergence",
    "hinge_loss",
    "huber_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "l2_loss",
    "log_cosh",
    "make_fenchel_young_loss",
    "mean_squared_error",
    "multiclass_generalized_dice_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multiclass_sparsemax_loss",
    "ntxent",
    "perceptron_loss",
    "poisson_nll_loss",
    "poly_loss_cross_entropy",
    "quantile_loss",
    "ranking_softmax_loss",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "sparsemax_loss",
    "squared_error",
    "sum_of_squares",
    "triplet_margin_loss",
    "zero_one_loss",
]
