"""Models: init(key) → params, apply(params, x) → prediction."""

from funcgd.models.linear import linear
from funcgd.models.logistic import logistic
from funcgd.models.model import Model
from funcgd.models.multilayer import multilayer_perceptron

__all__ = ["Model", "linear", "logistic", "multilayer_perceptron"]
