"""Clip the norm of parts of the gradient: of each leaf, or of each unit by that of its parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import as_count, number, static
from funcgd.core.lift import lift
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms import units
from funcgd.transforms.scale import Counted


@value
class clip_by_block_rms(Counted):
    """Shorten each leaf to root mean square d where that is larger, keeping its direction.

        u = g · min(1, d / RMS(g)),   RMS(g) = √(Σ|gᵢ|² / n),   for each leaf by itself

    The mean square neither overflows nor underflows, and a leaf within the bound passes unchanged to the last digit.
    One with NaN or ∞ in it becomes NaN, and leaves the others alone.

    Args:
        threshold: d in [0, ∞), unit of the gradient.

    Reference: Shazeer, Stern, Adafactor: adaptive learning rates with sublinear memory cost, ICML 2018,
    arXiv:1804.04235, section 6, where what is clipped is the update.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.clip_by_block_rms(1.0)
    >>> tx.update(jnp.array([1.0, 7.0]), tx.init(jnp.zeros(2)))[0].tolist()  # doctest: +NUMBER
    [0.2, 1.4]
    """

    threshold: ScalarOrSchedule = number("[0, inf)")

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array) -> jax.Array:
            return units.shorten(g, tuple(range(g.ndim)), h.threshold * g.size**0.5)[0]

        return lift(rule, self.numbers(state), grads), self.next_state(state)


def as_axes(axis: Any) -> tuple[int, ...] | None:
    """`axis` as a tuple of integers, None for None."""
    if axis is None:
        return None
    return tuple(as_count(i, -32) for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


@value
class adaptive_grad_clip(Counted):
    """Shorten the gradient of each unit where it is long beside the parameters of that unit.

        u = g · min(1, λ·max(‖θ‖₂, ε) / ‖g‖₂)   for each unit by itself

    A unit is what feeds one output: a column of a matrix (in, out), and of an array with three axes likewise what lies
    along the first; a filter of a convolution (height, width, in, out); a vector or a scalar as a whole, and any array
    with no more than one axis longer than 1.

    A unit within the bound passes unchanged to the last digit. One with NaN or ∞ in it becomes NaN, and leaves the
    others alone. The last layer is best left out, says the paper: see `fg.masked`.

    Args:
        clipping: λ in [0, ∞), the largest ratio of the two norms, times the unit of the parameters over that of the
            gradient; 0.01 to 0.16 in the paper.
        eps: ε ≥ 0, unit of the parameters, so that what is zero can begin to train.
        axis: the axes that run through a unit, for every leaf, if not as above.

    Raises:
        ValueError: at update, if `params` are missing or a leaf has no such axis.

    Reference: Brock, De, Smith, Simonyan, High-performance large-scale image recognition without normalization, ICML
    2021, arXiv:2102.06171.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.adaptive_grad_clip(0.5), jnp.array([[3.0, 1.0], [4.0, 0.0]])  # columns of norm 5 and 1
    >>> tx.update(jnp.array([[0.0, 8.0], [1.0, 0.0]]), tx.init(params), params)[0].tolist()  # doctest: +NUMBER
    [[0.0, 0.5], [1.0, 0.0]]
    """

    clipping: ScalarOrSchedule = number("[0, inf)")
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-3)
    axis: Any = static(default=None, convert=as_axes)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array, p: jax.Array) -> jax.Array:
            axes = unit_axes("adaptive_grad_clip", g.shape, self.axis)
            return units.shorten(g, axes, h.clipping * jnp.maximum(units.norm(p, axes), h.eps))[0]

        return lift(rule, self.numbers(state), grads, read=(params,)), self.next_state(state)


def unit_axes(who: str, shape: tuple[int, ...], axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes that run through a unit of an array: those given, or else by convention.

    Raises:
        ValueError: if the array has no such axis.
    """
    n = len(shape)
    if axis is not None:
        if not all(-n <= i < n for i in axis):
            raise ValueError(f"{who}: `axis` must be axes of every leaf, got {axis} for {shape}.")
        return axis
    if sum(np.array(shape) != 1) <= 1:
        return tuple(range(n))
    return (0,) if n <= 3 else tuple(range(n - 1))


def unitwise_norm(x: Any, axis: int | tuple[int, ...] | None = None) -> jax.Array:
    """The Euclidean norm of each unit, in place of every entry of it; it neither overflows nor underflows.

    Args:
        x: an array.
        axis: the axes that run through a unit; None is as in `adaptive_grad_clip`.

    Raises:
        ValueError: if `x` has no such axis.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.unitwise_norm(jnp.array([[3.0, 1.0], [4.0, 0.0]])).tolist()
    [[5.0, 1.0], [5.0, 1.0]]
    """
    x = numerics.widen(x)
    axes = unit_axes("unitwise_norm", x.shape, as_axes(axis))
    return jnp.broadcast_to(units.norm(x, axes), x.shape)


def unitwise_clip(g_norm: Any, max_norm: Any, grad: Any, div_eps: float = 0.0) -> jax.Array:
    """`grad` · min(1, max_norm / max(g_norm, div_eps)), entry by entry: what is not longer passes unchanged.

    Args:
        g_norm: the norm of each entry's unit, see `unitwise_norm`.
        max_norm: its bound, of the shape of `grad` or a scalar.
        grad: an array.
        div_eps: the least divisor; at 0 a zero norm is no danger either.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> grad = jnp.array([3.0, 4.0])
    >>> fg.unitwise_clip(fg.unitwise_norm(grad), 1.0, grad).tolist()  # doctest: +NUMBER
    [0.6, 0.8]
    """
    grad = numerics.widen(grad)
    g_norm, max_norm = (numerics.widen(x, grad.real.dtype) for x in (g_norm, max_norm))
    ratio = numerics.divide(max_norm, jnp.maximum(g_norm, div_eps))
    with jax.numpy_dtype_promotion("standard"):  # for complex gradients
        return jnp.where(g_norm <= max_norm, grad, grad * ratio)
