"""Squared errors, of each entry and in the mean."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.losses.check import difference


def squared_error(predictions: Any, targets: Any = None) -> jax.Array:
    """The squared error of each entry.

        (ŷ − y)²     of complex numbers |ŷ − y|²;   gradient 2(ŷ − y)

    Args:
        predictions: ŷ, any shape.
        targets: y, the same shape; None is zero.

    Returns:
        The errors, of the same shape, in at least float32.

    Raises:
        ValueError: if the shapes differ: nothing is broadcast.

    Reference: Gauss, Theoria motus corporum coelestium, 1809.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.squared_error(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])).tolist()
    [1.0, 4.0]
    """
    return _squared("squared_error", predictions, targets)


def l2_loss(predictions: Any, targets: Any = None) -> jax.Array:
    """Half the squared error of each entry, whose gradient is the error itself.

        ½(ŷ − y)²     gradient ŷ − y

    Args:
        predictions, targets: see `squared_error`.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 1.1.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> fg.l2_loss(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])).tolist()
    [0.5, 2.0]
    >>> float(jax.grad(fg.l2_loss)(3.0, 1.0))
    2.0
    """
    return 0.5 * _squared("l2_loss", predictions, targets)


def mean_squared_error(predictions: Any, targets: Any) -> jax.Array:
    """The mean of the squared errors over all entries, one number.

        (1/n) Σ (ŷ − y)²     over all n entries of all examples

    So k outputs of each of N examples count alike, n = Nk; for one error per example take
    `squared_error(…).mean(axis=-1)`.

    Args:
        predictions: ŷ, any shape with at least one entry.
        targets: y, the same shape.

    Raises:
        ValueError: if the shapes differ, or there is no entry.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 1.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])))
    2.5
    """
    errors = _squared("mean_squared_error", predictions, targets)
    _not_empty("mean_squared_error", errors)
    return jnp.mean(errors)


def sum_of_squares(predictions: Any, targets: Any) -> jax.Array:
    """Half the sum of the squared errors of an example, in the mean over the examples: one number.

        (1/2N) Σ (y − ŷ)²     gradient (ŷ − y)/N

    Args:
        predictions: ŷ, shape (N, …) of N ≥ 1 examples, or () of one.
        targets: y, the same shape.

    Raises:
        ValueError: if the shapes differ, or there is no example.

    Reference: Bishop, Pattern recognition and machine learning, 2006, section 5.2; with 1/N as in Nielsen, Neural
    networks and deep learning, 2015, chapter 1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.sum_of_squares(jnp.array([[1.0, 1.0], [2.0, 0.0]]), jnp.zeros((2, 2))))
    1.5
    """
    errors = _squared("sum_of_squares", predictions, targets)
    _not_empty("sum_of_squares", errors)
    return jnp.sum(errors) / (2 * (errors.shape[0] if errors.ndim else 1))


def _squared(who: str, predictions: Any, targets: Any) -> jax.Array:
    error = difference(who, predictions, targets, allow_complex=True)
    return error.real**2 + error.imag**2 if jnp.iscomplexobj(error) else error**2


def _not_empty(who: str, errors: jax.Array) -> None:
    if not errors.size:
        raise ValueError(f"{who}: `predictions` must have at least one entry, got shape {errors.shape}.")
