"""The files of checkpoints: their names, and a JSON in each, with digests of itself and of the files beside it."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from typing import Any

from funcgd.training.checkpoint_format import text

NAME = "checkpoint.json"
COMPLETE = re.compile(r"(\d+)(?:\.(\d+))?")  # the step, and a number where it was saved again
UNFINISHED = re.compile(r"\d+(\.\d+)?\.unfinished")  # renamed when all is written
DAMAGED = re.compile(r"\d+(\.\d+)?\.damaged(-\d+)?")
PIECE = 1 << 20  # bytes that are read at a time


class Damaged(Exception):
    """A checkpoint cannot be used; says why.

    >>> from funcgd.training.checkpoint_files import Damaged
    >>> raise Damaged("a file is missing")
    Traceback (most recent call last):
    ...
    funcgd.training.checkpoint_files.Damaged: a file is missing
    """


class Folder:
    """A directory of checkpoints, by their names.

    >>> import os, tempfile
    >>> from funcgd.training.checkpoint_files import Folder
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     folder = Folder(directory)
    ...     for name in ("9", "10", "10.1", "11"):
    ...         os.rename(folder.begin(name), folder.path(name))
    ...     folder.put_aside("11")
    ...     folder.complete(), folder.damaged(), folder.free("10", ".")
    (['9', '10', '10.1'], ['11.damaged'], '10.2')
    """

    def __init__(self, directory: str):
        self.directory = os.path.abspath(directory)

    def prepare(self) -> None:
        """Make the directory if it is missing, and try to write to it.

        Raises:
            OSError: if that is impossible.
        """
        os.makedirs(self.directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.directory):
            pass

    def path(self, name: str) -> str:
        """Where the checkpoint of that name is."""
        return os.path.join(self.directory, name)

    def complete(self) -> list[str]:
        """The names of complete checkpoints, the oldest first."""

        def age(name: str) -> list[int]:
            return [int(number) for number in name.split(".")]

        return sorted(self._matching(COMPLETE), key=age)

    def unfinished(self) -> list[str]:
        """The names of those whose writing has not ended."""
        return self._matching(UNFINISHED)

    def damaged(self) -> list[str]:
        """The names of those that were put aside."""
        return self._matching(DAMAGED)

    def free(self, name: str, separator: str) -> str:
        """`name`, with a number if there is one of that name already."""
        free, again = name, 0
        while os.path.lexists(self.path(free)):
            again += 1
            free = f"{name}{separator}{again}"
        return free

    def begin(self, name: str) -> str:
        """A new directory to write the checkpoint `name` into, to be renamed when it is complete."""
        unfinished = self.path(f"{name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        os.mkdir(unfinished)
        return unfinished

    def put_aside(self, name: str) -> None:
        """Rename a damaged checkpoint, so that its step can be saved again."""
        os.rename(self.path(name), self.path(self.free(f"{name}.damaged", "-")))

    def remove(self, name: str, strict: bool = True) -> None:
        """Remove a checkpoint; unless `strict`, as far as that is possible."""
        shutil.rmtree(self.path(name), ignore_errors=not strict)

    def _matching(self, pattern: re.Pattern) -> list[str]:
        return sorted(name for name in os.listdir(self.directory) if pattern.fullmatch(name))


def step_of(name: str) -> int:
    """The step of the checkpoint of that name."""
    return int(name.split(".")[0])


def seal(directory: str, spec: dict[str, Any]) -> None:
    """Write `spec` into `directory`, with the sizes and digests of all files that are there."""
    found = {}
    for folder, _, names in os.walk(directory):
        for path in (os.path.join(folder, name) for name in names):
            found[os.path.relpath(path, directory)] = [os.path.getsize(path), digest_of_file(path)]
    spec = {**spec, "files": found}
    with open(os.path.join(directory, NAME), "w", encoding="utf-8") as file:
        json.dump({"spec": spec, "digest": digest_of_text(text(spec))}, file, indent=1)


def description(directory: str) -> dict[str, Any]:
    """What `seal` has written.

    Raises:
        Damaged: if it is missing or not as it was written.
    """
    try:
        with open(os.path.join(directory, NAME), encoding="utf-8") as file:
            found = json.load(file)
        intact = found["digest"] == digest_of_text(text(found["spec"]))
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise Damaged(f"its file {NAME!r} cannot be read: {type(error).__name__}: {error}") from error
    if not intact:
        raise Damaged(f"its file {NAME!r} has other content than was written")
    return found["spec"]


def check(directory: str, spec: dict[str, Any]) -> None:
    """Compare the files with their description, before anything else reads them.

    Raises:
        Damaged: if one is missing or has other bits, naming it.
    """
    for name, (size, written) in spec["files"].items():
        path = os.path.join(directory, name)
        try:
            now = os.path.getsize(path)
            same = now == size and digest_of_file(path) == written
        except OSError as error:
            raise Damaged(f"its file {name!r} cannot be read: {type(error).__name__}: {error}") from error
        if now != size:
            raise Damaged(f"its file {name!r} has {now} bytes, {size} were written")
        if not same:
            raise Damaged(f"its file {name!r} has other bits than were written")


def digest_of_text(content: str) -> str:
    """A digest of a text."""
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def digest_of_file(path: str) -> str:
    """A digest of the bytes of a file."""
    found = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def sync(directory: str) -> None:
    """Wait until all that is in `directory` is on the disk itself, so that it outlives the power, too."""
    for folder, _, files in os.walk(directory):
        for name in (*files, "."):
            sync_one(os.path.join(folder, name))


def sync_one(path: str) -> None:
    """Wait until a file, or the list of names of a directory, is on the disk."""
    if os.path.isdir(path) and os.name == "nt":  # there, a directory cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
