"""Averages of parameters, and looks ahead or around."""

from funcgd.optimizers.registry.row import Row

ROWS: tuple[Row, ...] = ()
