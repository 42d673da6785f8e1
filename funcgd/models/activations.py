"""Activations: functions of z that keep its shape, and the names of the usual ones."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import describe


def identity(z: jax.Array) -> jax.Array:
    """z itself: a linear layer."""
    return z


def step(z: jax.Array) -> jax.Array:
    """1 where z > 0, else 0: the unit of the perceptron. Its derivative is 0 everywhere, so no gradient trains it."""
    return jnp.where(z > 0, jnp.ones_like(z), jnp.zeros_like(z))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "identity": identity,
    "leaky_relu": jax.nn.leaky_relu,
    "log_sigmoid": jax.nn.log_sigmoid,
    "log_softmax": jax.nn.log_softmax,
    "mish": jax.nn.mish,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "soft_sign": jax.nn.soft_sign,
    "softmax": jax.nn.softmax,
    "softplus": jax.nn.softplus,
    "step": step,
    "tanh": jnp.tanh,
}


def as_activation(activation: Any) -> Any:
    """The name of an activation, where it has one (None is "identity"), or the function itself.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if it is neither.
    """
    if activation is None:
        return "identity"
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"expected one of {', '.join(map(repr, ACTIVATIONS))}, or a function; got {activation!r}.")
        return activation
    if not callable(activation):
        raise TypeError(f"expected a name, a function or None, got {describe(activation)}.")
    return next((name for name, function in ACTIVATIONS.items() if function is activation), activation)


def as_activations(activations: Any) -> Any:
    """One activation, or a tuple of them."""
    if isinstance(activations, (list, tuple)):
        return tuple(map(as_activation, activations))
    return as_activation(activations)


def resolve_activation(activation: str | Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """The function behind a name."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation
