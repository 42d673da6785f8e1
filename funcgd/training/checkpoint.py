"""Checkpoints as `fit` is asked for them: where, how often, how many."""

import os
from typing import Any

from funcgd.core.fields import as_count, static
from funcgd.core.values import value
from funcgd.training.checkpoint_store import Store


def as_directory(directory: Any) -> str:
    """A local directory as text.

    Raises:
        TypeError: if it is no path.
        ValueError: if it is a URL.
    """
    directory = os.path.expanduser(os.fspath(directory))
    if not isinstance(directory, str):
        raise TypeError(f"expected a str or a path, got {directory!r}.")
    if not directory or "://" in directory:
        raise ValueError(f"expected a local directory, got {directory!r}.")
    return directory


@value
class Checkpoint:
    """Save a run now and then, so that it goes on where it was when it is started again.

    What is saved is written with Orbax (`pip install "funcgd[checkpoint]"`) in the background, and complete or not
    there at all. A digest of every array is checked when it is read: a damaged checkpoint is reported, and the one
    before it used. One run at a time may use a directory.

    Args:
        directory: a local directory, made if it is missing; a str or a path.
        every: steps between two checkpoints, at least 1.
        keep: how many checkpoints to keep, the newest, at least 1. Two or more help where one is damaged.

    Raises:
        TypeError, ValueError: if an argument is not as above.

    >>> import funcgd as fg
    >>> fg.Checkpoint("runs/first", every=1000)
    Checkpoint(directory='runs/first', every=1000)
    """

    directory: str | os.PathLike[str] = static(convert=as_directory)
    every: int = static(convert=as_count)
    keep: int = static(default=3, convert=as_count)

    def open(self, who: str = "fit") -> Store:
        """The checkpoints of the directory, on behalf of `who`, which errors name.

        Raises:
            ImportError: if Orbax is missing.
            CheckpointError: if the directory cannot be made or written.
        """
        return Store(who, os.fspath(self.directory), self.keep)
