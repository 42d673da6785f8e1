"""Clip the gradient of every example before they are summed: how much one of them can say is bounded then."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import is_traced, shortest
from funcgd.core.types import Scalar, Updates
from funcgd.core.validate import check_leaves, leading_axis
from funcgd.transforms import units


def per_example_global_norm_clip(grads: Updates, l2_norm_clip: Scalar) -> tuple[Updates, jax.Array]:
    """Shorten the gradient of each example to norm c where it is longer, and sum them.

        Σₙ gₙ · min(1, c / ‖gₙ‖₂),   the norm over all leaves together

    Args:
        grads: gradients whose leaves have the examples along their leading axis, as a `jax.vmap` of `jax.grad` does.
        l2_norm_clip: c in [0, ∞), unit of the gradient.

    Returns:
        The sum, in at least float32, and the number of examples that were shortened, int32.
        An example with NaN or ∞ in it has no norm: it counts, and the sum becomes NaN.

    Raises:
        ValueError: if the leading axes differ, or there is none; or if c is negative.

    Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, arXiv:1607.00133.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> total, clipped = fg.per_example_global_norm_clip({"w": jnp.array([[3.0, 4.0], [0.1, 0.2]])}, 1.0)
    >>> total["w"].tolist(), int(clipped)  # doctest: +NUMBER
    ([0.7, 1.0], 1)
    """
    rows, structure = _rows("per_example_global_norm_clip", grads, "l2_norm_clip", l2_norm_clip)
    dtype = numerics.wide_dtype(*(x.dtype for x in rows))
    parts = [numerics.widen(x, dtype).reshape(len(x), -1) for x in rows]
    pieces = [y for x in parts for y in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    together = jnp.concatenate(pieces, axis=1)
    shortened, longer = units.shorten(together, (1,), jnp.asarray(l2_norm_clip, dtype))
    total = iter(jnp.split(shortened.sum(0), np.cumsum([x.shape[1] for x in pieces])[:-1]))
    sums = [jax.lax.complex(next(total), next(total)) if jnp.iscomplexobj(x) else next(total) for x in parts]
    return structure.unflatten([_as_leaf(s, x) for s, x in zip(sums, rows, strict=True)]), longer.sum(dtype=jnp.int32)


def per_example_layer_norm_clip(
    grads: Updates, global_l2_norm_clip: Scalar, uniform: bool = True
) -> tuple[Updates, Any]:
    """Shorten each leaf of the gradient of each example to its share of the norm c where it is longer, and sum them.

        Σₙ gₙ · min(1, cₗ / ‖gₙ‖₂)   for each leaf l by itself, with Σₗ cₗ² = c²
        cₗ = c / √L          with `uniform`, of L leaves
        cₗ = c · √(dₗ / d)   without, where dₗ of all d entries of an example are in the leaf

    Args:
        grads: gradients whose leaves have the examples along their leading axis.
        global_l2_norm_clip: c in [0, ∞), unit of the gradient, which bounds the norm over all leaves.
        uniform: whether all leaves have the same share, or one by their size.

    Returns:
        The sum, in at least float32, and for each leaf the number of examples that were shortened, int32.
        A leaf with NaN or ∞ in it has no norm: it counts, and its sum becomes NaN.

    Raises:
        ValueError: if the leading axes differ, or there is none; or if c is negative.

    Reference: McMahan et al., Learning differentially private recurrent language models, ICLR 2018, arXiv:1710.06963.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> grads = {"b": jnp.array([[8.0], [1.0]]), "w": jnp.array([[0.3, 0.4], [6.0, 8.0]])}
    >>> total, clipped = fg.per_example_layer_norm_clip(grads, 5.0 * 2**0.5)
    >>> total["w"].tolist(), {name: int(n) for name, n in clipped.items()}  # doctest: +NUMBER
    ([3.3, 4.4], {'b': 1, 'w': 1})
    """
    rows, structure = _rows("per_example_layer_norm_clip", grads, "global_l2_norm_clip", global_l2_norm_clip)
    entries = [x[0].size for x in rows]
    shares = [1 / len(rows) if uniform else size / max(sum(entries), 1) for size in entries]
    sums, counts = [], []
    for x, share in zip(rows, shares, strict=True):
        wide = numerics.widen(x)
        bound = jnp.asarray(global_l2_norm_clip, wide.real.dtype) * share**0.5
        shortened, longer = units.shorten(wide, tuple(range(1, x.ndim)), bound)
        sums.append(shortened.sum(0))
        counts.append(longer.sum(dtype=jnp.int32))
    return structure.unflatten(sums), structure.unflatten(counts)


def _rows(who: str, grads: Updates, name: str, bound: Scalar) -> tuple[list[jax.Array], Any]:
    """The leaves of `grads` and their structure, after checks."""
    check_leaves(who, "grads", grads)
    leading_axis(who, "grads", grads)
    if not is_traced(bound) and not shortest(bound) >= 0:
        raise ValueError(f"{who}: `{name}` must be in [0, inf), got {bound}.")
    leaves, structure = jax.tree.flatten(grads)
    return [jnp.asarray(x) for x in leaves], structure


def _as_leaf(total: jax.Array, rows: jax.Array) -> jax.Array:
    dtype = numerics.wide_dtype(rows.dtype)
    return numerics.widen(total.reshape(rows.shape[1:]), dtype)
