"""A graph as a table of text."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """The rows as lines whose columns stand under each other.

    >>> from funcgd.calculus.graph_table import table
    >>> print(table([("name", "value"), ("x", "-2"), ("v1", "3")]))
    name  value
    x     -2
    v1    3
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def short(x: Any, digits: int = 6) -> str:
    """A number by its first digits, an array by its shape and norm, a tuple by its parts, and – for None.

    >>> import jax.numpy as jnp
    >>> from funcgd.calculus.graph_table import short
    >>> short(jnp.float32(0.25)), short(jnp.array([3.0, 4.0])), short(None)
    ('0.25', '(2,) ‖5‖', '–')
    """
    if x is None:
        return "–"
    if isinstance(x, (list, tuple)):
        return "; ".join(short(part, digits) for part in x)
    if jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return str(x.dtype)
    a = np.asarray(x)
    if not jnp.issubdtype(a.dtype, jnp.inexact):
        return str(a[()]) if a.ndim == 0 else f"{a.shape} {a.dtype}"
    a = a.astype(np.complex128 if np.iscomplexobj(a) else np.float64)
    return f"{a[()]:.{digits}g}" if a.ndim == 0 else f"{a.shape} ‖{np.linalg.norm(a.ravel()):.{digits}g}‖"
