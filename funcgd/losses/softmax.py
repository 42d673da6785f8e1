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
    return r - jnp.log1p(_rest(r))


@_log_softmax.defjvp
def _log_softmax_derivative(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """ṡⱼ = (1 − ŷⱼ)ṙⱼ − Σₖ≠ⱼ ŷₖṙₖ, where 1 − ŷ is −expm1(s)."""
    (r,), (dr,) = primals, tangents
    s = _log_softmax(r)
    terms = jnp.exp(s) * dr
    return s, -jnp.expm1(s) * dr - (jnp.sum(terms, axis=-1, keepdims=True) - terms)


@jax.custom_jvp
def minus_log_softmax(r: jax.Array, y: jax.Array) -> jax.Array:
    """−Σⱼ yⱼ log softmax(r)ⱼ = (Σⱼ yⱼ)·log Σ e^r − Σⱼ yⱼrⱼ over the last axis, where max r = 0 and 0 · ∞ = 0."""
    return jnp.sum(y, axis=-1) * jnp.log1p(_rest(r))[..., 0] - jnp.sum(weighted(y, r), axis=-1)


@minus_log_softmax.defjvp
def _minus_log_softmax_derivative(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """Σⱼ (Yŷⱼ − yⱼ)ṙⱼ − Σⱼ ẏⱼ log ŷⱼ with Y = Σⱼ yⱼ; where ŷⱼ is near 1, as (Y − yⱼ) − Y(1 − ŷⱼ)."""
    (r, y), (dr, dy) = primals, tangents
    s, total = _log_softmax(r), jnp.sum(y, axis=-1, keepdims=True)
    y_hat = jnp.exp(s)
    slope = jnp.where(y_hat > 0.5, (total - y) + total * jnp.expm1(s), total * y_hat - y)
    costs = jnp.where((y == 0) & jnp.isinf(s), 0, -s)
    return minus_log_softmax(r, y), jnp.sum(slope * dr, axis=-1) + jnp.sum(costs * dy, axis=-1)


def _rest(r: jax.Array) -> jax.Array:
    """Σ e^r − 1, shape (…, 1): the sum without one of the largest terms, which is 1 exactly."""
    largest = r == 0
    others = jnp.sum(jnp.where(largest, 0, jnp.exp(r)), axis=-1, keepdims=True)
    return others + (jnp.sum(jnp.where(largest, jnp.ones_like(r), 0), axis=-1, keepdims=True) - 1)


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
