"""What all pictures share: a place to draw, colours that everybody can tell apart, and checks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from funcgd.core.fields import describe

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
except ImportError as error:
    raise ImportError('funcgd.plots needs matplotlib: pip install "funcgd[plot]".') from error

# Okabe, Ito, Color universal design, 2008: for all kinds of colour vision. Their yellow is too pale for lines.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "0.45"


def axes(ax: Axes | None, figsize: tuple[float, float] | None = None, **options: Any) -> Axes:
    """`ax`, or that of a new figure."""
    return plt.subplots(figsize=figsize, layout="constrained", subplot_kw=options)[1] if ax is None else ax


def styles(names: Any) -> dict[str, dict[str, Any]]:
    """A colour and a kind of line for each name; the kinds differ, too, for prints without colour."""
    return {
        name: {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]} for i, name in enumerate(names)
    }


def path_styles(names: Any) -> list[dict[str, Any]]:
    """A colour and a marker for each name; the lines are solid, because dashes would look like steps."""
    return [
        {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "linewidth": 1.5}
        for i, _ in enumerate(names)
    ]


def bare(ax: Axes) -> None:
    """No frame at the top and on the right, where nothing is read off."""
    ax.spines[["top", "right"]].set_visible(False)


def by_name(who: str, what: str, x: Any, content: str) -> dict[str, Any]:
    """`x` as a dict with at least one entry, its names as text."""
    if not isinstance(x, Mapping):
        raise TypeError(f"{who}: `{what}` must be a mapping of names to {content}, got {describe(x)}.")
    if not x:
        raise ValueError(f"{who}: `{what}` must have at least one entry, got none.")
    return {str(name): part for name, part in x.items()}


def real_array(who: str, what: str, x: Any, shape: str, dimensions: tuple[int, ...]) -> np.ndarray:
    """`x` as float64, with at least one entry and so many dimensions."""
    try:
        a = np.asarray(x)
        if np.iscomplexobj(a):
            raise TypeError
        a = a.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{who}: `{what}` must be an array of real numbers, got {describe(x)}.") from None
    if a.ndim not in dimensions or not a.size:
        raise ValueError(f"{who}: `{what}` must have shape {shape}, got {a.shape}.")
    return a
