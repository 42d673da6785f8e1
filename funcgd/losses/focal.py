"""Cross-entropies that weigh examples by how far they are from being right."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import class_axes, classes_last, included_classes, number, probabilities, same_shape, wide
from funcgd.losses.cross_entropy import sigmoid_binary_cross_entropy
from funcgd.losses.softmax import log_softmax, weighted


def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> jax.Array:
    """The binary cross-entropy with little weight on what is right already, for many easy and few hard examples.

        α_y·(1 − p_y)^γ·CE(a, y),   p_y = y·σ(a) + (1 − y)(1 − σ(a)),   α_y = α·y + (1 − α)(1 − y)

    Accurate at any logit: 1 − p_y is never formed as a difference.

    Args:
        logits: a, any shape.
        labels: y in [0, 1], the same shape.
        alpha: α in [0, 1], the weight of the class 1 against that of the class 0; None is no weights.
        gamma: γ ≥ 0; 0 is the cross-entropy itself.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a label, α or γ is out of range.

    Reference: Lin et al., Focal loss for dense object detection, ICCV 2017.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.sigmoid_focal_loss(jnp.array([0.0, 4.0]), jnp.ones(2)).tolist()  # doctest: +NUMBER
    [0.17329, 5.8716e-06]
    """
    who = "sigmoid_focal_loss"
    same_shape(who, "labels", labels, "logits", logits)
    a, y = wide(who, logits=logits, labels=labels)
    probabilities(who, labels)
    gamma = number(who, "gamma", gamma, a.dtype, 0)
    wrong = y * jax.nn.sigmoid(-a) + (1 - y) * jax.nn.sigmoid(a)
    # The floor keeps the derivative of the power finite, where the cross-entropy has long become 0.
    loss = jnp.maximum(wrong, float(jnp.finfo(a.dtype).tiny)) ** gamma * sigmoid_binary_cross_entropy(a, y)
    if alpha is None:
        return loss
    alpha = number(who, "alpha", alpha, a.dtype, 0, 1)
    return (alpha * y + (1 - alpha) * (1 - y)) * loss


def poly_loss_cross_entropy(
    logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """The cross-entropy of the softmax with another first coefficient in its series in 1 − p.

        CE + ε·Σⱼ yⱼ(1 − ŷⱼ),   ŷ = softmax(a)     CE = Σₖ (1 − ŷ_y)ᵏ/k for one-hot labels

    Args:
        logits, labels, axis, where: see `softmax_cross_entropy`.
        epsilon: ε ≥ −1, the change of that coefficient; 0 is the cross-entropy itself.

    Reference: Leng et al., PolyLoss: a polynomial expansion perspective of classification loss functions, ICLR 2022.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.poly_loss_cross_entropy(jnp.zeros(4), jnp.array([0.0, 1.0, 0.0, 0.0])))  # log 4 + 2·¾
    2.88629
    """
    who = "poly_loss_cross_entropy"
    same_shape(who, "labels", labels, "logits", logits)
    a, y = wide(who, logits=logits, labels=labels)
    probabilities(who, labels)
    epsilon = number(who, "epsilon", epsilon, a.dtype, -1)
    axes = class_axes(who, axis, a.shape)
    included = included_classes(who, where, a.shape, axes)
    cost = jnp.where(included, -log_softmax(classes_last(a, axes), included), 0)  # −log ŷ
    terms = weighted(classes_last(y, axes), cost) - epsilon * classes_last(y, axes) * jnp.expm1(-cost)
    return jnp.sum(jnp.where(included, terms, 0), axis=-1)
