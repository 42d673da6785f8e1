"""Make the next items in a background thread while the present one is used."""

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import jax.numpy as jnp
import numpy as np

from funcgd.core.numerics import float64_mode

T = TypeVar("T")
POLL = 0.05  # seconds between looks at whether to give up

_END = object()


class Prefetch(Generic[T]):
    """An iterator over `make(beat)` that works one item ahead, in a thread of its own.

    What `make` raises is raised here, with the traceback of where it happened.

    Args:
        make: generator function; it calls `beat()` whenever it gets on, so that a source that hangs can be told from
            one that is slow.
        timeout: seconds without a beat, while somebody waits, after which a `TimeoutError` is raised that shows where
            the thread stands; None waits for ever.
        cancelled: asked now and then while waiting; when true, the iteration ends.

    >>> from funcgd.data.prefetch import Prefetch
    >>> def squares(beat):
    ...     for i in range(3):
    ...         beat()
    ...         yield i * i
    >>> with Prefetch(squares, timeout=60.0) as items:
    ...     list(items)
    [0, 1, 4]
    """

    def __init__(
        self,
        make: Callable[[Callable[[], None]], Iterator[T]],
        timeout: float | None,
        cancelled: Callable[[], bool] = lambda: False,
    ):
        self._make, self._timeout, self._cancelled = make, timeout, cancelled
        self._items: queue.Queue = queue.Queue(maxsize=1)
        self._closed = threading.Event()
        self._beat = time.monotonic()
        self._x64 = jnp.result_type(float) == np.float64  # a setting of each thread
        self._thread = threading.Thread(target=self._work, name="funcgd prefetch", daemon=True)

    def __enter__(self) -> "Prefetch[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._closed.set()  # a thread that hangs in its source is left behind; it ends with the process
        self._thread.join(POLL)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        since = time.monotonic()
        while not self._cancelled():
            try:
                item = self._items.get(timeout=POLL)
            except queue.Empty:
                quiet = time.monotonic() - max(since, self._beat)
                if self._timeout is not None and quiet > self._timeout:
                    raise TimeoutError(self._where(quiet)) from None
                continue
            if item is _END:
                break
            if isinstance(item, _Failure):
                raise item.error
            return item
        raise StopIteration

    def _work(self) -> None:
        try:
            with float64_mode(bool(self._x64)):
                for item in self._make(self._on_beat):
                    if not self._put(item):
                        return
            self._put(_END)
        except BaseException as error:  # it belongs to whoever waits for the items
            self._put(_Failure(error))

    def _on_beat(self) -> None:
        self._beat = time.monotonic()

    def _put(self, item: Any) -> bool:
        while not self._closed.is_set():
            try:
                self._items.put(item, timeout=POLL)
                return True
            except queue.Full:
                continue
        return False

    def _where(self, quiet: float) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = "".join(traceback.format_stack(frame)) if frame else "(the thread has ended)"
        return f"the data source has given nothing for {quiet:.0f} s; it hangs here:\n{stack}"


class _Failure:
    def __init__(self, error: BaseException):
        self.error = error
