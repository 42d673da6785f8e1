"""A report as rows for a log: which values stand in which row."""

from collections.abc import Iterator

import numpy as np

from funcgd.training.report import ChunkReport


def table(who: str, report: ChunkReport) -> dict[str, list]:
    """The columns of a report, of equal length, with None where a row has no value; "step" comes first.

    A row is a recorded step. What `shown` has beyond the history belongs to the chunk's last step, and gets a row of
    its own if that was not recorded. "epoch" and "examples_per_second" stand in the last row of the chunk.

    Raises:
        ValueError: if the columns of the history are not as long as "step".
    """
    columns = {name: list(x) for name, x in flat(report.history)}
    steps = [int(x) for x in columns.pop("step", [])]
    for name, column in columns.items():
        if len(column) != len(steps):
            raise ValueError(f"{who}: `history[{name!r}]` must have {len(steps)} rows like 'step', got {len(column)}.")
    ends = {name: x for name, x in report.shown.items() if name not in report.history}
    if ends and steps[-1:] != [report.step - 1]:
        steps.append(report.step - 1)
        columns = {name: [*column, None] for name, column in columns.items()}
    if not steps:
        return {}
    before = {} if np.isnan(report.epoch) else {"epoch": report.epoch}
    after = {**ends, "examples_per_second": float(np.float32(report.examples_per_second))}  # measured, so not finer
    before, after = (
        {name: in_last_row(len(steps), x) for name, x in part.items() if name not in columns}
        for part in (before, after)
    )
    return {"step": steps, **before, **columns, **after}


def in_last_row(rows: int, x: float) -> list:
    """A column whose only value stands in its last row, in single precision where it has no more."""
    with np.errstate(over="ignore"):
        single = np.float32(x)
    return [None] * (rows - 1) + [single if float(single) == x else float(x)]


def flat(history: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Columns of real scalars: arrays and complex numbers are taken apart, as `name[0]`, `name[1]`, …."""
    for name, column in history.items():
        x = np.asarray(column)
        if x.dtype == np.bool_:
            x = x.astype(np.int32)
        if x.dtype.kind == "c":
            x = np.stack([np.real(x), np.imag(x)], -1)
        for index in np.ndindex(x.shape[1:]):
            yield (f"{name}[{','.join(map(str, index))}]" if index else name), x[(slice(None), *index)]
