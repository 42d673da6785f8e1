"""The logarithm of the softmax, with all its digits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def weighted(weight: jax.Array, x: jax.Array) -> jax.Array:
    """weight · x with 0 · ∞ = 0, also in its derivatives."""
    return weight * jnp.where((weight == 0) & jnp.isinf(x), 0, x)


def log_softmax(a: jax.Array, included: Any = None) -> tuple[jax.Array, jax.Array]:
    """(r, l) with log softmax(a) = r − l over the last axis, where r = a − max a and l = log Σ e^r, shape (…, 1).

    The term of the largest logit is 1 exactly, so l = log1p(Σ of the others): where one class is almost certain, its
    loss and its gradient are small numbers with all their digits. What is not included has r = −∞.
    """
    included = np.ones(1, bool) if included is None else included
    a = jnp.where(included, a, -jnp.inf)
    a = jnp.where(jnp.any(included, axis=-1, keepdims=True), a, 0)  # an example without classes: any finite number
    certain = a == jnp.inf
    a = jnp.where(jnp.any(certain, axis=-1, keepdims=True), jnp.where(certain, 0, -jnp.inf), a)
    largest = jnp.arange(a.shape[-1]) == jnp.argmax(a, axis=-1, keepdims=True)
    r = a - jnp.sum(jnp.where(largest, a, 0), axis=-1, keepdims=True)
    r = jnp.where(largest, jax.lax.stop_gradient(r), r)  # a − a, whose derivative is 0: left in, it would cost digits
    others = jnp.sum(jnp.where(largest, 0, jnp.exp(r)), axis=-1, keepdims=True)
    return r, jnp.log1p(others)
