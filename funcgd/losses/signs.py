"""Losses of a sign: how far an output is on the wrong side of 0, for labels −1 and 1."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import first_bad, known, same_shape, wide


def perceptron_loss(predictor_outputs: Any, targets: Any) -> jax.Array:
    """The loss whose gradient descent is the learning rule of the perceptron.

        max(0, −y·a)     gradient −y where y·a ≤ 0, else 0

    The gradient at the kink a = 0 is that of a mistake, so that learning can start from zero weights.

    Args:
        predictor_outputs: a = wᵀx, any shape; the predicted class is the sign of a.
        targets: y, −1 or 1, the same shape.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a target, known while tracing, is not −1 or 1.

    Reference: Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the brain,
    Psychological Review 65, 1958.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> fg.perceptron_loss(jnp.array([2.0, -2.0]), jnp.array([1, 1])).tolist()
    [0.0, 2.0]
    >>> float(jax.grad(fg.perceptron_loss)(0.0, 1))
    -1.0
    """
    margin = _margin("perceptron_loss", predictor_outputs, targets)
    return jnp.where(margin > 0, 0, 0 - margin)  # 0 − margin, because −margin would be −0


def hinge_loss(predictor_outputs: Any, targets: Any) -> jax.Array:
    """The loss of support vector machines, which asks for a margin of 1.

        max(0, 1 − y·a)     gradient −y where y·a < 1, else 0

    Args:
        predictor_outputs, targets: see `perceptron_loss`.

    Reference: Cortes, Vapnik, Support-vector networks, Machine Learning 20, 1995.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hinge_loss(jnp.array([2.0, 0.5, -2.0]), jnp.array([1, 1, 1])).tolist()
    [0.0, 0.5, 3.0]
    """
    margin = _margin("hinge_loss", predictor_outputs, targets)
    return jnp.where(margin >= 1, 0, 1 - margin)  # NaN stays


def _margin(who: str, a: Any, y: Any) -> jax.Array:
    same_shape(who, "targets", y, "predictor_outputs", a)
    outputs, targets = wide(who, predictor_outputs=a, targets=y)
    if known(y):
        labels = np.asarray(y)
        first_bad(who, labels, abs(labels.astype(np.float64)) != 1, "{-1, 1}", "targets")
    return outputs * targets
