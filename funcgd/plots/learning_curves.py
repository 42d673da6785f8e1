"""Learning curves, with bands over seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from funcgd.plots.figure import axes, bare, by_name, real_array, styles


def learning_curves(
    curves: Mapping[str, Any], steps: Any = None, *, log: bool = True, xlabel: str = "epoch", ax: Axes | None = None
) -> Axes:
    """Losses over time: for each name the mean over seeds, in a band of one standard deviation to either side.

        mean ± √(Σ (yₛ − mean)² / (S − 1)) over the S seeds

    On a logarithmic axis a band that would reach 0 ends at the lowest seed. A curve ends where the first of its seeds
    ends (NaN): a mean over those left would compare other seeds than before.

    Args:
        curves: for each name an array (seeds, times), such as rows of `fg.sweep(…).history["loss"]`, or (times,).
        steps: where the times are, shape (times,); None is 1, 2, ….
        log: whether the vertical axis is logarithmic; then all values are positive.
        xlabel: what a time is.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `curves` is no mapping to arrays of numbers.
        ValueError: if shapes do not fit, or a value is not positive where `log`.

    >>> import numpy as np
    >>> from funcgd import plots
    >>> ax = plots.learning_curves({"sgd": np.array([[4.0, 2.0], [2.0, 1.0]])})
    >>> ax.lines[0].get_ydata().tolist()
    [3.0, 1.5]
    """
    rows = {
        name: np.atleast_2d(real_array("learning_curves", f"curves[{name!r}]", y, "(seeds, times) or (times,)", (1, 2)))
        for name, y in by_name("learning_curves", "curves", curves, "arrays").items()
    }
    for name, y in rows.items():
        if log and np.any(y <= 0):
            raise ValueError(
                f"learning_curves: `curves[{name!r}]` must be positive, or log=False; got {np.nanmin(y):g}."
            )
    x = None if steps is None else real_array("learning_curves", "steps", steps, "(times,)", (1,))
    ax = axes(ax)
    for (name, y), style in zip(rows.items(), styles(rows).values(), strict=True):
        times = np.arange(1, y.shape[1] + 1) if x is None else x
        if len(times) != y.shape[1]:
            raise ValueError(
                f"learning_curves: `steps` must have shape ({y.shape[1]},) for `curves[{name!r}]`, got {times.shape}."
            )
        y = np.where(np.isfinite(y), y, np.nan)
        mean = y.mean(axis=0)
        ax.plot(times, mean, label=name, linewidth=1.8, **style)
        if len(y) > 1:
            deviation = y.std(axis=0, ddof=1)
            low = np.where(log & (deviation >= mean), y.min(axis=0), mean - deviation)
            ax.fill_between(times, low, mean + deviation, color=style["color"], alpha=0.2, linewidth=0)
    ax.set(xlabel=xlabel, ylabel="loss", yscale="log" if log else "linear")
    if x is None:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    several = max(len(y) for y in rows.values()) > 1
    ax.legend(fontsize="small", title="mean ± one standard deviation" if several else None, title_fontsize="x-small")
    bare(ax)
    return ax
