"""Optimizers that race over a contour map, as an animation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes

from funcgd.core.fields import as_count
from funcgd.plots.contour import as_path, as_points, mark_minimizers
from funcgd.plots.figure import axes, by_name, path_styles
from funcgd.plots.plane import draw_levels, levels_of, limits, map_size, on_grid


def race(
    fun: Callable,
    paths: Mapping[str, Any],
    xlim: Sequence[float],
    ylim: Sequence[float],
    file: str | Path,
    *,
    minimizers: Any = None,
    levels: int | Sequence[float] = 12,
    log: bool = False,
    frames: int = 60,
    frames_per_second: int = 15,
    ax: Axes | None = None,
) -> Axes:
    """Write a GIF in which the paths of several optimizers grow over the level curves, step by step.

    All are shown at the same step, which stands above; one that has ended waits where it is. The last picture is held
    for a second.

    Args:
        fun, xlim, ylim, minimizers, levels, log: see `plots.contour`.
        paths: as in `plots.contour`; at least one.
        file: where to write, ending in ".gif".
        frames: how many pictures at most, at least 2; of longer paths they are spread evenly over the steps.
        frames_per_second: from 1 to 50, which browsers can show.
        ax: where to draw; None makes a figure. It has the last picture in the end.

    Returns:
        The `ax`.

    Raises:
        TypeError, ValueError: see `plots.contour`; if `file`, `frames` or `frames_per_second` are out of range.

    >>> import funcgd as fg, tempfile
    >>> from funcgd import plots
    >>> p = fg.problems.booth()
    >>> run = fg.minimize(p.fun, p.x0, fg.sgd(0.05), max_steps=2, record=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ax = plots.race(p.fun, {"gradient descent": run}, (-5, 5), (-5, 5), f"{folder}/race.gif")
    >>> ax.get_title()
    'step 2'
    """
    who = "race"
    xlim, ylim = limits(who, "xlim", xlim), limits(who, "ylim", ylim)
    points = {name: as_path(who, name, path) for name, path in by_name(who, "paths", paths, "paths").items()}
    file, frames, rate = Path(file), _count("frames", frames, 2), _count("frames_per_second", frames_per_second, 1)
    if file.suffix.lower() != ".gif" or not file.parent.is_dir():
        raise ValueError(f'race: `file` must end in ".gif" and be in a folder that exists, got {str(file)!r}.')
    if rate > 50:
        raise ValueError(f"race: `frames_per_second` must be at most 50, got {rate}.")
    stars = as_points(who, minimizers)
    x, y, values = on_grid(who, fun, xlim, ylim)
    chosen = levels_of(who, values, levels, log)
    own = ax is None
    ax = axes(ax, map_size(xlim, ylim))
    draw_levels(ax, x, y, values, chosen)
    mark_minimizers(ax, stars)
    trails = []
    for (name, path), style in zip(points.items(), path_styles(points), strict=True):
        (trail,) = ax.plot([], [], label=name, **style | {"markersize": 8, "markeredgecolor": "white"})
        trails.append((path, trail))
    ax.legend(loc="upper left", fontsize="small")
    last = max(map(len, points.values())) - 1
    steps = np.unique(np.linspace(0, last, min(frames, last + 1)).round().astype(int))
    figure: Any = ax.figure.figure  # the whole, where `ax` is in a subfigure
    writer = PillowWriter(fps=rate)
    with writer.saving(figure, str(file), dpi=80):
        for step in [*steps, *[steps[-1]] * rate]:
            for path, trail in trails:
                trail.set_data(*path[: step + 1].T)
                trail.set_markevery([min(step, len(path) - 1)])  # the runner
            ax.set_title(f"step {step}")
            writer.grab_frame()
            if own:
                figure.set_layout_engine("none")  # what the first picture has found holds for all
    return ax


def _count(name: str, given: Any, least: int) -> int:
    try:
        return as_count(given, least)
    except (TypeError, ValueError) as error:
        raise type(error)(f"race: `{name}`: {error}") from error
