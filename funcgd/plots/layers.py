"""What a diagnosis says of each layer: how much gradient arrives there, and which units are dead or saturated."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from funcgd.plots.figure import BLUE, GREY, VERMILLION, axes, bare, by_name, real_array

LABELLED = 12  # layers up to which bars have their number


def gradient_norms(
    norms: Mapping[str, float],
    *,
    bound: Mapping[str, float] | None = None,
    ylabel: str = "gradient norm ‖∂C/∂W‖",
    ax: Axes | None = None,
) -> Axes:
    """The norm of the gradient in each layer, from the input to the output, on a logarithmic axis.

    A straight line is a constant factor from layer to layer: that falls towards the input where gradients vanish, and
    rises where they explode. A 0 stands at the lower edge, ∞ and NaN at the upper one, in words.

    Args:
        norms: for each layer a number that is at least 0, in the order of the layers.
        bound: an upper bound for the same layers, such as ∏ σ′max‖W‖, drawn as a line of its own; None or
            empty where there is none.
        ylabel: what the numbers are.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if something is no mapping to numbers.
        ValueError: if a number is negative, or the layers of `bound` are others.

    Of an `fg.diagnose`, take `gradient_ratio` with its `bound`, or `weight_gradient_norm`.

    >>> from funcgd import plots
    >>> ax = plots.gradient_norms({"hidden 1": 1e-6, "hidden 2": 1e-4, "output": 1e-2})
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['hidden 1', 'hidden 2', 'output']
    """
    measured = _numbers("gradient_norms", "norms", norms)
    above = {} if not bound else _numbers("gradient_norms", "bound", bound)
    if above and list(above) != list(measured):
        raise ValueError(
            f"gradient_norms: `bound` must have the layers of `norms`, {', '.join(measured)}; got {', '.join(above)}."
        )
    ax = axes(ax)
    if above:
        _draw_norms(ax, above, GREY, linestyle="--", label="bound")
    _draw_norms(ax, measured, BLUE, marker="o", label="measured")
    ax.set(yscale="log", ylabel=ylabel)
    _name_layers(ax, measured)
    ax.grid(axis="y", linewidth=0.4, color="0.85")
    if above:
        ax.legend(fontsize="small")
    bare(ax)
    return ax


def unit_shares(
    dead: Mapping[str, float] | None = None, saturated: Mapping[str, float] | None = None, *, ax: Axes | None = None
) -> Axes:
    """The shares of dead and of saturated units in each layer, as bars from 0 to 100 %.

    Args:
        dead: for each layer a share from 0 to 1; a layer of which nothing is known is left out, or NaN.
        saturated: the same of saturated units.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if something is no mapping to numbers.
        ValueError: if both are missing or empty, or a number is not a share.

    Of an `fg.diagnose`, take `dead` and `saturated`.

    >>> from funcgd import plots
    >>> ax = plots.unit_shares(dead={"hidden 1": 0.0, "hidden 2": 0.25})
    >>> [float(bar.get_height()) for bar in ax.patches]
    [0.0, 25.0]
    """
    given = {"dead": dead, "saturated": saturated}
    shares = {name: _numbers("unit_shares", name, x) for name, x in given.items() if x}
    if not shares:
        raise ValueError("unit_shares: `dead` or `saturated` must be given, got neither.")
    for name, by_layer in shares.items():
        for layer, share in by_layer.items():
            if share > 1:
                raise ValueError(f"unit_shares: `{name}[{layer!r}]` must be from 0 to 1, got {share:g}.")
    layers = list(dict.fromkeys(layer for by_layer in shares.values() for layer in by_layer))
    ax = axes(ax)
    width = 0.8 / len(shares)
    known_of = {name: [layer for layer, share in x.items() if not np.isnan(share)] for name, x in shares.items()}
    for name, by_layer in shares.items():
        known = known_of[name]
        beside = [sum(layer in other for other in known_of.values()) == 2 for layer in known]  # or alone, in the middle
        side = -width / 2 if name == "dead" else width / 2
        places = [layers.index(layer) + side * pair for layer, pair in zip(known, beside, strict=True)]
        colour, hatch = {"dead": (VERMILLION, None), "saturated": (BLUE, "////")}[name]
        percent = [100 * by_layer[layer] for layer in known]
        bars = ax.bar(places, percent, 0.94 * width, color=colour, hatch=hatch, edgecolor="white", label=name)
        if len(layers) <= LABELLED:
            ax.bar_label(bars, fmt="%.0f", padding=2, fontsize="small")
    ax.set(ylim=(0, 108), yticks=range(0, 101, 25), ylabel="share of units in %")
    _name_layers(ax, layers)
    if len(shares) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize="small")
    else:
        ax.set_ylabel(f"share of {next(iter(shares))} units in %")
    bare(ax)
    return ax


def _draw_norms(ax: Axes, norms: dict[str, float], colour: str, **style: Any) -> None:
    values = np.array(list(norms.values()))
    shown = np.isfinite(values) & (values > 0)
    ax.plot(np.arange(len(values)), np.where(shown, values, np.nan), color=colour, linewidth=1.8, **style)
    edge = {"transform": ax.get_xaxis_transform(), "ha": "center", "color": colour}
    for place in map(int, np.flatnonzero(~shown)):
        if values[place] == 0:
            ax.text(place, 0.02, "0", va="bottom", **edge)
        else:
            ax.text(place, 0.98, "∞" if np.isinf(values[place]) else "NaN", va="top", **edge)


def _numbers(who: str, what: str, x: Mapping[str, float]) -> dict[str, float]:
    numbers = {
        layer: float(real_array(who, f"{what}[{layer!r}]", y, "()", (0,)))
        for layer, y in by_name(who, what, x, "numbers").items()
    }
    for layer, y in numbers.items():
        if y < 0:
            raise ValueError(f"{who}: `{what}[{layer!r}]` must be at least 0, got {y:g}.")
    return numbers


def _name_layers(ax: Axes, layers: Mapping[str, float] | list[str]) -> None:
    long = sum(map(len, layers)) > 50
    ax.set_xticks(range(len(layers)), list(layers), rotation=40 if long else 0, ha="right" if long else "center")
    ax.set_xlim(-0.6, len(layers) - 0.4)
    ax.set_xlabel("layer, from input to output")
