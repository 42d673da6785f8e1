"""Orbax as checkpoints use it: NumPy arrays by name, quietly. It is imported when the first one is opened."""

import contextlib
import inspect
import logging
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


class Orbax:
    """What writes and reads the arrays of checkpoints.

    >>> import numpy as np, tempfile
    >>> from funcgd.training.checkpoint_orbax import Orbax
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     Orbax().write(f"{directory}/new", {"x": np.ones(2)})
    ...     Orbax().read(f"{directory}/new", ["x"])
    {'x': array([1., 1.])}
    """

    def __init__(self):
        import orbax.checkpoint as ocp

        self._ocp, self.version = ocp, ocp.__version__
        with quiet():
            # Trained numbers hardly get shorter by compression, and it takes longer than all the rest.
            known = inspect.signature(ocp.PyTreeCheckpointHandler).parameters  # Orbax 0.11.20 has no choice yet
            options: Any = {"use_compression": False} if "use_compression" in known else {}
            self._checkpointer = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options))

    def write(self, directory: str, arrays: dict[str, np.ndarray]) -> None:
        """Write `arrays`, at least one, into the new `directory`; none may be without elements."""
        with quiet():
            self._checkpointer.save(directory, args=self._ocp.args.PyTreeSave(arrays))

    def read(self, directory: str, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays that `write` was given, by their names."""
        asked = {name: self._ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
        with quiet():
            found = self._checkpointer.restore(
                directory, args=self._ocp.args.PyTreeRestore(item=asked, restore_args=asked)
            )
        return {name: np.asarray(found[name]) for name in asked}

    def close(self) -> None:
        """End what Orbax keeps for it."""
        self._checkpointer.close()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While it lasts, of what Orbax logs only warnings pass: not its progress, nor errors, which are raised as well."""

    def passes(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname or (record.levelno >= logging.WARNING and not record.exc_info)

    logger = logging.getLogger("absl")
    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def one_line(error: BaseException) -> str:
    """An error in one line, the system's own words first: TensorStore hides them in a long text."""
    text = " ".join(str(error).split())
    if system := re.search(r"os_error_code='(\d+)'", text):
        text = f"{os.strerror(int(system[1]))}: {text}"
    return f"{type(error).__name__}: {text if len(text) <= 400 else f'{text[:200]} … {text[-150:]}'}"
