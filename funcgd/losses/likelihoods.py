"""Negative log-likelihoods of counts and of numbers with a predicted spread."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import first_bad, known, same_shape, wide
from funcgd.losses.softmax import weighted


def poisson_nll_loss(log_rates: Any, targets: Any, *, full: bool = False) -> jax.Array:
    """The negative log-likelihood of counts that are Poisson distributed, in nats.

        eᵃ − y·a  (+ log y! if `full`)     gradient eᵃ − y

    Args:
        log_rates: a, the logarithm of the expected count, any shape.
        targets: y ≥ 0, counts, the same shape.
        full: whether to add log y!, which no prediction changes. Without it the loss may be negative.

    Returns:
        The losses, of the same shape, in at least float32. Where eᵃ overflows (a > 88 in float32) they are ∞.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a target, known while tracing, is negative.

    Reference: McCullagh, Nelder, Generalized linear models, 2nd edition, 1989, chapter 6.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.poisson_nll_loss(jnp.log(jnp.array([1.0, 3.0])), jnp.array([0, 3]), full=True).tolist()  # doctest: +NUMBER
    [1.0, 1.49592]
    """
    who = "poisson_nll_loss"
    same_shape(who, "targets", targets, "log_rates", log_rates)
    a, y = wide(who, log_rates=log_rates, targets=targets)
    if known(targets):
        counts = np.asarray(targets)
        first_bad(who, counts, counts < 0, "[0, ∞)", "targets")
    loss = jnp.exp(a) - weighted(y, a)
    return loss + jax.scipy.special.gammaln(y + 1) if full else loss


def gaussian_nll_loss(predictions: Any, targets: Any, log_variances: Any, *, full: bool = False) -> jax.Array:
    """The negative log-likelihood of numbers that are normally distributed around a prediction, in nats.

        ½((ŷ − y)²e⁻ˢ + s)  (+ ½ log 2π if `full`),   s = log σ²     gradients (ŷ − y)e⁻ˢ and ½(1 − (ŷ − y)²e⁻ˢ)

    A model that predicts s as well learns how far to trust itself: it is best where e^s is the mean squared error.

    Args:
        predictions: ŷ, any shape.
        targets: y, the same shape.
        log_variances: s, the same shape; as a logarithm, so that any output of a model is a variance.
        full: whether to add the constant. The loss may be negative either way: it is that of a density.

    Returns:
        The losses, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ: nothing is broadcast.

    Reference: Nix, Weigend, Estimating the mean and variance of the target probability distribution, IEEE
    International Conference on Neural Networks, 1994.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> y, s = jnp.array([1.0, 3.0]), jnp.log(jnp.array([1.0, 4.0]))
    >>> fg.gaussian_nll_loss(jnp.array([1.0, 1.0]), y, s).tolist()  # doctest: +NUMBER
    [0.0, 1.19315]
    """
    who = "gaussian_nll_loss"
    same_shape(who, "targets", targets, "predictions", predictions)
    same_shape(who, "log_variances", log_variances, "predictions", predictions)
    y, t, s = wide(who, predictions=predictions, targets=targets, log_variances=log_variances)
    error = y - t  # where it is 0, so is its square, at any variance
    loss = 0.5 * ((error * jnp.exp(-0.5 * jnp.where(error == 0, 0, s))) ** 2 + s)
    return loss + 0.5 * np.log(2 * np.pi) if full else loss
