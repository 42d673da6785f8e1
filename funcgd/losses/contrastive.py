"""Losses of embeddings: examples of a kind belong close together, others apart."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.losses.check import class_axes, integer_labels, number, same_shape, wide
from funcgd.losses.cosine import direction


def ntxent(embeddings: Any, labels: Any, temperature: Any = 0.07) -> jax.Array:
    """The normalised, temperature-scaled cross-entropy (NT-Xent): a positive among the negatives is to be found.

        −log e^sᵢⱼ / (e^sᵢⱼ + Σₖ e^sᵢₖ),   sᵢⱼ = cos(zᵢ, zⱼ)/T     in the mean over all i ≠ j of one label

    where k runs over the examples of other labels than that of i. Without a pair of one label, or without another
    label, it is 0.

    Args:
        embeddings: z, shape (N, features); only their directions count.
        labels: integers, (N,): equal ones make positive pairs.
        temperature: T > 0.

    Returns:
        (), in at least float32: the batch is one example.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes do not match, or T is not positive.

    Reference: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> z = jnp.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> float(fg.ntxent(z, jnp.array([0, 0, 1, 1]), temperature=0.5))  # log(1 + 2e⁻²)
    0.2395448
    """
    who = "ntxent"
    (z,) = wide(who, embeddings=embeddings)
    if z.ndim != 2:
        raise ValueError(f"{who}: `embeddings` must have the shape (examples, features), got {z.shape}.")
    integer_labels(who, labels, z.shape, (1,), name="embeddings")
    temperature = number(who, "temperature", temperature, z.dtype, 0, above=True)
    u, _ = direction(z)
    s = jnp.einsum("if,jf->ij", u, u, precision="highest") / temperature
    y = jnp.asarray(labels)
    same = y[:, None] == y[None, :]
    positive = same & ~jnp.eye(len(y), dtype=bool)
    some = jnp.any(~same, axis=-1, keepdims=True)
    negatives = jax.nn.logsumexp(jnp.where(same & some, -jnp.inf, s), axis=-1, keepdims=True)
    pairs = jnp.where(positive & some, jax.nn.softplus(negatives - s), 0)
    return numerics.divide(jnp.sum(pairs), jnp.sum(positive, dtype=s.dtype))


def triplet_margin_loss(
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: float = 2,
    margin: Any = 1.0,
    eps: Any = 1e-6,
) -> jax.Array:
    """An anchor is to be closer to an example of its kind than to one of another, by a margin.

        max(0, d(a, p) − d(a, n) + m),   d(x, y) = (Σᵢ |xᵢ − yᵢ|^q + ε)^(1/q)

    Args:
        anchors: a, shape (…, features).
        positives, negatives: p and n, the same shape.
        axis: the axis of the features.
        norm_degree: q ≥ 1, a Python number: 2 is the Euclidean distance, 1 the sum of absolute differences.
        margin: m ≥ 0, in the unit of the distance.
        eps: ε ≥ 0: how round the distance is at 0. With 0, its gradient there is 0.

    Returns:
        The losses, of the shape of the anchors without `axis`, in at least float32.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or a number is out of range.

    Reference: Balntas et al., Learning local feature descriptors with triplets and shallow convolutional neural
    networks, BMVC 2016; Schroff, Kalenichenko, Philbin, FaceNet, CVPR 2015.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> a, p, n = jnp.zeros((2, 2)), jnp.array([[0.6, 0.8], [3.0, 4.0]]), jnp.array([[3.0, 4.0], [0.6, 0.8]])
    >>> fg.triplet_margin_loss(a, p, n).tolist()
    [0.0, 5.0]
    """
    who = "triplet_margin_loss"
    same_shape(who, "positives", positives, "anchors", anchors)
    same_shape(who, "negatives", negatives, "anchors", anchors)
    a, p, n = wide(who, anchors=anchors, positives=positives, negatives=negatives)
    if not isinstance(norm_degree, (int, float)) or not 1 <= norm_degree < float("inf"):
        raise ValueError(f"{who}: `norm_degree` must be a Python number ≥ 1, got {describe(norm_degree)}.")
    margin, eps = number(who, "margin", margin, a.dtype, 0), number(who, "eps", eps, a.dtype, 0)
    (axis,) = class_axes(who, axis, a.shape, "anchors")
    excess = _distance(a - p, axis, norm_degree, eps) - _distance(a - n, axis, norm_degree, eps) + margin
    return jnp.where(excess <= 0, 0, excess)  # NaN stays


def _distance(x: jax.Array, axis: int, q: float, eps: jax.Array) -> jax.Array:
    """(Σ|x|^q + ε)^(1/q), of numbers that are first divided by the largest: powers neither overflow nor underflow."""
    largest = jnp.maximum(jnp.max(jnp.abs(x), axis=axis, keepdims=True), eps ** (1 / q))
    scale = jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
    x = x / scale
    total = jnp.sum(x * x if q == 2 else jnp.abs(x) ** q, axis=axis, keepdims=True) + eps * scale**-q
    distance = numerics.sqrt(total) if q == 2 else jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / q), 0)
    return jnp.squeeze(scale * distance, axis)
