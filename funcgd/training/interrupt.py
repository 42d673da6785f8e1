"""Ctrl-C and SIGTERM as a request to finish."""

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = signal.SIGINT, signal.SIGTERM


class Interruptible:
    """A context in which the first Ctrl-C or SIGTERM only sets `requested`; the second does what it always did.

    In threads other than the main one, where Python delivers no signals, it does nothing.

    >>> import os, signal
    >>> with Interruptible() as interrupt:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     interrupt.requested
    True
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: Any) -> None:
        self._restore()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # A handler that was not set from Python is None, and cannot be set again.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
