"""All rows, chapter by chapter."""

from funcgd.optimizers.registry import averages, descent, layers, matrices, moments, parameter_free
from funcgd.optimizers.registry.row import Row

CHAPTERS: dict[str, tuple[Row, ...]] = {
    "Descent and momentum": descent.ROWS,
    "Adaptive moments": moments.ROWS,
    "Layer by layer": layers.ROWS,
    "Matrices": matrices.ROWS,
    "Averages, and looks around": averages.ROWS,
    "Steps whose length is found": parameter_free.ROWS,
}
ROWS = {row.name: row for rows in CHAPTERS.values() for row in rows}
