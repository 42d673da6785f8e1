"""The minimiser of the cubic through two trials."""

import jax
import jax.numpy as jnp

from funcgd.line_searches.search import Trial


def cubic_minimizer(a: Trial, b: Trial, tolerance: jax.Array) -> jax.Array:
    """The α at which the cubic with the values and slopes of two trials has its minimum; NaN where it has none.

    Values that differ by no more than `tolerance` are rounding errors: then the minimiser is that of the parabola
    through both slopes, which are known to far more digits.

    Reference: Nocedal, Wright, Numerical optimization, 2006, equation 3.59.

    >>> from funcgd.line_searches.interpolate import cubic_minimizer
    >>> a, b = (Trial(x, (x - 3) ** 2, 2 * (x - 3)) for x in (0.0, 1.0))
    >>> float(cubic_minimizer(a, b, 0.0))
    3.0
    """
    width = b.step - a.step
    flat = jnp.abs(b.value - a.value) <= tolerance
    mean = jnp.where(flat, (a.slope + b.slope) / 2, (b.value - a.value) / width)
    # Parts of the largest, so that no square overflows.
    scale = jnp.maximum(jnp.maximum(jnp.abs(a.slope), jnp.abs(b.slope)), jnp.abs(mean))
    left, right, mean = a.slope / scale, b.slope / scale, mean / scale
    d1 = left + right - 3 * mean
    square = d1 * d1 - left * right
    d2 = jnp.sign(width) * jnp.sqrt(jnp.where(square >= 0, square, 0))
    below = right - left + 2 * d2
    found = b.step - width * (right + d2 - d1) / jnp.where(below == 0, 1, below)
    return jnp.where((square >= 0) & (below != 0), found, jnp.nan)
