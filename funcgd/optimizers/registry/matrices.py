"""Steps for matrices as wholes: orthogonalised, or preconditioned from both sides."""

from funcgd.optimizers.registry.row import Row

ROWS: tuple[Row, ...] = ()
