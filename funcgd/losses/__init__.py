"""Losses: how far a prediction is from its target, entry by entry or example by example.

All of them compute in at least float32, compare shapes instead of broadcasting, and check the labels where they are
known.
"""

from funcgd.losses.cross_entropy import (
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from funcgd.losses.entropy import cross_entropy, entropy
from funcgd.losses.signs import hinge_loss, perceptron_loss
from funcgd.losses.squared import l2_loss, mean_squared_error, squared_error, sum_of_squares
from funcgd.losses.zero_one import zero_one_loss

__all__ = [
    "cross_entropy",
    "entropy",
    "hinge_loss",
    "l2_loss",
    "mean_squared_error",
    "perceptron_loss",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "squared_error",
    "sum_of_squares",
    "zero_one_loss",
]
