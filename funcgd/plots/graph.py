"""A computational graph, drawn."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from funcgd.calculus.computational_graph import ComputationalGraph
from funcgd.calculus.graph_table import short
from funcgd.core.fields import describe
from funcgd.plots.figure import BLUE, VERMILLION, axes

ACROSS, DOWN = 2.2, 1.15  # from layer to layer and from position to position, in inches of a figure made here
WIDTH, HEIGHT = 1.36, 0.72  # of a node
BENDS = (0.0, *(sign * 0.06 * k for k in range(1, 11) for sign in (1, -1)))  # of an edge, the least first
ALONG = np.linspace(0, 1, 201)

Place = tuple[float, float]


def graph(drawn: ComputationalGraph, *, ax: Axes | None = None) -> Axes:
    """The computational graph of a function: values go from left to right, gradients come back.

    Each node has its operation, its value (blue, →) and its gradient ∂f/∂node (vermillion, ←); each edge has its local
    gradient. Arrays are shown by shape and norm. The node of f has a thick frame, constants are grey.

    Args:
        drawn: what `fg.computational_graph` returned.
        ax: where to draw; None makes a figure of fitting size.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `drawn` is something else.

    >>> import funcgd as fg
    >>> from funcgd import plots
    >>> ax = plots.graph(fg.computational_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0))
    >>> [text.get_text() for text in ax.texts[:3]]
    ['x', '→ −2', '← −4']
    """
    if not isinstance(drawn, ComputationalGraph):
        raise TypeError(f"graph: `drawn` must be a fg.computational_graph(fun, *args), got {describe(drawn)}.")
    places = {node.name: (ACROSS * node.layer, -DOWN * node.position) for node in drawn.nodes}
    bends = _bends([(edge.source, edge.target) for edge in drawn.edges], places)
    curves = [
        _curve(places[edge.source], places[edge.target], bend) for edge, bend in zip(drawn.edges, bends, strict=True)
    ]
    everything = np.concatenate([np.array(list(places.values())), *curves])
    room = np.array([WIDTH, HEIGHT]) / 2 + 0.2
    low, high = everything.min(axis=0) - room, everything.max(axis=0) + room
    ax = axes(ax, figsize=tuple(high - low))
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set_axis_off()
    boxes = {node.name: _node(ax, node, places[node.name], node.name == drawn.output) for node in drawn.nodes}
    for i, (edge, bend, curve) in enumerate(zip(drawn.edges, bends, curves, strict=True)):
        _arrow(ax, boxes[edge.source], boxes[edge.target], places[edge.source], places[edge.target], bend)
        if edge.local_gradient is not None:
            x, y = _label_place(curve, list(places.values()), curves[:i] + curves[i + 1 :])
            label = _text(edge.local_gradient, 3).replace(") ", ")\n")
            background = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            ax.text(x, y, label, ha="center", va="center", fontsize=8, color="0.25", bbox=background, zorder=1.5)
    return ax


def _node(ax: Axes, node: Any, place: Place, is_output: bool) -> FancyBboxPatch:
    x, y = place
    constant = node.op == "constant"
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor="0.93" if constant else "white",
        edgecolor="0.6" if constant else "black",
        linewidth=2.2 if is_output else 1.0,
        zorder=2,
    )
    ax.add_patch(box)
    title = node.name if node.op in ("input", "constant") else f"{node.name} = {node.op}"
    lines = [(title, "black"), (f"→ {_text(node.value)}", BLUE)]
    if node.gradient is not None:
        lines.append((f"← {_text(node.gradient)}", VERMILLION))
    for i, (text, colour) in enumerate(lines):
        height = y + 0.21 * ((len(lines) - 1) / 2 - i)
        ax.text(x, height, text, ha="center", va="center", fontsize=9, color=colour, zorder=3)
    return box


def _arrow(ax: Axes, source: FancyBboxPatch, target: FancyBboxPatch, a: Place, b: Place, bend: float) -> None:
    arrow = FancyArrowPatch(
        a,
        b,
        patchA=source,
        patchB=target,
        arrowstyle="-|>",
        mutation_scale=11,
        connectionstyle=f"arc3,rad={bend}",
        color="0.4",
        linewidth=1.0,
        zorder=1,
    )
    ax.add_patch(arrow)


def _bends(ends: list[tuple[str, str]], places: dict[str, Place]) -> list[float]:
    """For each edge the least bend that leads around other nodes; each of several with the same ends has its own."""
    bends: list[float] = []
    for source, target in ends:
        a, b = places[source], places[target]
        others = [place for place in places.values() if place not in (a, b)]
        used = [bend for end, bend in zip(ends, bends, strict=False) if end == (source, target)]
        several = ends.count((source, target)) > 1
        free = [bend for bend in BENDS if bend not in used and (abs(bend) > 0.1 or not several)] or BENDS
        hidden = [_covered(_curve(a, b, bend), others, margin=0.02).sum() for bend in free]
        bends.append(free[int(np.argmin(hidden))])
    return bends


def _label_place(curve: np.ndarray, nodes: list[Place], others: list[np.ndarray]) -> np.ndarray:
    """A point of the curve that is on no node and, if there is one, on no other curve, near the middle."""
    seen = curve[~_covered(curve, nodes, margin=0.1)]
    seen = seen if len(seen) else curve
    candidates = [seen[int(share * (len(seen) - 1))] for share in (0.5, 0.25, 0.75, 0.0, 1.0)]
    room = [min((np.linalg.norm(other - at, axis=1).min() for other in others), default=1.0) for at in candidates]
    return candidates[int(np.argmax(np.minimum(room, 0.15)))]


def _curve(a: Place, b: Place, bend: float) -> np.ndarray:
    """Points of the parabola that Matplotlib calls arc3, from a to b: (points, 2)."""
    (ax, ay), (bx, by) = a, b
    control = (ax + bx) / 2 + bend * (by - ay), (ay + by) / 2 - bend * (bx - ax)
    t = ALONG[:, None]
    return (1 - t) ** 2 * np.array(a) + 2 * t * (1 - t) * np.array(control) + t**2 * np.array(b)


def _covered(curve: np.ndarray, nodes: list[Place], margin: float = 0.0) -> np.ndarray:
    """Which points of a curve lie on one of the nodes."""
    half = np.array([WIDTH, HEIGHT]) / 2 + margin
    return np.any([np.all(abs(curve - node) <= half, axis=1) for node in nodes] or [np.zeros(len(curve), bool)], axis=0)


def _text(x: Any, digits: int = 6) -> str:
    if isinstance(x, tuple):
        return "; ".join(_text(part, digits) for part in x)
    if np.ndim(x) and jnp.issubdtype(x.dtype, jnp.floating):
        shape = "×".join(map(str, x.shape))
        return f"({shape}) ‖{np.linalg.norm(np.asarray(x, np.float64).ravel()):.3g}‖".replace("-", "−")
    return short(x, digits).replace("-", "−")
