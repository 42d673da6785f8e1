"""Pictures: contour maps with paths, learning curves, what a diagnosis found. Needs the extra `plot` (matplotlib)."""

from funcgd.plots import figure as figure  # first, because it says what to install where matplotlib is missing
from funcgd.plots.contour import contour
from funcgd.plots.graph import graph
from funcgd.plots.landscape import landscape
from funcgd.plots.layers import gradient_norms, unit_shares
from funcgd.plots.learning_curves import learning_curves
from funcgd.plots.level_curves import level_curves
from funcgd.plots.race import race
from funcgd.plots.schedules import schedules
from funcgd.plots.sweep_map import sweep_map

__all__ = [
    "contour",
    "gradient_norms",
    "graph",
    "landscape",
    "learning_curves",
    "level_curves",
    "race",
    "schedules",
    "sweep_map",
    "unit_shares",
]
