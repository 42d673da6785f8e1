"""A function of two variables on a grid, and the level curves that all pictures of the plane have behind them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from funcgd.calculus.objective import objective
from funcgd.plots.figure import real_array

POINTS = 201  # of the grid on each side: curves are smooth at the usual sizes
PALE = LinearSegmentedColormap.from_list("pale", ["white", "0.78"])  # so that coloured paths stand out


def limits(who: str, name: str, limit: Any) -> tuple[float, float]:
    """(low, high), both finite."""
    a = real_array(who, name, limit, "(2,)", (1,))
    if a.shape != (2,) or not np.all(np.isfinite(a)) or not a[0] < a[1]:
        raise ValueError(f"{who}: `{name}` must be (low, high), finite and in this order, got {limit!r}.")
    return float(a[0]), float(a[1])


def map_size(xlim: tuple[float, float], ylim: tuple[float, float]) -> tuple[float, float]:
    """Inches of a figure that a map with one scale fills."""
    ratio = (ylim[1] - ylim[0]) / (xlim[1] - xlim[0])
    return min(max(5.0 / ratio, 3.0), 6.4) + 0.6, min(max(6.4 * ratio, 2.0), 5.0) + 0.5


def on_grid(
    who: str, fun: Callable, xlim: tuple[float, float], ylim: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n,), y (n,) and f at (x, y) (n, n), a row for each y; NaN where f is not finite."""
    f = objective(who, fun)
    x, y = np.linspace(*xlim, POINTS), np.linspace(*ylim, POINTS)
    points = jnp.asarray(np.stack(np.meshgrid(x, y), axis=-1), float)
    values = np.asarray(jax.jit(jax.vmap(jax.vmap(f)))(points), np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    if np.all(np.isnan(values)):
        raise ValueError(f"{who}: `fun` must be finite somewhere between `xlim` and `ylim`, got no finite value.")
    return x, y, values


def levels_of(who: str, values: np.ndarray, levels: int | Sequence[float], log: bool) -> np.ndarray:
    """The levels at which curves are drawn, rising."""
    if not isinstance(levels, int):
        given = real_array(who, "levels", levels, "(n,)", (1,))
        if np.any(np.diff(given) <= 0):
            raise ValueError(f"{who}: `levels` must rise, got {levels!r}.")
        return given
    if levels < 1:
        raise ValueError(f"{who}: `levels` must be at least 1, or a sequence of values, got {levels}.")
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high:
        raise ValueError(f"{who}: `fun` must vary between `xlim` and `ylim`, got {low:g} everywhere.")
    if log:  # from what a hundredth of the plane does not exceed
        rise = values - low
        first = max(np.nanquantile(rise, 0.01), 1e-6 * (high - low))
        return low + np.geomspace(first, high - low, levels + 1)[:-1]
    round_numbers = MaxNLocator(levels + 1).tick_values(low, high)
    return round_numbers[(low < round_numbers) & (round_numbers < high)]


def draw_levels(ax: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, levels: np.ndarray) -> None:
    """The level curves, numbered, on a ground that is darker where values are higher."""
    edges = np.concatenate([[min(np.nanmin(values), levels[0]) - 1e-9], levels, [max(np.nanmax(values), levels[-1])]])
    edges = np.unique(edges)
    shades = PALE(np.linspace(0, 1, len(edges) - 1))
    ax.contourf(x, y, values, levels=edges, colors=list(shades))
    curves = ax.contour(x, y, values, levels=levels, colors="0.55", linewidths=0.6)
    ax.clabel(curves, levels=levels[len(levels) % 2 :: 2], fmt=lambda level: f"{level:.3g}", fontsize=7, colors="0.3")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="$x_1$", ylabel="$x_2$")
    ax.set_aspect("equal")
