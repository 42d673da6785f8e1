"""Losses of optax's names have its numbers, where it has numbers; docs/migrating.md lists where ours differ."""

import inspect

import jax
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal((3, 4)).astype(np.float32) for _ in range(3))
P = RNG.dirichlet(np.ones(4), 3).astype(np.float32)
WHERE = np.array([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
BITS, SIGNS, CLASSES, COUNTS = (B > 0).astype(np.float32), np.sign(B), np.array([0, 3, 1]), np.floor(3 * np.abs(B))
IMAGES = RNG.standard_normal((2, 3, 3, 4)).astype(np.float32)
REGIONS = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (2, 3, 3))]
PAIR, LOG_P = (A, B), np.log(P)
CTC = (IMAGES[:, 0], np.float32([[0, 0, 0], [0, 0, 1]]), np.array([[1, 2], [3, 3]]), np.float32([[0, 0], [0, 1]]))
CALLS = {  # name: arguments, options
    "binary_dice_loss": [((IMAGES[..., 0], REGIONS[..., 0]), {"smooth": 0.5})],
    "convex_kl_divergence": [((B, P), {"where": WHERE})],
    "cosine_distance": [(PAIR, {"epsilon": 2.0})],
    "cosine_similarity": [(PAIR, {}), (PAIR, {"epsilon": 2.0, "axis": 0})],
    "ctc_loss": [(CTC, {})],
    "dice_loss": [
        ((IMAGES, REGIONS), {"alpha": 0.3, "smooth": 2.0, "class_weights": np.float32([1, 2, 3, 4])}),
        ((IMAGES, REGIONS), {"ignore_background": True, "reduction": "none", "axis": (0, 1, 2)}),
    ],
    "generalized_kl_divergence": [((B, P), {})],
    "hinge_loss": [((A, SIGNS), {})],
    "huber_loss": [(PAIR, {"delta": 0.7}), ((A,), {})],
    "kl_divergence": [((B, P), {"axis": 0}), ((B, P), {"where": WHERE})],
    "kl_divergence_with_log_targets": [((B, LOG_P), {})],
    "l2_loss": [(PAIR, {})],
    "log_cosh": [(PAIR, {}), ((A,), {})],
    "multiclass_hinge_loss": [((A, CLASSES), {})],
    "multiclass_perceptron_loss": [((A, CLASSES), {})],
    "multiclass_sparsemax_loss": [((A, CLASSES), {})],
    "ntxent": [((np.concatenate([A, B]), np.array([0, 0, 1, 1, 1, 2]), 0.4), {})],
    "perceptron_loss": [((A, SIGNS), {})],
    "poly_loss_cross_entropy": [((A, P), {"epsilon": 1.5}), ((A, BITS), {"where": WHERE})],
    "ranking_softmax_loss": [((A, COUNTS), {"where": WHERE, "weights": P}), ((A, COUNTS), {"reduce_fn": None})],
    "safe_softmax_cross_entropy": [((A, P), {})],
    "sigmoid_binary_cross_entropy": [((A, P), {})],
    "sigmoid_focal_loss": [((A, P), {"alpha": 0.3}), ((A, BITS), {"gamma": 1.0})],
    "smooth_labels": [((P, 0.2), {}), ((P, 0.2), {"axis": 0})],
    "softmax_cross_entropy": [((A, P), {"axis": 0})],
    "softmax_cross_entropy_with_integer_labels": [((A, CLASSES), {})],
    "sparsemax_loss": [((A, BITS.astype(np.int32)), {})],
    "squared_error": [(PAIR, {})],
    "triplet_margin_loss": [((A, B, C), {"margin": 0.3, "eps": 0.1})],
}
OTHERS = {"ctc_loss_with_forward_probs", "make_fenchel_young_loss", "multiclass_generalized_dice_loss"}


@pytest.mark.filterwarnings("ignore:The function convex_kl_divergence is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", CALLS)
def test_same_losses_same_numbers(name):
    for arguments, options in CALLS[name]:
        ours, theirs = (getattr(library, name)(*arguments, **options) for library in (fg, optax.losses))
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_same_forward_probabilities_and_fenchel_young_losses():
    ours, theirs = (library.ctc_loss_with_forward_probs(*CTC) for library in (fg, optax.losses))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    for x, y in zip(ours[1:], theirs[1:], strict=True):
        possible = y[:-1] > -1e4  # theirs has a finite stand-in for log 0, and adds the labels to the last blanks
        np.testing.assert_allclose(np.where(possible, x[:-1], 0), np.where(possible, y[:-1], 0), rtol=1e-5)
    ours, theirs = (library.make_fenchel_young_loss(jax.nn.logsumexp)(A, P) for library in (fg, optax.losses))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_every_loss_of_theirs_is_one_of_ours_with_the_same_arguments():
    names = {n for n, f in vars(optax.losses).items() if inspect.isfunction(f) and not n.startswith("_")}
    assert names <= {*CALLS, *OTHERS}
    for name in names:
        ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (fg, optax.losses))
        assert list(ours) == list(theirs), name
        defaults = {n for n in ours if not callable(ours[n].default) and ours[n].default != theirs[n].default}
        assert defaults <= {"log_epsilon"}, name
