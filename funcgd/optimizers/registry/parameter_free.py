"""Steps whose length is found, not chosen."""

from funcgd.optimizers.registry.row import Row

ROWS: tuple[Row, ...] = ()
