"""The results of a sweep as a heat map over two hyperparameters."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator

from funcgd.plots.figure import VERMILLION, axes, by_name, real_array

WRITTEN = 120  # cells up to which each has its number


def sweep_map(found: Any, x: str, y: str, *, column: str = "value", log: bool = False, ax: Axes | None = None) -> Axes:
    """A heat map of what `fg.sweep` found: a cell for each pair of hyperparameters, the mean over all its members.

    The lowest cell has a frame. A pair with a failed member, whose value is infinite or NaN, has a cross; a pair
    without members is empty. `ax.images[0].get_array()` are the means, with a row for each y, the lowest first.

    Args:
        found: what `fg.sweep` returned, or its `table`.
        x, y: the columns of the hyperparameters, such as "learning_rate" and "b1".
        column: what is shown: "value", "loss", "validation loss", "steps" or another score.
        log: whether colours are at equal ratios; then all means are positive.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `found` has no table.
        ValueError: if a column is unknown or not of numbers, or a mean is not positive where `log`.

    >>> import numpy as np
    >>> from funcgd import plots
    >>> table = {"learning_rate": [0.1, 0.1, 0.2, 0.2], "b1": [0.0, 0.9, 0.0, 0.9], "value": [4.0, 3.0, 2.0, 1.0]}
    >>> plots.sweep_map(table, "learning_rate", "b1").images[0].get_array().tolist()
    [[4.0, 2.0], [3.0, 1.0]]
    """
    table = by_name("sweep_map", "found", getattr(found, "table", found), "columns")
    for name in (x, y, column):
        if name not in table:
            raise ValueError(f"sweep_map: `{name}` must be a column, one of {', '.join(table)}.")
    a, b, z = (real_array("sweep_map", name, table[name], "(members,)", (1,)) for name in (x, y, column))
    if not len(a) == len(b) == len(z):
        raise ValueError(f"sweep_map: columns must have the same length, got {len(a)}, {len(b)} and {len(z)}.")
    xs, i = np.unique(a, return_inverse=True)
    ys, j = np.unique(b, return_inverse=True)
    count, total = np.zeros((len(ys), len(xs))), np.zeros((len(ys), len(xs)))
    np.add.at(count, (j, i), 1)
    np.add.at(total, (j, i), z)
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    known = np.isfinite(means)
    if log and np.any(means[known] <= 0):
        raise ValueError(f"sweep_map: `{column}` must be positive, or log=False; got {means[known].min():g}.")
    if not known.any():
        raise ValueError(f"sweep_map: `{column}` must be finite for some pair, got none.")
    ax = axes(ax)
    norm = LogNorm() if log else None
    image = ax.imshow(np.ma.array(means, mask=~known), origin="lower", aspect="auto", cmap="viridis", norm=norm)
    _write(ax, image, means, known, count)
    ax.set_xticks(range(len(xs)), [f"{number:.3g}" for number in xs])
    ax.set_yticks(range(len(ys)), [f"{number:.3g}" for number in ys])
    ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    several = count.max() > 1
    bar = ax.figure.colorbar(image, ax=ax, label=f"mean {column}" if several else column)
    if log:
        low, high = image.get_clim()
        ticks = [tick for tick in LogLocator(subs=(1, 2, 5)).tick_values(low, high) if low <= tick <= high]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
    bar.outline.set_visible(False)
    return ax


def _write(ax: Axes, image: Any, means: np.ndarray, known: np.ndarray, count: np.ndarray) -> None:
    shades = image.cmap(image.norm(image.get_array()))
    dark = shades[..., :3] @ np.array([0.299, 0.587, 0.114]) < 0.5  # as bright as the eye sees red, green and blue
    for (row, col), mean in np.ndenumerate(means):
        if known[row, col] and means.size <= WRITTEN:
            colour = "white" if dark[row, col] else "black"
            ax.text(col, row, f"{mean:.3g}", ha="center", va="center", fontsize=8, color=colour)
        elif not known[row, col] and count[row, col]:
            ax.text(col, row, "×", ha="center", va="center", fontsize=12, color="0.3")
    row, col = np.unravel_index(np.where(known, means, np.inf).argmin(), means.shape)
    frame = Rectangle((float(col) - 0.5, float(row) - 0.5), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2.5)
    ax.add_patch(frame)
