"""Losses of an error that grow slower than its square, so that outliers weigh less; and the loss of a quantile."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import difference, number


def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> jax.Array:
    """Squared for small errors, linear for large ones: no example pulls harder than δ.

        ½e²  where |e| < δ,  else δ(|e| − ½δ),   e = ŷ − y     gradient e, limited to [−δ, δ]

    Args:
        predictions: ŷ, any shape.
        targets: y, the same shape; None is zero.
        delta: δ > 0, one number in the unit of the targets.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or δ is not a positive number.

    Reference: Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.huber_loss(jnp.array([0.5, -1.0, 10.0])).tolist()
    [0.125, 0.5, 9.5]
    """
    error = difference("huber_loss", predictions, targets)
    delta = number("huber_loss", "delta", delta, error.dtype, 0, above=True)
    size = jnp.abs(error)
    inside = size < delta
    return jnp.where(inside, 0.5 * jnp.where(inside, error, 0) ** 2, delta * (size - 0.5 * delta))


def log_cosh(predictions: Any, targets: Any = None) -> jax.Array:
    """The logarithm of the hyperbolic cosine of each error: a Huber loss without a seam.

        log cosh e,   e = ŷ − y     about ½e² for small, |e| − log 2 for large errors;   gradient tanh e

    Neither overflows nor loses digits at any error.

    Args:
        predictions: ŷ, any shape.
        targets: y, the same shape; None is zero.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ: nothing is broadcast.

    Reference: Green, Bayesian reconstructions from emission tomography data using a modified EM algorithm, IEEE
    Transactions on Medical Imaging 9, 1990.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.log_cosh(jnp.array([1e-3, 1.0, 1e4])).tolist()  # doctest: +NUMBER
    [5.0e-07, 0.43378, 9999.307]
    """
    return _log_cosh(difference("log_cosh", predictions, targets))


@jax.custom_jvp
def _log_cosh(e: jax.Array) -> jax.Array:
    """With t = e^−|e| − 1: cosh e = 1 + t²/(2(1 + t)), where 1 + e⁻²ᵉ would round the square of a small error away."""
    size = jnp.abs(e)
    t, near = jnp.expm1(-size), size < 1
    return jnp.where(near, 0, size) + jnp.log1p(jnp.where(near, t * t / (2 * (1 + t)), t * (2 + t) / 2))


_log_cosh.defjvps(lambda de, _, e: jnp.tanh(e) * de)


def quantile_loss(predictions: Any, targets: Any, quantile: Any = 0.5) -> jax.Array:
    """The loss that is smallest, in the mean, where a fraction τ of the targets lies below the prediction.

        τ·e  where e ≥ 0,  else (τ − 1)·e,   e = y − ŷ     gradient −τ where e ≥ 0, else 1 − τ

    Also called pinball loss. For τ = ½ it is half the absolute error, and the median is best.

    Args:
        predictions: ŷ, any shape.
        targets: y, the same shape.
        quantile: τ in [0, 1], one number. For several, vmap: one column of predictions for each.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or τ is not in [0, 1].

    Reference: Koenker, Bassett, Regression quantiles, Econometrica 46, 1978.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> fg.quantile_loss(jnp.zeros(2), jnp.array([1.0, -1.0]), 0.75).tolist()  # too low costs three times as much
    [0.75, 0.25]
    >>> y, levels = jnp.arange(4.0), jnp.array([0.25, 0.75])
    >>> jax.vmap(fg.quantile_loss, in_axes=(1, None, 0), out_axes=1)(jnp.zeros((4, 2)), y, levels).shape
    (4, 2)
    """
    over = difference("quantile_loss", predictions, targets)
    level = number("quantile_loss", "quantile", quantile, over.dtype, 0, 1)
    return jnp.where(over > 0, (1 - level) * over, level * (0 - over))  # 0 − over, because −over would be −0
