"""How a run shows where it stands: a bar in a terminal or notebook, plain lines in a log file."""

import contextlib
import math
import os
import sys
import time
from typing import Any, Self

BAR_SECONDS = 0.1  # between two refreshes: as often as an eye can follow
LINE_SECONDS = 10.0, 60.0  # between two lines of a log: a sixtieth of the time run so far, within these bounds
BROKEN = (OSError, ValueError)  # what a broken pipe, a full disk, a closed file raise


class Display:
    """Shows the progress of a run on a stream, seldom enough to cost nothing.

    A terminal or notebook gets a bar of tqdm. Anything else gets whole lines, without control characters: the first
    chunk, the last one, and at most one every ten seconds between (every minute in runs of hours). A stream that
    breaks ends the display, not the run.

    Args:
        total: steps of the whole run; None if it has no end.
        initial: steps made before.
        enabled: False shows nothing.
        stream: None is the standard error.

    >>> import sys
    >>> with Display(total=200, initial=0, enabled=True, stream=sys.stdout) as display:
    ...     display.update(100, {"loss": 0.31274}, examples_per_second=81234.0)
    step 100/200 · loss 0.3127 · 81.2k examples/s
    """

    def __init__(self, total: int | None, initial: int, enabled: bool, stream: Any = None):
        self._face = None
        if enabled:
            with contextlib.suppress(*BROKEN):
                self._face = _face(total, initial, stream)
        self._done, self._known, self._next, self._fresh = initial, {}, -math.inf, False
        self._rate = math.nan

    def __enter__(self) -> Self:
        return self

    def update(self, steps: int, shown: dict[str, float], examples_per_second: float) -> None:
        """Count a chunk of `steps` steps; values that `shown` lacks stay as they were."""
        if self._face is None:
            return
        self._done += steps
        self._known.update(shown)
        self._rate, self._fresh = examples_per_second, True
        if time.monotonic() >= self._next:
            self._show(self._face, last=False)

    def __exit__(self, *exception: object) -> None:
        if self._face is not None and self._fresh:
            self._show(self._face, last=True)
        if self._face is not None:
            with contextlib.suppress(*BROKEN):
                self._face.close()

    def _show(self, face: "Bar | Lines", last: bool) -> None:
        try:
            pause = face.show(self._done, self._known, self._rate, last)
        except BROKEN:
            self._face = None
            face.abandon()
        else:
            self._next, self._fresh = time.monotonic() + pause, False


class Bar:
    """A bar of tqdm, in a terminal or notebook."""

    def __init__(self, total: int | None, initial: int, stream: Any):
        from tqdm.auto import tqdm  # here, because it looks for a notebook, whose widgets take time to import

        if total is None:
            layout = "step {n_fmt} [{elapsed}{postfix}]"
        else:  # a bar of fixed width, so that the numbers stay in their places and fit into 80 columns
            layout = "{percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        # mininterval=0, miniters=0: when to print is decided in `Display`
        self._bar = tqdm(
            total=total, initial=initial, file=stream, bar_format=layout, dynamic_ncols=True, mininterval=0, miniters=0
        )
        self._stream = stream

    def show(self, done: int, known: dict[str, float], rate: float, last: bool) -> float:
        text = ", ".join([*values(known), *speed(rate)])
        self._bar.set_postfix_str(printable(text, self._stream), refresh=False)
        self._bar.update(done - self._bar.n)
        return BAR_SECONDS

    def close(self) -> None:
        self._bar.close()

    def abandon(self) -> None:
        self._bar.disable = True  # or it would write once more when it is collected


class Lines:
    """Plain lines, in a log file or pipe."""

    def __init__(self, total: int | None, initial: int, stream: Any):
        self._total, self._initial, self._stream, self._began = total, initial, stream, time.monotonic()
        self._from: tuple[float, int] | None = None  # when and where the first chunk, which compiles, had ended

    def show(self, done: int, known: dict[str, float], rate: float, last: bool) -> float:
        now = time.monotonic()
        self._from = self._from or (now, done)
        end = "" if self._total is None else f"/{self._total}"
        parts = [f"step {done}{end}", *values(known), *speed(rate), *self._clock(now, done, last)]
        self._stream.write(printable(" · ".join(parts), self._stream) + "\n")
        self._stream.flush()
        return min(max((now - self._began) / 60, LINE_SECONDS[0]), LINE_SECONDS[1])

    def _clock(self, now: float, done: int, last: bool) -> list[str]:
        if last:
            return [f"{duration(now - self._began)} in all"]
        then, before = self._from or (now, done)
        if self._total is None or done - before < before - self._initial:  # too little is known; it may compile again
            return []
        return [f"{duration((now - then) / (done - before) * (self._total - done))} left"]

    def close(self) -> None:
        """Nothing to do: the stream belongs to others."""

    abandon = close


def _face(total: int | None, initial: int, stream: Any) -> Bar | Lines | None:
    notebook = stream is None and in_notebook()
    stream = sys.stderr if stream is None else stream
    if stream is None:  # a program without a console
        return None
    try:
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # something with `write` only; a closed file
        terminal = False
    return (Bar if terminal or notebook else Lines)(total, initial, stream)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def values(known: dict[str, float]) -> list[str]:
    """Names and numbers, four digits each."""
    return [f"{name} {x:.4g}" for name, x in known.items()]


def speed(rate: float) -> list[str]:
    """The rate with three digits and k, M or G; nothing if it is not known."""
    if not math.isfinite(rate):
        return []
    for unit in ("", "k", "M"):
        if rate < 999.5:
            return [f"{rate:.3g}{unit} examples/s"]
        rate /= 1000
    return [f"{rate:.3g}G examples/s"]


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def printable(text: str, stream: Any) -> str:
    """`text` as far as the stream's encoding has its characters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        return text.replace(" · ", ", ").encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text.replace(" · ", ", ").encode("ascii", "replace").decode()
    return text
