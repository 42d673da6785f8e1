"""Logs of a run in text files: hooks of `fit` that write CSV and JSON lines, and go on where a run goes on."""

import contextlib
import csv
import io
import json
import os
import shutil
from collections.abc import Iterable
from typing import Any, cast

from funcgd.training.log_file import append, as_path, end_before, free_name, naming
from funcgd.training.report import ChunkReport
from funcgd.training.rows import table


class RowWriter:
    """The base of writers: a text file with one line for each row."""

    def __init__(self, path: str | os.PathLike):
        self.path = as_path(type(self).__name__, "path", path)
        self._file: io.FileIO | None = None
        self._where = self.path  # absolute from the start of the run on, so that the program may change its directory

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def __reduce__(self) -> tuple:
        return type(self), (self.path,)

    def start(self, step: int) -> None:
        """Open the file for a run that starts at `step`: a new one, or the old one without its rows from `step` on.

        Raises:
            OSError: if the path cannot be written.
            ValueError: if the run goes on and the file is no log of this kind.
        """
        self.close()
        with naming(type(self).__name__, self.path):
            self._where = os.path.realpath(self.path)
            os.makedirs(os.path.dirname(self._where), exist_ok=True)
            self._forget()
            if os.path.isfile(self._where) and os.path.getsize(self._where):
                if step == 0:
                    os.rename(self._where, free_name(self._where))
                else:
                    self._cut(step)
            self._file = io.FileIO(self._where, "a")

    def __call__(self, report: ChunkReport) -> None:
        if self._file is None:
            self.start(0)
        columns = table(type(self).__name__, report)
        if columns:
            with naming(type(self).__name__, self.path):
                data = "".join(self._lines(columns)).encode()  # first, as it may replace the file
                append(cast(io.FileIO, self._file), data)

    def close(self) -> None:
        """Close the file; all rows are in it already."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _cut(self, step: int) -> None:
        with open(self._where, "rb+") as file:
            try:
                file.truncate(self._end_before(file, step))
            except (ValueError, csv.Error) as error:
                raise ValueError(
                    f"{type(self).__name__}: cannot go on with {self.path!r}: {error}. Give another path, or move the "
                    "file away."
                ) from error

    def _forget(self) -> None:
        """Forget what is known of the file before."""

    def _lines(self, columns: dict[str, list]) -> Iterable[str]:
        raise NotImplementedError

    def _end_before(self, file: Any, step: int) -> int:
        raise NotImplementedError


class CSVWriter(RowWriter):
    """A hook of `fit` that writes the history as comma-separated values, one row for each recorded step.

    The first line has the names. Numbers are the shortest that read back as the same in their precision; those that are
    not finite are nan, inf and -inf; a cell without a value is empty. What belongs to a chunk, such as "validation
    loss", stands in the row of the chunk's last step, "epoch" and "examples_per_second" in its last row. A name that
    appears later becomes a last column, and the file is replaced as a whole.

    Rows are in the file when the call returns, and stay if the process is killed. A new run keeps an old file as
    `path.1`, `path.2`, …; a run that goes on from a step drops the rows from there on, as it makes them again, and a
    last line that was cut off.

    Args:
        path: the file; missing directories are made.

    Raises:
        TypeError: if `path` is no path.
        OSError: at the start or after a chunk, if it cannot be written; of that chunk no row is kept then.
        ValueError: if a run goes on and the file is no such log.

    >>> import funcgd as fg, numpy as np, pathlib, tempfile
    >>> rows = {"step": np.arange(2), "loss": np.array([0.5, 0.1], np.float32)}
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     log = fg.CSVWriter(pathlib.Path(directory) / "log.csv")
    ...     log(fg.ChunkReport(2, 0.5, rows, {"loss": 0.3, "validation loss": 0.25}, 1e4, state=None, tx=None))
    ...     log.close()
    ...     print(pathlib.Path(log.path).read_text(), end="")
    step,epoch,loss,validation loss,examples_per_second
    0,,0.5,,
    1,0.5,0.1,0.25,10000.0
    """

    _names: tuple[str, ...] = ()  # of the file's columns

    def _forget(self) -> None:
        self._names = ()

    def _lines(self, columns: dict[str, list]) -> Iterable[str]:
        new = tuple(name for name in columns if name not in self._names)
        if new and self._names:
            self._widen(new)
        elif new:
            self._names = new
            yield header(new)
        empty = [None] * len(columns["step"])
        for row in zip(*(columns.get(name, empty) for name in self._names), strict=True):
            yield ",".join("" if x is None else str(x) for x in row) + "\n"

    def _widen(self, new: tuple[str, ...]) -> None:
        """Replace the file by one with further, empty columns."""
        self.close()
        part = f"{self._where}.part"
        try:
            with open(self._where, "rb") as old, open(part, "wb") as file:
                old.readline()
                file.write(header(self._names + new).encode())
                file.writelines(line.removesuffix(b"\n") + b"," * len(new) + b"\n" for line in old)
            shutil.copymode(self._where, part)
            os.replace(part, self._where)
        except OSError:
            with contextlib.suppress(OSError):
                os.remove(part)
            raise
        finally:
            self._file = io.FileIO(self._where, "a")
        self._names += new

    def _end_before(self, file: Any, step: int) -> int:
        first = file.readline()
        if not first.endswith(b"\n"):
            return 0
        names = next(csv.reader([first.decode()]), [])
        if names[:1] != ["step"]:
            raise ValueError(f"its first line names no column 'step': {first[:60]!r}")

        def step_of(line: bytes) -> int:
            cells = line.split(b",")
            if len(cells) != len(names):
                raise ValueError(f"{len(cells)} cells")
            return int(cells[0])

        self._names = tuple(names)
        return end_before(file, step, step_of, line_number=2)


def header(names: tuple[str, ...]) -> str:
    """The first line of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue()


class JSONLinesWriter(RowWriter):
    """A hook of `fit` that writes the history as JSON lines: one object for each recorded step.

    Each line is strict JSON. Numbers that are not finite, which JSON lacks, are the strings "NaN", "Infinity" and
    "-Infinity", which `float` reads; a name without a value is left out. Otherwise as `fg.CSVWriter`: which row has
    which values, what is in the file when, and what becomes of a file that is there already.

    Args:
        path: the file; missing directories are made.

    Raises:
        TypeError, OSError, ValueError: as `fg.CSVWriter`.

    >>> import funcgd as fg, numpy as np, pathlib, tempfile
    >>> rows = {"step": np.arange(2), "loss": np.array([0.5, np.inf], np.float32)}
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     log = fg.JSONLinesWriter(pathlib.Path(directory) / "log.jsonl")
    ...     log(fg.ChunkReport(2, 0.5, rows, {"loss": 0.5}, 1e4, state=None, tx=None))
    ...     log.close()
    ...     print(pathlib.Path(log.path).read_text(), end="")
    {"step": 0, "loss": 0.5}
    {"step": 1, "epoch": 0.5, "loss": "Infinity", "examples_per_second": 10000.0}
    """

    def _lines(self, columns: dict[str, list]) -> Iterable[str]:
        keys = [f"{json.dumps(name)}: " for name in columns]
        for row in zip(*columns.values(), strict=True):
            pairs = (key + number(x) for key, x in zip(keys, row, strict=True) if x is not None)
            yield "{" + ", ".join(pairs) + "}\n"

    def _end_before(self, file: Any, step: int) -> int:
        return end_before(file, step, lambda line: int(json.loads(line)["step"]), line_number=1)


NOT_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


def number(x: Any) -> str:
    """A number as JSON."""
    text = str(x)
    return NOT_FINITE.get(text, text)
