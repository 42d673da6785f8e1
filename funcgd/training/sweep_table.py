"""What `sweep` returns: a table with one row for each member, and the best of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.stop import StopReason
from funcgd.core.values import code
from funcgd.training import partition
from funcgd.training.sweep_slice import Ended

SHOWN = 10  # rows that are printed: what one looks at


class Sweep(NamedTuple):
    """What `fg.sweep` returns.

    >>> import funcgd as fg, numpy as np
    >>> table = {"learning_rate": np.array([0.1, 0.01]), "value": np.array([2.5, 0.5])}
    >>> fg.Sweep(table, best=None, tx=fg.sgd(0.01), value=0.5, index=1, params=None, model_state=None, history={})
    Sweep of 2 members; by value:
    member  learning_rate  value
         1           0.01    0.5
         0            0.1    2.5
    The best: sgd(learning_rate=0.01)
    """

    table: dict[str, np.ndarray]  # columns by name, a row for each member
    best: Any  # the parameters of the lowest monitored value of all
    tx: Any  # the optimizer that found them
    value: float  # that value; ∞ if every member failed
    index: int  # the member that found them
    params: Any  # the last parameters of all members, stacked, NumPy arrays
    model_state: Any  # what the model remembers, as it was with `best`
    history: dict[str, np.ndarray]  # (members, epochs) each, NaN behind the end of a member

    def __repr__(self) -> str:
        order = np.argsort(self.table["value"], kind="stable")
        rows = [["member", *self.table]]
        rows += [[str(i), *(short(column[i]) for column in self.table.values())] for i in order[:SHOWN]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        more = [f"… and {len(order) - SHOWN} more"] if len(order) > SHOWN else []
        return "\n".join([f"Sweep of {len(order)} members; by value:", *lines, *more, f"The best: {self.tx!r}"])


def short(x: Any) -> str:
    """A cell of the table: four digits of a number."""
    if np.ndim(x):
        return code(np.asarray(x))
    return f"{x:.4g}" if isinstance(x, np.floating) else str(x)


def gather(columns: dict[str, np.ndarray], slices: list[Ended], optimizer: Callable[[int], Any]) -> Sweep:
    """The `Sweep` of members that were trained in `slices`.

    Args:
        columns: what is known of the members beforehand, a column for each name.
        slices: of equal size; the last one may have too many members.
        optimizer: gives the optimizer of a member.
    """
    count, at_once = len(columns["key"]), len(slices[0].values)
    joined = jax.tree.map(lambda *parts: _joined(parts)[:count], *[x._replace(history=None, best=None) for x in slices])
    epochs = max((x.shape[1] for part in slices for x in part.history.values()), default=0)
    names = dict.fromkeys(["loss", *(name for part in slices for name in part.history)])
    history = {name: np.concatenate([_column(part, name, epochs) for part in slices])[:count] for name in names}
    failed = joined.reasons == StopReason.NON_FINITE
    ends = {name: _last(rows) for name, rows in history.items()}
    results = {
        "loss": np.where(failed, np.nan, ends.pop("loss")),
        **ends,
        "value": joined.values,
        "steps": joined.steps,
        "reason": np.array([StopReason(code).name for code in joined.reasons]),
    }
    columns = {f"tx.{name}" if name in results else name: column for name, column in columns.items()}
    index = int(np.argmin(joined.values))
    best, model_state = jax.tree.map(jnp.asarray, slices[index // at_once].best)
    return Sweep(
        table=columns | results,
        best=partition.unpack(best),
        tx=optimizer(index),
        value=float(joined.values[index]),
        index=index,
        params=partition.unpack(joined.params),
        model_state=model_state,
        history=history,
    )


def _joined(parts: tuple) -> Any:
    arrays = all(isinstance(x, np.ndarray) for x in parts)
    return np.concatenate(parts) if arrays else jnp.concatenate(parts)  # random keys are no NumPy arrays


def _column(part: Ended, name: str, epochs: int) -> np.ndarray:
    rows = part.history.get(name, np.empty((len(part.values), 0)))
    return np.pad(rows, ((0, 0), (0, epochs - rows.shape[1])), constant_values=np.nan)


def _last(rows: np.ndarray) -> np.ndarray:
    """The last number of each row that is not NaN; NaN if there is none."""
    found = np.full(len(rows), np.nan)
    for column in rows.T:
        found = np.where(np.isnan(column), found, column)
    return found
