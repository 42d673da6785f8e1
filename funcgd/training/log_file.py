"""Files of logs: how one is named, opened, continued and kept whole."""

import contextlib
import io
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any


def as_path(who: str, argument: str, path: Any) -> str:
    """`path` as a string.

    Raises:
        TypeError: if it is no path.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise TypeError(f"{who}: `{argument}` must be a path, got {path!r}.")
    return text


@contextlib.contextmanager
def naming(who: str, path: str) -> Iterator[None]:
    """Errors of the file system, with the name of the writer and the path."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{who}: cannot write {path!r}: {error.strerror or error}") from error


def free_name(path: str) -> str:
    """The first of `path`.1, `path`.2, … that does not exist."""
    return next(name for i in itertools.count(1) if not os.path.lexists(name := f"{path}.{i}"))


def append(file: io.FileIO, data: bytes) -> None:
    """Write all of `data` at the end of a file opened for appending, or, where the disk is full, none of it."""
    end, view = file.seek(0, os.SEEK_END), memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(end)
        raise


def end_before(file: Any, step: int, step_of: Callable[[bytes], int], line_number: int) -> int:
    """Where in a log, read from its present position, the first row of `step` or later begins.

    A last line without its end, as a killed process leaves it, counts as later.

    Raises:
        ValueError: with the number of the line, if another line is no row.
    """
    end = file.tell()
    for i, line in enumerate(file, line_number):
        if not line.endswith(b"\n"):
            break
        try:
            found = step_of(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"its line {i} is no row of a run: {line[:60]!r}") from error
        if found >= step:
            break
        end += len(line)
    return end
