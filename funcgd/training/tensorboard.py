"""A log of a run for TensorBoard: a hook of `fit` that writes event files.

The messages and checksums are those of tensorboardX, which is maintained and needs no more than NumPy and protobuf;
TensorFlow, PyTorch and `tensorboard` itself, the viewer with its server, have them too, and are far larger. Its
`SummaryWriter` is not used: it hands events to a thread, so that nothing tells when they are in the file, and it
overwrites a file of the same second.
"""

import io
import os
import socket
import struct
import time
from types import ModuleType
from typing import Any, cast

from funcgd.training.log_file import append, as_path, free_name, naming
from funcgd.training.report import ChunkReport
from funcgd.training.rows import table


class TensorBoardWriter:
    """A hook of `fit` that writes the history as scalars for TensorBoard.

    Look at them with `tensorboard --logdir …`. Which step has which values is as in `fg.CSVWriter`; "validation loss"
    is shown as "validation/loss", so that TensorBoard groups it.

    Scalars are in the file when the call returns. A new run moves old event files from the directory to `directory.1`,
    `directory.2`, …, which TensorBoard shows beside it; a run that goes on from a step writes a further file, which
    says that what the others have from this step on does not count.

    A row of five scalars costs about 50 µs, and TensorBoard shows at most 1000 points of a curve: record seldom in long
    runs.

    Args:
        directory: where to write; made if it is missing.

    Raises:
        ImportError: without the extra: pip install "funcgd[tensorboard]".
        TypeError: if `directory` is no path.
        OSError: at the start or after a chunk, if it cannot be written.

    >>> import funcgd as fg
    >>> fg.TensorBoardWriter("runs/first")
    TensorBoardWriter('runs/first')
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = as_path("TensorBoardWriter", "directory", directory)
        self._file: io.FileIO | None = None
        library()

    def __repr__(self) -> str:
        return f"TensorBoardWriter({self.directory!r})"

    def __reduce__(self) -> tuple:
        return type(self), (self.directory,)

    def start(self, step: int) -> None:
        """Begin an event file, for a run that starts at `step`.

        Raises:
            OSError: if the directory cannot be written.
        """
        self.close()
        proto, now = library().proto.event_pb2, time.time()
        # A second mark of a start takes away what is there from its step on; the first never does, but makes it second.
        mark = proto.SessionLog(status=proto.SessionLog.START)
        messages = (
            proto.Event(wall_time=now, file_version="brain.Event:2"),
            proto.Event(wall_time=now, step=step, session_log=mark),
        )
        with naming("TensorBoardWriter", self.directory):
            where = os.path.realpath(self.directory)
            os.makedirs(where, exist_ok=True)
            if step == 0:
                set_events_aside(where)
            self._file = io.FileIO(os.path.join(where, file_name()), "x")
            append(self._file, b"".join(map(record, messages)))

    def __call__(self, report: ChunkReport) -> None:
        if self._file is None:
            self.start(0)
        columns = table("TensorBoardWriter", report)
        rows = zip(*columns.values(), strict=True)
        data = b"".join(record(event(dict(zip(columns, row, strict=True)))) for row in rows)
        with naming("TensorBoardWriter", self.directory):
            append(cast(io.FileIO, self._file), data)

    def close(self) -> None:
        """Close the file; all scalars are in it already."""
        if self._file is not None:
            self._file.close()
        self._file = None


def file_name() -> str:
    """A new event file. TensorBoard reads those of a directory in the order of their names, so they begin with time."""
    now = time.time_ns()
    return f"events.out.tfevents.{now // 10**9:010}.{now % 10**9:09}.{socket.gethostname()}.{os.getpid()}"


def record(message: Any) -> bytes:
    """A message as a TFRecord: its length, the checksum of that, the message, its checksum; little-endian."""
    checksum = library().record_writer.masked_crc32c
    data = message.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def event(row: dict[str, Any]) -> Any:
    """The scalars of one step as one event."""
    proto = library().proto
    values = [
        proto.summary_pb2.Summary.Value(tag=tag(name), simple_value=float(x))
        for name, x in row.items()
        if x is not None and name != "step"
    ]
    summary = proto.summary_pb2.Summary(value=values)
    return proto.event_pb2.Event(step=row["step"], wall_time=time.time(), summary=summary)


def tag(name: str) -> str:
    """A name in TensorBoard, which groups by what is before the slash."""
    group, _, rest = name.partition(" ")
    return f"validation/{rest}" if group == "validation" and rest else name


def set_events_aside(directory: str) -> None:
    """Move the event files of `directory`, and nothing else, to the first free of `directory`.1, `directory`.2, …."""
    old = [name for name in os.listdir(directory) if ".tfevents." in name]
    if old:
        aside = free_name(directory)
        os.mkdir(aside)
        for name in old:
            os.rename(os.path.join(directory, name), os.path.join(aside, name))


def library() -> ModuleType:
    """tensorboardX.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import tensorboardX
        import tensorboardX.record_writer
    except ImportError as error:
        raise ImportError('TensorBoardWriter: needs tensorboardX: pip install "funcgd[tensorboard]"') from error
    return tensorboardX
