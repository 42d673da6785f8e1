"""What a run leaves behind: which of its steps are recorded, and the arrays made of them."""

from typing import Any

import numpy as np

from funcgd.core.fields import as_count, static
from funcgd.core.values import value


@value
class History:
    """What `fit` records inside its compiled chunks: of every `every`-th step the loss, what it reports, and more.

    Args:
        every: record the steps 0, every, 2·every, …
        norms: record "gradient_norm" (before the optimizer clips it), "update_norm" and "update_ratio" = ‖u‖/‖θ‖.
        hyperparameters: record the effective hyperparameters, such as "learning_rate"; in a chain "adam.learning_rate".

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: jnp.mean((w - batch) ** 2)
    >>> options = dict(batch_size=None, epochs=9, key=jax.random.key(0), progress=False)
    >>> options["history"] = fg.History(every=4, norms=True)
    >>> run = fg.fit(loss, jnp.array(1.0), fg.sgd(0.25), jnp.zeros(4), **options)
    >>> run.history["step"].tolist(), run.history["gradient_norm"].tolist()
    ([0, 4, 8], [2.0, 0.125, 0.0078125])
    """

    every: int = static(convert=as_count, default=1)
    norms: bool = static(default=False)
    hyperparameters: bool = static(default=False)


class Log:
    """The rows of a run, on the host."""

    def __init__(self, every: int):
        self.every = every
        self._rows: dict[str, list[np.ndarray]] = {}
        self._validation: dict[str, list[float]] = {}
        self._chunks: dict[str, list[float]] = {}

    def record(self, first: int, losses: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Keep what steps from step `first` on have recorded: `rows` of those that were due. Returns what is kept."""
        steps = np.arange(-(-first // self.every) * self.every, first + len(losses), self.every, dtype=np.int32)
        kept = {"step": steps, "loss": losses[steps - first]}
        kept |= {name: column[: len(steps)] for name, column in rows.items()}
        for name, column in kept.items():
            self._rows.setdefault(name, []).append(column)
        return kept

    def validated(self, row: dict[str, float]) -> None:
        """Keep the row of an epoch's end."""
        _append(self._validation, row)

    def measured(self, row: dict[str, float]) -> None:
        """Keep the row of a chunk."""
        _append(self._chunks, row)

    def arrays(self) -> dict[str, Any]:
        """All of it: one array for each column, and the dicts "validation" and "chunks" of such."""
        found: dict[str, Any] = {name: np.concatenate(columns) for name, columns in self._rows.items()}
        for title, columns in (("validation", self._validation), ("chunks", self._chunks)):
            if columns:
                found[title] = {name: np.array(column) for name, column in columns.items()}
        return found

    def restore(self, arrays: dict[str, Any]) -> None:
        """Begin with what `arrays()` gave before."""
        self._rows = {name: [x] for name, x in arrays.items() if not isinstance(x, dict)}
        self._validation = {name: x.tolist() for name, x in arrays.get("validation", {}).items()}
        self._chunks = {name: x.tolist() for name, x in arrays.get("chunks", {}).items()}


def _append(columns: dict[str, list[float]], row: dict[str, float]) -> None:
    for name, x in row.items():
        columns.setdefault(name, []).append(x)
