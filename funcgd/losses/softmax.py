"""The logarithm of the softmax, with all its digits."""

from typing import Any

import jax
import jax.numpy as jnp


def weighted(weight: jax.Array, x: jax.Array) -> jax.Array:
    """weight · x with 0 · ∞ = 0, also in its derivatives."""
    return weight * jnp.where((weight == 0) & jnp.isinf(x), 0, x)


def relative_to_largest(a: jax.Array, included: Any = None) -> jax.Array:
    """r = a − max a over the last axis, whose softmax is that of a. What is not included has r = −∞.

    A logit of +∞ is certain: r is 0 there, and −∞ elsewhere. An example without classes has r = 0.
    """
    if included is not None:
        a = jnp.where(included, a, -jnp.inf)
        a = jnp.where(jnp.any(included, axis=-1, keepdims=True), a, 0)
    largest = jax.lax.stop_gradient(jnp.max(a, axis=-1, keepdims=True))
    certain = largest == jnp.inf
    return jnp.where(certain, jnp.where(a == jnp.inf, 0, -jnp.inf), a - jnp.where(certain, 0, largest))


def log_softmax(a: jax.Array, included: Any = None) -> jax.Array:
    """s = log softmax(a) over the last axis; −∞ for what is not included.

    Where one class is almost certain, s and its derivative are small numbers there, with all their digits.
    """
    return _log_softmax(relative_to_largest(a, included))


@jax.custom_jvp
def _log_softmax(r: jax.Array) -> jax.Array:
    """r − log Σ e^r, where max r = 0: one such term is 1 exactly, so the log is log1p(Σ of the others)."""
    largest = r == 0
    others = jnp.sum(jnp.where(largest, 0, jnp.exp(r)), axis=-1, keepdims=True)
    ties = jnp.sum(jnp.where(largest, jnp.ones_like(r), 0), axis=-1, keepdims=True)
    return r - jnp.log1p(others + (ties - 1))


@_log_softmax.defjvp
def _log_softmax_derivative(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """ṡⱼ = (1 − ŷⱼ)ṙⱼ − Σₖ≠ⱼ ŷₖṙₖ, with 1 − ŷ = −expm1(s) in full."""
    (r,), (dr,) = primals, tangents
    s = _log_softmax(r)
    terms = jnp.exp(s) * dr
    return s, -jnp.expm1(s) * dr - (jnp.sum(terms, axis=-1, keepdims=True) - terms)


@jax.custom_jvp
def minus_log_softmax_at(r: jax.Array, y: jax.Array) -> jax.Array:
    """−log softmax(r)ᵧ, where max r = 0 and y is the index of a class, which must be in range.

    It is log1p(Σⱼ≠ᵧ e^rⱼ + (e^rᵧ − 1)) − rᵧ: where y is the largest, log1p of the sum of the others alone.
    """
    _, chosen, others = _at(r, y)
    return (jnp.log1p(others + jnp.expm1(chosen)) - chosen)[..., 0]


@minus_log_softmax_at.defjvp
def _minus_log_softmax_at_derivative(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """Σⱼ (ŷⱼ − [j = y])ṙⱼ, where ŷᵧ − 1 is formed as −Σⱼ≠ᵧ ŷⱼ."""
    (r, y), (dr, _) = primals, tangents
    at, chosen, others = _at(r, y)
    slope = jnp.where(at, -others, jnp.exp(r)) / (others + jnp.exp(chosen))
    return minus_log_softmax_at(r, y), jnp.sum(slope * dr, axis=-1)


def _at(r: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """j = y, rᵧ and Σⱼ≠ᵧ e^rⱼ."""
    y = y[..., None]
    at = jax.lax.broadcasted_iota(y.dtype, r.shape, r.ndim - 1) == y
    chosen = jnp.take_along_axis(r, y, axis=-1, mode="promise_in_bounds")
    return at, chosen, jnp.sum(jnp.where(at, 0, jnp.exp(r)), axis=-1, keepdims=True)
