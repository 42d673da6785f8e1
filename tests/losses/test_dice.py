"""Dice losses against counts of pixels."""

import jax
import numpy as np

import funcgd as fg

RNG = np.random.default_rng(6)
A = RNG.standard_normal((2, 3, 4, 5))
T = np.eye(5)[RNG.integers(0, 4, (2, 3, 4))]  # class 4 is nowhere
P = np.exp(A) / np.exp(A).sum(-1, keepdims=True)


def counts(p, t, axis=(1, 2)):
    return (p * t).sum(axis), (p * (1 - t)).sum(axis), ((1 - p) * t).sum(axis)


def test_formula_and_options():
    a, t = np.float32(A), np.float32(T)
    right, extra, missing = counts(P, T)
    each = 1 - (right + 2) / (right + 0.3 * extra + 0.9 * missing + 2)
    options = {"smooth": 2, "alpha": 0.3, "beta": 0.9}
    np.testing.assert_allclose(fg.dice_loss(a, t, **options), each.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(fg.dice_loss(a, t, **options, reduction="none"), each, rtol=1e-5)
    np.testing.assert_allclose(fg.dice_loss(a, t, **options, reduction="sum"), each.sum(-1), rtol=1e-5)
    probabilities = fg.dice_loss(np.float32(P), t, **options, apply_softmax=False)
    np.testing.assert_allclose(probabilities, each.mean(-1), rtol=1e-5)
    weighed = fg.dice_loss(a, t, **options, class_weights=[1, 2, 3, 4, 5], ignore_background=True)
    np.testing.assert_allclose(weighed, (each * [1, 2, 3, 4, 5])[:, 1:].mean(-1), rtol=1e-5)
    right, extra, missing = counts(P, T, (0, 1, 2))
    whole = 1 - (right + 1) / (right + (extra + missing) / 2 + 1)
    np.testing.assert_allclose(fg.dice_loss(a, t, axis=(0, 1, 2), reduction="none"), whole, rtol=1e-5)


def test_one_class():
    a, t = A[..., 0], T[..., 0]
    right, extra, missing = counts(1 / (1 + np.exp(-a)), t)
    expected = 1 - (right + 1) / (right + (extra + missing) / 2 + 1)
    np.testing.assert_allclose(fg.binary_dice_loss(np.float32(a), np.float32(t)), expected, rtol=1e-5)
    found = fg.dice_loss(np.float32(a)[..., None], np.float32(t)[..., None])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    nowhere = fg.binary_dice_loss(np.zeros((1, 3), np.float32), np.zeros((1, 3)), smooth=0, apply_sigmoid=False)
    assert nowhere.tolist() == [0]
    sure = np.float32([[20, -20, -20]])  # 1 minus the overlap would be 0 here
    np.testing.assert_allclose(fg.binary_dice_loss(sure, sure > 0, smooth=0), 1.5 * np.exp(-20), rtol=1e-5)


def test_generalized():
    weights = 1 / np.maximum(T.sum((1, 2)), 1) ** 2
    overlap, total = (P * T).sum((1, 2)), (P + T).sum((1, 2))
    expected = 1 - (2 * (weights * overlap).sum(-1) + 0.5) / ((weights * total).sum(-1) + 0.5)
    found, slope = jax.value_and_grad(fg.multiclass_generalized_dice_loss)(np.float32(A), np.float32(T), smooth=0.5)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-5)
    assert np.all(np.isfinite(slope))
