"""Level curves with the gradient and the tangent at one point."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from funcgd.calculus.gradient import gradient
from funcgd.calculus.level_set import level_set_tangent
from funcgd.calculus.objective import objective
from funcgd.plots.figure import BLUE, VERMILLION, axes, real_array
from funcgd.plots.plane import draw_levels, levels_of, limits, map_size, on_grid

LENGTH = 0.22  # of the arrows, as a share of the shorter side


def level_curves(
    fun: Callable,
    x: Any,
    xlim: Sequence[float],
    ylim: Sequence[float],
    *,
    levels: int | Sequence[float] = 8,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Level curves of a function of two variables; at a point x its own curve, the gradient and the tangent.

    The tangent is `fg.level_set_tangent`. Both arrows show directions: they are equally long, whatever ‖∇f‖ is, which
    stands in the legend. Both axes have one scale, so that the right angle is one.

    Args:
        fun: an array of shape (2,) → a real scalar.
        x: the point, shape (2,), inside the limits.
        xlim, ylim: (low, high) of the first and second variable.
        levels, log: see `plots.contour`.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `fun` does not return a real scalar, or x is no array of numbers.
        ValueError: if shapes or limits are wrong, or ∇f is 0 or not finite at x, where there are no directions.

    >>> import funcgd as fg
    >>> from funcgd import plots
    >>> ax = plots.level_curves(lambda x: 9 * x[0] ** 2 + x[1] ** 2, (1.0, 2.0), (-2, 3), (-1, 4))
    >>> [text.get_text() for text in ax.get_legend().get_texts()][0]
    'level curve f = 13'
    """
    who = "level_curves"
    xlim, ylim = limits(who, "xlim", xlim), limits(who, "ylim", ylim)
    at = real_array(who, "x", x, "(2,)", (1,))
    if at.shape != (2,) or not (xlim[0] <= at[0] <= xlim[1] and ylim[0] <= at[1] <= ylim[1]):
        raise ValueError(f"{who}: `x` must be a point inside `xlim` and `ylim`, got {at.tolist()}.")
    first, second, values = on_grid(who, fun, xlim, ylim)
    chosen = levels_of(who, values, levels, log)
    point = jnp.asarray(at, float)
    slope = np.asarray(gradient(fun, point), np.float64)
    steepness, height = np.linalg.norm(slope), float(objective(who, fun)(point))
    if not 0 < steepness < np.inf:
        raise ValueError(f"{who}: `x` must be a point where ∇f is finite and not 0, got ∇f = {slope.tolist()}.")
    ax = axes(ax, map_size(xlim, ylim))
    draw_levels(ax, first, second, values, chosen)
    ax.contour(first, second, values, levels=[height], colors="black", linewidths=1.6)
    ax.plot([], [], color="black", linewidth=1.6, label=f"level curve f = {height:.4g}")
    length = LENGTH * min(xlim[1] - xlim[0], ylim[1] - ylim[0])
    tangent = np.asarray(level_set_tangent(fun, point), np.float64)
    for name, direction, colour in (
        (f"gradient ∇f, ‖∇f‖ = {steepness:.4g}", slope / steepness, VERMILLION),
        ("tangent", tangent, BLUE),
    ):
        in_data = {"angles": "xy", "scale_units": "xy", "scale": 1}
        ax.quiver(*at, *(length * direction), color=colour, width=0.01, zorder=4, **in_data)
        ax.plot([], [], color=colour, linewidth=3, label=name)
    ax.plot(*at, "o", color="black", zorder=5)
    ax.legend(loc="best", fontsize="small")
    return ax
