"""Dice losses: how little two regions overlap, for segmentation, where most of an image is background."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.losses.check import class_axes, number, probabilities, same_shape, wide
from funcgd.losses.softmax import log_softmax


def dice_loss(
    predictions: Any,
    targets: Any,
    *,
    class_weights: Any = None,
    smooth: Any = 1.0,
    alpha: Any = 0.5,
    beta: Any = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: int | Sequence[int] | None = None,
) -> jax.Array:
    """1 minus the overlap of the predicted and the true region of each class, in the mean over the classes.

        1 − (TP + s)/(TP + α·FP + β·FN + s),   TP = Σᵢ pᵢtᵢ,  FP = Σᵢ pᵢ(1 − tᵢ),  FN = Σᵢ (1 − pᵢ)tᵢ

    With α = β = ½ it is the Dice loss, with others the Tversky loss. Small losses keep their digits.

    Args:
        predictions: logits, shape (N, …, classes); one class has a sigmoid in place of a softmax.
        targets: t in [0, 1], the same shape, one-hot.
        class_weights: shape (classes,), factors of the losses of the classes.
        smooth: s ≥ 0, in pixels. With 0, a class that is neither there nor predicted has the loss 0.
        alpha, beta: ≥ 0, the costs of what is wrongly in and wrongly out of the region.
        apply_softmax: False where the predictions are probabilities.
        reduction: over the classes: "mean", "sum", or "none".
        ignore_background: whether to leave out class 0.
        axis: the axis, or axes, of the pixels i; None is all but the first and the last.

    Returns:
        The losses, of the shape without `axis`, and without the classes where they are reduced; in at least float32.

    Raises:
        ValueError: if shapes do not match (nothing is broadcast), or an argument is out of range.

    Reference: Milletari, Navab, Ahmadi, V-Net, 3DV 2016; Salehi, Erdogmus, Gholipour, Tversky loss function for image
    segmentation using 3D fully convolutional deep networks, MLMI 2017.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> p, t = jnp.array([[[0.5], [1.0], [0.0]]]), jnp.array([[[1.0], [1.0], [0.0]]])
    >>> fg.dice_loss(p, t, smooth=0.0, apply_softmax=False).tolist()  # doctest: +NUMBER
    [0.142857]
    """
    who = "dice_loss"
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{who}: `reduction` must be "mean", "sum" or "none", got {reduction!r}.')
    p, q, t = _regions(who, predictions, targets, apply_softmax, ignore_background)
    axes = tuple(range(1, t.ndim - 1)) if axis is None else class_axes(who, axis, t.shape, "predictions")
    if t.ndim - 1 in axes:
        raise ValueError(f"{who}: `axis` must leave out the classes, which are last, got {axis!r}.")
    smooth, alpha, beta = (
        number(who, name, x, t.dtype, 0) for name, x in (("smooth", smooth), ("alpha", alpha), ("beta", beta))
    )
    wrong = jnp.sum(alpha * p * (1 - t) + beta * q * t, axis=axes)
    losses = numerics.divide(wrong, wrong + jnp.sum(p * t, axis=axes) + smooth)
    if class_weights is not None:
        (weights,) = wide(who, class_weights=class_weights)
        if weights.shape != jnp.shape(predictions)[-1:]:
            wanted = jnp.shape(predictions)[-1:]
            raise ValueError(
                f"{who}: `class_weights` must have the shape {wanted} of the classes, got {weights.shape}."
            )
        losses = losses * weights[int(ignore_background) :].astype(losses.dtype)
    return losses if reduction == "none" else getattr(jnp, reduction)(losses, axis=-1)


def binary_dice_loss(predictions: Any, targets: Any, *, smooth: Any = 1.0, apply_sigmoid: bool = True) -> jax.Array:
    """`dice_loss` of one class, for each example.

        1 − (2Σᵢ pᵢtᵢ + 2s)/(Σᵢ pᵢ + Σᵢ tᵢ + 2s),   p = σ(a)

    Args:
        predictions: logits a, shape (N, …); the pixels are all axes but the first.
        targets: t in [0, 1], the same shape.
        smooth: see `dice_loss`.
        apply_sigmoid: False where the predictions are probabilities.

    Returns:
        (N,), in at least float32.

    Reference: see `dice_loss`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.binary_dice_loss(jnp.array([[9.0, -9.0], [-9.0, 9.0]]), jnp.array([[1, 0], [1, 0]]), smooth=0.0).tolist()
    [0.0, 1.0]
    """
    who = "binary_dice_loss"
    same_shape(who, "targets", targets, "predictions", predictions)
    if not jnp.ndim(predictions):
        raise ValueError(f"{who}: `predictions` must have an axis of examples, got a scalar.")
    p, q, t = _regions(who, jnp.asarray(predictions)[..., None], jnp.asarray(targets)[..., None], apply_sigmoid, False)
    smooth, axes = number(who, "smooth", smooth, t.dtype, 0), tuple(range(1, t.ndim))
    wrong = 0.5 * jnp.sum(p * (1 - t) + q * t, axis=axes)
    return numerics.divide(wrong, wrong + jnp.sum(p * t, axis=axes) + smooth)


def multiclass_generalized_dice_loss(
    predictions: Any, targets: Any, *, smooth: Any = 1.0, apply_softmax: bool = True, ignore_background: bool = False
) -> jax.Array:
    """The Dice loss of all classes together, rare ones weighing as much as common ones; the mean over the examples.

        1 − (2Σ_c w_c Σᵢ pᵢtᵢ + s)/(Σ_c w_c Σᵢ (pᵢ + tᵢ) + s),   w_c = 1/(Σᵢ tᵢ)²

    A class that is not there has the weight of one with a single pixel.

    Args:
        predictions, targets, apply_softmax, ignore_background: see `dice_loss`.
        smooth: s ≥ 0, in weighted pixels.

    Returns:
        (), in at least float32.

    Reference: Sudre et al., Generalised Dice overlap as a deep learning loss function for highly unbalanced
    segmentations, DLMIA 2017.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> t = jnp.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    >>> float(fg.multiclass_generalized_dice_loss(t[:, ::-1], t, smooth=0.0, apply_softmax=False))
    0.833333
    """
    who = "multiclass_generalized_dice_loss"
    p, q, t = _regions(who, predictions, targets, apply_softmax, ignore_background)
    smooth, axes = number(who, "smooth", smooth, t.dtype, 0), tuple(range(1, t.ndim - 1))
    weights = 1 / jnp.maximum(jnp.sum(t, axis=axes), 1) ** 2
    wrong = jnp.sum(weights * jnp.sum(p * (1 - t) + q * t, axis=axes), axis=-1)
    right = jnp.sum(weights * jnp.sum(p * t, axis=axes), axis=-1)
    return jnp.mean(numerics.divide(wrong, wrong + 2 * right + smooth))


def _regions(who: str, predictions: Any, targets: Any, apply: bool, ignore: bool) -> tuple[jax.Array, ...]:
    """(p, 1 − p, t), both of the first two with all their digits where p comes from logits."""
    same_shape(who, "targets", targets, "predictions", predictions)
    x, t = wide(who, predictions=predictions, targets=targets)
    if x.ndim < 2 or not x.shape[-1] or not x.shape[0]:
        raise ValueError(f"{who}: `predictions` must have the shape (examples, …, classes), got {x.shape}.")
    probabilities(who, targets, "targets")
    if not apply:
        probabilities(who, predictions, "predictions")
        p, q = x, 1 - x
    elif x.shape[-1] == 1:
        p, q = jax.nn.sigmoid(x), jax.nn.sigmoid(-x)
    else:
        log_p = log_softmax(x)
        p, q = jnp.exp(log_p), -jnp.expm1(log_p)
    return tuple(y[..., int(ignore) :] for y in (p, q, t))
