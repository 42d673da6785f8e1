"""The files of a checkpoint: a JSON that describes it, with digests of itself and of the files beside it."""

import hashlib
import json
import os
from typing import Any

from funcgd.training.checkpoint_format import text

NAME = "checkpoint.json"
PIECE = 1 << 20  # bytes that are read at a time


class Damaged(Exception):
    """A checkpoint cannot be used; says why.

    >>> from funcgd.training.checkpoint_files import Damaged
    >>> raise Damaged("a file is missing")
    Traceback (most recent call last):
    ...
    funcgd.training.checkpoint_files.Damaged: a file is missing
    """


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
