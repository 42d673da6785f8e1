"""The noise of stochastic gradients, and the batch size up to which larger batches help."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics, tree
from funcgd.core.fields import is_traced
from funcgd.core.types import Batch, Params
from funcgd.core.validate import leading_axis
from funcgd.core.values import hold
from funcgd.diagnostics.objective import check_loss, count, trained_objective
from funcgd.training import partition


class GradientNoise(NamedTuple):
    """What `fg.gradient_noise_scale` returns.

    >>> import funcgd as fg
    >>> fg.GradientNoise(noise_scale=8.0, variance=4.0, squared_norm=0.5).noise_scale
    8.0
    """

    noise_scale: jax.Array  # (), B = tr Σ / |G|², in examples; ∞ where |G|² comes out as 0 or less
    variance: jax.Array  # (), tr Σ, of the gradients of single examples, unbiased; [loss]²/[param]²
    squared_norm: jax.Array  # (), |G|², of the true gradient, unbiased, so it may be negative; [loss]²/[param]²


def gradient_noise_scale(loss: Callable, params: Params, batch: Batch, *, at_once: int = 1) -> GradientNoise:
    """The simple noise scale: the batch size at which the noise of the gradient is as large as the gradient.

        B = tr Σ / |G|²,    tr Σ = 1/(N−1) Σₙ ‖gₙ − ḡ‖²,    |G|² = ‖ḡ‖² − tr Σ / N

    with the gradients gₙ of the N examples and their mean ḡ. Below B, twice the batch is worth nearly twice the steps;
    far above, it is worth nothing. Both estimates are unbiased, and those of the paper for batches of 1 and N examples;
    their ratio is not, so for a small N average them over batches first. B grows as training goes on.

    Args:
        loss: `loss(params, batch)` → a real scalar, the mean over the examples of the batch, as in `fg.fit`. It is
            called with single examples, too, as batches of 1.
        params: a pytree; its floating arrays count.
        batch: a pytree of arrays with one leading axis, N ≥ 2.
        at_once: examples whose gradients are in memory together.

    Raises:
        ValueError: if there is one example, axes differ, or the loss is not the mean of those of its examples (for
            instance, a sum, or one with batch normalisation); the latter only where the numbers are known.
        TypeError: if the loss returns no real scalar.

    Reference: McCandlish, Kaplan, Amodei, An empirical model of large-batch training, arXiv:1812.06162, 2018, section 2
    and appendix A.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> loss = lambda w, batch: jnp.mean((w - batch) ** 2) / 2
    >>> noise = fg.gradient_noise_scale(loss, jnp.array(0.0), jnp.array([1.0, 2.0, 3.0]))
    >>> noise.variance.item(), noise.squared_norm.item()  # 1, and 2² − 1/3
    (1.0, 3.6667)
    """
    who = "gradient_noise_scale"
    check_loss(who, loss)
    packed, at_once = partition.pack(who, "params", params), count(who, "at_once", at_once)
    n = leading_axis(who, "batch", batch)
    if n < 2:
        raise ValueError(f"{who}: `batch` must have at least 2 examples, got {n}.")
    found, value, mean = _noise(hold(loss), packed, batch, who, at_once)
    if not (is_traced(value) or is_traced(mean)):
        _check_mean(who, float(value), float(mean))
    return found


@functools.partial(jax.jit, static_argnames=("who", "at_once"))
def _noise(
    loss: Any, packed: Params, batch: Batch, who: str, at_once: int
) -> tuple[GradientNoise, jax.Array, jax.Array]:
    """The noise; the loss of the batch, and the mean of those of the examples."""

    def value_and_gradient(batch: Batch) -> tuple[jax.Array, Params]:
        f, x = trained_objective(who, loss, packed, batch)
        value, gradient = jax.value_and_grad(f)(x)
        return numerics.widen(value), jax.tree.map(numerics.widen, gradient)

    value, mean = value_and_gradient(batch)

    def of_one(example: Any) -> tuple[jax.Array, jax.Array]:
        value, gradient = value_and_gradient(jax.tree.map(lambda x: x[None], example))
        return value, tree.norm(tree.sub(gradient, mean)) ** 2

    n = leading_axis(who, "batch", batch)
    values, squares = jax.lax.map(of_one, jax.tree.map(jnp.asarray, batch), batch_size=min(at_once, n))
    variance = jnp.sum(squares) / (n - 1)
    squared_norm = tree.norm(mean) ** 2 - variance / n
    positive = squared_norm > 0
    scale = jnp.where(positive, variance / jnp.where(positive, squared_norm, 1), jnp.inf)
    scale = jnp.where(jnp.isnan(squared_norm), jnp.nan, scale)
    return GradientNoise(scale, variance, squared_norm), value, jnp.mean(values)


def _check_mean(who: str, value: float, mean: float) -> None:
    if np.isfinite([value, mean]).all() and abs(value - mean) > 1e-2 * max(abs(value), abs(mean)):
        raise ValueError(
            f"{who}: `loss` must be the mean of the losses of its examples, but it is {value:.6g} where their mean is "
            f"{mean:.6g}."
        )
