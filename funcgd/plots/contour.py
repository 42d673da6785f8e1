"""A contour map with the paths of several optimizers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes

from funcgd.plots.figure import axes, by_name, path_styles, real_array
from funcgd.plots.plane import draw_levels, levels_of, limits, map_size, on_grid

DOTTED = 40  # points of a path up to which each is marked


def contour(
    fun: Callable,
    xlim: Sequence[float],
    ylim: Sequence[float],
    *,
    paths: Mapping[str, Any] | None = None,
    minimizers: Any = None,
    levels: int | Sequence[float] = 12,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Level curves of a function of two variables, and the paths that optimizers took.

    Both axes have one scale, so that gradients are perpendicular to the curves. Paths begin at a circle. Each
    point of a path of up to 40 is marked, of others the last. What leaves the map, or is not finite, is not shown.

    Args:
        fun: an array of shape (2,) → a real scalar.
        xlim, ylim: (low, high) of the first and second variable.
        paths: for each name what `fg.minimize(…, record=True)` returned, its `history`, or an array (steps, 2).
        minimizers: points to mark with a star, shape (2,) or (k, 2).
        levels: about how many curves, or their values, rising.
        log: whether the curves are at equal ratios of f − min f, for functions with steep walls, not at equal steps.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `fun` does not return a real scalar, or something is no array of numbers.
        ValueError: if limits, levels or shapes are wrong, or `fun` is constant or nowhere finite.

    >>> import funcgd as fg
    >>> from funcgd import plots
    >>> p = fg.problems.booth()
    >>> run = fg.minimize(p.fun, p.x0, fg.sgd(0.05), max_steps=20, record=True)
    >>> ax = plots.contour(p.fun, (-5, 5), (-5, 5), paths={"gradient descent": run}, minimizers=p.minimizers)
    >>> ax.lines[0].get_xydata()[0].tolist() == p.x0.tolist()
    True
    """
    xlim, ylim = limits("contour", "xlim", xlim), limits("contour", "ylim", ylim)
    given = {} if paths is None else by_name("contour", "paths", paths, "paths")
    points = {name: as_path("contour", name, path) for name, path in given.items()}
    stars = as_points("contour", minimizers)
    x, y, values = on_grid("contour", fun, xlim, ylim)
    chosen = levels_of("contour", values, levels, log)
    ax = axes(ax, map_size(xlim, ylim))
    draw_levels(ax, x, y, values, chosen)
    for (name, path), style in zip(points.items(), path_styles(points), strict=True):
        marked = range(len(path)) if len(path) <= DOTTED else [len(path) - 1]
        ax.plot(*path.T, label=name, markevery=list(marked), **style)
    for start in {tuple(path[0]) for path in points.values()}:
        ax.plot(*start, marker="o", markersize=7, markerfacecolor="white", color="black", zorder=5)
    mark_minimizers(ax, stars)
    if points:
        ax.legend(loc="best", fontsize="small")
    return ax


def as_path(who: str, name: str, path: Any) -> np.ndarray:
    """(steps, 2), NaN where it is not finite."""
    where = f"paths[{name!r}]"
    history = getattr(path, "history", path)
    if history is None:
        raise ValueError(f"{who}: `{where}` must have a history; run fg.minimize with record=True.")
    if isinstance(history, Mapping):
        history = by_name(who, where, history, "arrays")
        if "params" not in history:
            raise ValueError(f'{who}: `{where}` must have "params" in its history, got {", ".join(history)}.')
        leaves = jax.tree.leaves(history["params"])
        history = np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in leaves], axis=1)
    a = real_array(who, where, history, "(steps, 2)", (2,))
    if a.shape[1] != 2:
        raise ValueError(f"{who}: `{where}` must have shape (steps, 2), got {a.shape}.")
    return np.where(np.isfinite(a), a, np.nan)


def as_points(who: str, minimizers: Any) -> np.ndarray:
    """(k, 2), none for None."""
    if minimizers is None:
        return np.empty((0, 2))
    a = np.atleast_2d(real_array(who, "minimizers", minimizers, "(2,) or (k, 2)", (1, 2)))
    if a.shape[1] != 2:
        raise ValueError(f"{who}: `minimizers` must have shape (2,) or (k, 2), got {np.shape(minimizers)}.")
    return a


def mark_minimizers(ax: Axes, points: np.ndarray) -> None:
    """A star at each."""
    if len(points):
        ax.plot(
            *points.T, linestyle="none", marker="*", markersize=13, color="black", markeredgecolor="white", zorder=5
        )
