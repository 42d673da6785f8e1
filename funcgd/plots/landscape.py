"""A loss landscape as a surface."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from funcgd.plots.figure import axes, real_array


def landscape(x: Any, y: Any, values: Any, *, log: bool = False, zlabel: str = "loss", ax: Axes | None = None) -> Axes:
    """A loss over two directions, as a surface above the plane.

    Args:
        x, y: the coordinates along the first and second direction, shapes (n,) and (m,), rising.
        values: the loss at (x[i], y[j]), shape (n, m); what is not finite is a hole.
        log: whether to draw log₁₀ of the loss, which is positive then.
        zlabel: what the values are.
        ax: where to draw, of `projection="3d"`; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if something is no array of numbers.
        ValueError: if shapes do not fit, `ax` is flat, or a value is not positive where `log`.

    Of an `fg.loss_landscape`, take `a`, `b` and `loss`.

    >>> import numpy as np
    >>> from funcgd import plots
    >>> x, y = np.linspace(-1, 1, 9), np.linspace(-2, 2, 5)
    >>> ax = plots.landscape(x, y, x[:, None] ** 2 + y**2)
    >>> ax.name
    '3d'
    """
    x, y = (real_array("landscape", name, a, "(n,)", (1,)) for name, a in (("x", x), ("y", y)))
    z = real_array("landscape", "values", values, f"({len(x)}, {len(y)})", (2,))
    if z.shape != (len(x), len(y)):
        raise ValueError(f"landscape: `values` must have shape ({len(x)}, {len(y)}), as x and y, got {z.shape}.")
    if np.any(np.diff(x) <= 0) or np.any(np.diff(y) <= 0):
        raise ValueError("landscape: `x` and `y` must rise.")
    z = np.where(np.isfinite(z), z, np.nan)
    if log and np.any(z <= 0):
        raise ValueError(f"landscape: `values` must be positive, or log=False; got {np.nanmin(z):g}.")
    surface: Any = axes(ax, projection="3d") if ax is None else ax
    if surface.name != "3d":
        raise ValueError('landscape: `ax` must have projection="3d", got a flat one.')
    a, b = np.meshgrid(x, y, indexing="ij")
    surface.plot_surface(a, b, np.log10(z) if log else z, cmap="viridis", rcount=60, ccount=60, linewidth=0.1)
    surface.set(xlabel="direction 1", ylabel="direction 2", zlabel=f"log₁₀ {zlabel}" if log else zlabel)
    for axis in (surface.xaxis, surface.yaxis, surface.zaxis):
        axis.set_major_locator(MaxNLocator(5))
    surface.view_init(elev=32, azim=-58)
    return surface
