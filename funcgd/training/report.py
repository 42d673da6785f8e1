"""What `fit` tells its hooks after every chunk of steps."""

from typing import Any, NamedTuple

import numpy as np


class ChunkReport(NamedTuple):
    """What a hook of `fit` gets after every chunk of steps.

    A hook is any `hook(report) -> None`. It may have `start(step)`, called once before the first chunk with the step
    that the run starts at, and `close()`, called at the end, also after an exception.

    >>> import funcgd as fg, numpy as np
    >>> rows = {"step": np.arange(2), "loss": np.array([0.5, 0.25])}
    >>> report = fg.ChunkReport(2, 0.5, rows, {"loss": 0.375}, 1e4, state=None, tx=fg.sgd(0.1))
    >>> report.step, report.history["loss"].tolist(), report.shown
    (2, [0.5, 0.25], {'loss': 0.375})
    """

    step: int  # updates made so far
    epoch: float  # passes over the data so far; nan where the length of the data is unknown
    history: dict[str, np.ndarray]  # what was recorded in the chunk: by name, one row per recorded step, maybe none
    shown: dict[str, float]  # what the progress bar shows: "loss" (mean over the chunk), "validation loss", …
    examples_per_second: float
    state: Any  # the TrainState after the chunk
    tx: Any  # the optimizer
