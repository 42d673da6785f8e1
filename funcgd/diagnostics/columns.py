"""Layers as numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.types import Params
from funcgd.diagnostics.activations import LIMITS, NEAR, RECTIFIERS
from funcgd.diagnostics.layers import Layer, Measured


def columns(measured: Measured, trained: Params, updates: Params | None = None) -> list[dict[str, jax.Array]]:
    """For each layer its numbers by name, in at least float32; without those that have no meaning there."""
    weights, gradients = jax.tree.leaves(trained), jax.tree.leaves(measured.gradient)
    changes = None if updates is None else jax.tree.leaves(updates)
    deltas = [norm([layer.delta]) for layer in measured.layers]
    return [
        {
            "activation_norm": norm([layer.a]) / max(layer.a.size, 1) ** 0.5,
            "gradient_norm": delta,
            "gradient_ratio": delta / deltas[-1],
            **shares(layer),
            **_of_weights(layer, weights, gradients, changes),
        }
        for layer, delta in zip(measured.layers, deltas, strict=True)
    ]


def shares(layer: Layer) -> dict[str, jax.Array]:
    """The shares of saturated activations and of dead units."""
    found, a = {}, layer.a
    if layer.activation in LIMITS and not jnp.iscomplexobj(a):
        low, high = LIMITS[layer.activation]
        margin = NEAR * (high - low)
        found["saturated"] = jnp.mean((a < low + margin) | (a > high - margin), dtype=numerics.wide_dtype())
    if (layer.activation is None or layer.activation in RECTIFIERS) and a.ndim > 1:
        # of unknown ones, too: a unit that is exactly 0 for every example says nothing about any
        found["dead"] = jnp.mean(jnp.all(a == 0, axis=tuple(range(a.ndim - 1))), dtype=numerics.wide_dtype())
    return found


def _of_weights(
    layer: Layer, weights: list[jax.Array], gradients: list[jax.Array], changes: list[jax.Array] | None
) -> dict[str, jax.Array]:
    if not layer.leaves:
        return {}
    size = norm([weights[i] for i in layer.leaves])
    found = {"weight_norm": size, "weight_gradient_norm": norm([gradients[i] for i in layer.leaves])}
    if changes is not None:
        found["update_ratio"] = numerics.divide(norm([changes[i] for i in layer.leaves]), size)
    return found


def norm(arrays: list[Any]) -> jax.Array:
    """The Euclidean norm, of numbers whose squares are out of range, too: gradients that vanish."""
    dtype = numerics.wide_dtype(*(jnp.result_type(x) for x in arrays))
    entries = [jnp.abs(x).astype(dtype).ravel() for x in arrays]
    x = jnp.concatenate(entries) if len(entries) > 1 else entries[0]
    largest = jnp.max(x, initial=0)
    usual = jnp.isfinite(largest) & (largest > 0)
    scale = jnp.where(usual, largest, 1)
    return jnp.where(usual, scale * jnp.sqrt(jnp.sum((x / scale) ** 2)), largest)
