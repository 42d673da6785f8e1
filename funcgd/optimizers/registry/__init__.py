"""One row for each named optimizer: what tables and tests are made from."""

from funcgd.optimizers.registry.chapters import CHAPTERS, ROWS
from funcgd.optimizers.registry.row import Row

__all__ = ["CHAPTERS", "ROWS", "Row"]
