"""Gradients of every loss and model against difference quotients in float64."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(3 * RNG.standard_normal((4, 3)), jnp.float32)
TARGETS = jnp.asarray(RNG.standard_normal((4, 3)), jnp.float32)
SHARES = jax.nn.softmax(TARGETS)
CLASSES = jnp.array([0, 2, 1, 2])
WHERE = jnp.array([[True, True, False], [True, False, True], [True, True, True], [False, True, True]])

LOSSES = {
    "squared_error": lambda x: fg.squared_error(x, TARGETS).sum(),
    "l2_loss": lambda x: fg.l2_loss(x, TARGETS).sum(),
    "mean_squared_error": lambda x: fg.mean_squared_error(x, TARGETS),
    "sum_of_squares": lambda x: fg.sum_of_squares(x, TARGETS),
    "sigmoid_binary_cross_entropy": lambda x: fg.sigmoid_binary_cross_entropy(x, SHARES).sum(),
    "softmax_cross_entropy": lambda x: fg.softmax_cross_entropy(x, SHARES).sum(),
    "softmax_cross_entropy, where": lambda x: fg.softmax_cross_entropy(x, SHARES, where=WHERE).sum(),
    "softmax_cross_entropy_with_integer_labels": lambda x: fg.softmax_cross_entropy_with_integer_labels(
        x, CLASSES
    ).sum(),
    "safe_softmax_cross_entropy": lambda x: fg.safe_softmax_cross_entropy(x, SHARES.at[:, 1].set(0)).sum(),
    "cross_entropy": lambda x: fg.cross_entropy(jax.nn.softmax(x), SHARES).sum(),
    "entropy": lambda x: fg.entropy(jax.nn.softmax(x / 10)).sum(),
    "perceptron_loss": lambda x: fg.perceptron_loss(x, jnp.sign(TARGETS)).sum(),
    "hinge_loss": lambda x: fg.hinge_loss(x, jnp.sign(TARGETS)).sum(),
    "zero_one_loss": lambda x: fg.zero_one_loss(x, TARGETS).sum(),
}

MODELS = {
    "linear": fg.linear(3, 2),
    "logistic": fg.logistic(3, 4),
    "multilayer": fg.multilayer_perceptron([3, 5, 4, 2], ["tanh", "softplus", "sigmoid"]),
    "softmax layer": fg.multilayer_perceptron([3, 4, 3], ["gelu", "softmax"]),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 20.0], ids=["moderate", "extreme"])
def test_losses(name, scale):
    report = fg.check_gradient(LOSSES[name], scale * LOGITS)
    assert report.worst_error < 1e-6


def test_every_loss_is_checked():
    """Here, or in the catalogue of losses; some by what they make, or what they are the last step of."""
    here = {name.split(",")[0] for name in LOSSES}
    catalogue = (Path(__file__).parents[1] / "losses" / "test_catalogue.py").read_text()
    there = set(re.findall(r'^    "(\w+)[^"]*": \(', catalogue, re.MULTILINE))
    assert not here & there
    assert set(fg.losses.__all__) - here - there == {
        "ctc_loss_with_forward_probs",
        "make_fenchel_young_loss",
        "smooth_labels",
    }


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model = MODELS[name]
    params = jax.tree.map(lambda p: p + 0.1, model.init(jax.random.key(0)))
    report = fg.check_gradient(lambda p: jnp.sum(model.apply(p, TARGETS) ** 2), params)
    assert report.worst_error < 1e-6
