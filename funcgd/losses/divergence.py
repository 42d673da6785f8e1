"""Kullback–Leibler divergences: how much one distribution differs from another, in nats."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import class_axes, classes_last, first_bad, included_classes, known, same_shape, wide


def kl_divergence(
    log_predictions: Any, targets: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """The divergence of a predicted distribution Q from a distribution P, the targets: the cost of believing in Q.

        D(P‖Q) = Σⱼ pⱼ(log pⱼ − log qⱼ)     where 0·log 0 = 0;   gradient in log qⱼ: −pⱼ

    It is `cross_entropy` minus `entropy`: not symmetric, never negative where both sum to 1, 0 only for Q = P, and ∞
    where Q rules out what P does not.

    Args:
        log_predictions: log q, shape (…, outcomes), such as `jax.nn.log_softmax(logits)`.
        targets: p ≥ 0, the same shape.
        axis: the axis, or axes, of the outcomes; None is all of them.
        where: boolean, of the shape of the predictions or of the result: outcomes, or whole examples, to include.

    Returns:
        The divergences, of the shape of the predictions without `axis`, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a target, known while tracing, is negative.
        TypeError: if `where` is not boolean.

    Reference: Kullback, Leibler, On information and sufficiency, Annals of Mathematical Statistics 22, 1951.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> log_q, p = jnp.log(jnp.array([0.5, 0.25, 0.25])), jnp.array([0.5, 0.5, 0.0])
    >>> float(fg.kl_divergence(log_q, p))  # doctest: +NUMBER
    0.346574
    """
    log_q, p, included = _arguments("kl_divergence", log_predictions, targets, axis, where)
    return _sum(_relative(log_q, p), included)


def kl_divergence_with_log_targets(
    log_predictions: Any, log_targets: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """`kl_divergence` from targets that are given as logarithms, and may be as small as e⁻¹⁰⁰⁰⁰.

        D(P‖Q) = Σⱼ e^log pⱼ · (log pⱼ − log qⱼ)     where e^−∞ · ∞ = 0

    Args:
        log_predictions, axis, where: see `kl_divergence`.
        log_targets: log p, the same shape.

    Reference: see `kl_divergence`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> log_q, log_p = jnp.log(jnp.array([0.5, 0.25, 0.25])), jnp.log(jnp.array([0.5, 0.5, 0.0]))
    >>> float(fg.kl_divergence_with_log_targets(log_q, log_p))  # doctest: +NUMBER
    0.346574
    """
    who = "kl_divergence_with_log_targets"
    log_q, log_p, included = _arguments(who, log_predictions, log_targets, axis, where, "log_targets")
    impossible = log_p == -jnp.inf
    log_q, log_p = (jnp.where(impossible, 0, x) for x in (log_q, log_p))
    return _sum(jnp.where(impossible, 0, jnp.exp(log_p) * (log_p - log_q)), included)


def generalized_kl_divergence(
    log_predictions: Any, targets: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """The divergence of masses that need not sum to 1: each term is convex, and never negative.

        Σⱼ pⱼ(log pⱼ − log qⱼ) − pⱼ + qⱼ     gradient in log qⱼ: qⱼ − pⱼ

    Where P and Q sum to 1 it is `kl_divergence`. It is the Bregman divergence of Σ x log x − x.

    Args:
        log_predictions, targets, axis, where: see `kl_divergence`.

    Reference: Bregman, The relaxation method of finding the common point of convex sets, USSR Computational
    Mathematics and Mathematical Physics 7, 1967.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.generalized_kl_divergence(jnp.log(jnp.array([1.0, 2.0])), jnp.array([1.0, 0.0])))
    2.0
    """
    return _generalized("generalized_kl_divergence", log_predictions, targets, axis, where)


def convex_kl_divergence(
    log_predictions: Any, targets: Any, axis: int | Sequence[int] | None = -1, where: Any = None
) -> jax.Array:
    """Another name of `generalized_kl_divergence`.

    Args:
        log_predictions, targets, axis, where: see `kl_divergence`.

    Reference: see `generalized_kl_divergence`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> float(fg.convex_kl_divergence(jnp.log(jnp.array([1.0, 2.0])), jnp.array([1.0, 0.0])))
    2.0
    """
    return _generalized("convex_kl_divergence", log_predictions, targets, axis, where)


def _generalized(who: str, log_predictions: Any, targets: Any, axis: Any, where: Any) -> jax.Array:
    log_q, p, included = _arguments(who, log_predictions, targets, axis, where)
    return _sum(_relative(log_q, p) + (jnp.exp(log_q) - p), included)


def _relative(log_q: jax.Array, p: jax.Array) -> jax.Array:
    """p(log p − log q), and 0 where p = 0."""
    nothing = p == 0
    return jnp.where(nothing, 0, p * (jnp.log(jnp.where(nothing, 1, p)) - jnp.where(nothing, 0, log_q)))


def _sum(terms: jax.Array, included: Any) -> jax.Array:
    return jnp.sum(jnp.where(included, terms, 0), axis=-1)


def _arguments(who: str, log_q: Any, p: Any, axis: Any, where: Any, name: str = "targets") -> list[Any]:
    """Predictions and targets with the outcomes last, harmless where they are not included, and the mask."""
    same_shape(who, name, p, "log_predictions", log_q)
    first, second = wide(who, **{"log_predictions": log_q, name: p})
    axes = class_axes(who, axis, first.shape, "log_predictions")
    included = included_classes(who, where, first.shape, axes, "log_predictions")
    if name == "targets" and known(p, included):
        masses = classes_last(np.asarray(p), axes)
        first_bad(who, masses, (masses < 0) & np.asarray(included), "[0, ∞)", "targets")
    return [*(jnp.where(included, classes_last(x, axes), 0) for x in (first, second)), included]
