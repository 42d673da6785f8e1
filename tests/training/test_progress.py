"""Display: a bar in a terminal, lines elsewhere; what is shown when, and streams that break."""

import contextlib
import fcntl
import io
import itertools
import os
import re
import struct
import sys
import termios
import types

import pytest

from funcgd.training import progress
from funcgd.training.progress import Display


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set; only the display reads it."""
    now = types.SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def terminal(monkeypatch):
    """A pseudo-terminal of 80 columns: the stream to write to, and a function for what has arrived."""
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    stream = open(slave, "w", encoding="utf-8")  # noqa: SIM115

    def read():
        stream.write("END")  # what is written arrives in pieces
        stream.flush()
        found = ""
        while not found.endswith("END"):
            found += os.read(master, 1 << 16).decode()
        return found.removesuffix("END")

    yield types.SimpleNamespace(stream=stream, read=read, master=master)
    with contextlib.suppress(OSError):  # the test may have hung up
        stream.close()
        os.close(master)


def run(stream, clock, chunks, total=400, initial=0, **options):
    """Show `chunks` of (seconds, steps, shown)."""
    with Display(total, initial, True, stream) as display:
        for seconds, steps, shown in chunks:
            clock.seconds += seconds
            display.update(steps, shown, 81234.0)


def test_lines_of_a_log(clock):
    """After the first chunk, which compiles, 100 steps take 8 s: at step 300 there are 8 s left, at 400 none."""
    out = io.StringIO()
    chunks = [(5, 100, {"loss": 0.5}), (8, 100, {"loss": 0.4, "validation loss": 0.402}), (8, 100, {"loss": 0.31274})]
    run(out, clock, [*chunks, (8, 100, {"loss": float("nan")})])
    assert out.getvalue().splitlines() == [
        "step 100/400 · loss 0.5 · 81.2k examples/s",
        "step 300/400 · loss 0.3127 · validation loss 0.402 · 81.2k examples/s · 0:08 left",
        "step 400/400 · loss nan · validation loss 0.402 · 81.2k examples/s · 0:29 in all",
    ]


def test_what_is_left_is_not_guessed_from_less_than_the_first_chunk(clock):
    """A first chunk of 44 steps, and one step that ends an epoch and compiles a validation for 17 s."""
    out = io.StringIO()
    run(out, clock, [(11, 44, {}), (17, 1, {}), (1, 55, {})], total=900)
    assert [line.rpartition(" · ")[2] for line in out.getvalue().splitlines()][:2] == ["81.2k examples/s"] * 2


def test_a_log_stays_short(clock):
    """Four hours of chunks of 0.1 s and of a minute: no two lines within ten seconds, later one a minute."""
    times = []
    out = types.SimpleNamespace(write=lambda text: times.append(clock.seconds), flush=lambda: None)
    run(out, clock, [(0.1, 1, {})] * 86400 + [(60, 1, {})] * 100, total=None)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps[:-1]) >= 9.99  # up to the sum of many tenths; the last line comes when the run ends
    assert max(gaps) <= 121
    assert 9.99 <= gaps[0] <= 10.2
    assert gaps[-3] >= 59.9


def test_a_run_that_goes_on_and_one_without_end(clock):
    out = io.StringIO()
    run(out, clock, [(1, 50, {}), (10, 50, {}), (1, 10, {})], total=410, initial=300)
    assert [line.split(" · ")[::2] for line in out.getvalue().splitlines()] == [
        ["step 350/410"],
        ["step 400/410", "0:02 left"],
        ["step 410/410", "0:12 in all"],
    ]
    out = io.StringIO()
    run(out, clock, [(1, 50, {}), (10, 50, {}), (1, 10, {})], total=None)
    assert [line.split(" · ")[0] for line in out.getvalue().splitlines()] == ["step 50", "step 100", "step 110"]
    assert "left" not in out.getvalue()


def test_a_log_has_no_control_characters_and_any_encoding_will_do(clock):
    for encoding in ("ascii", "latin-1", "utf-8"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
        run(stream, clock, [(1, 400, {"‖g‖": 2.0})])
        text = raw.getvalue().decode(encoding)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
        assert text.startswith("step 400/400") and " 2" in text and text.count("\n") == 1  # noqa: PT018
    run(types.SimpleNamespace(write=lambda text: None, flush=lambda: None), clock, [(1, 1, {})])  # no `isatty`


def test_a_terminal_gets_a_bar(terminal, clock):
    chunks = [(1, 100, {"loss": 0.5}), (0.01, 100, {"loss": 0.7}), (1, 100, {"loss": 0.25}), (0.01, 100, {"loss": 0.2})]
    run(terminal.stream, clock, chunks)
    first, *frames = terminal.read().strip().split("\r")
    assert "0/400" in first or "0/400" in frames[0]
    text = "\r".join(frames)
    assert "100/400" in text and "loss 0.5, 81.2k examples/s" in text  # noqa: PT018
    assert "loss 0.7" not in text, "two refreshes within ten milliseconds"
    assert "75%" in text and "300/400" in text  # noqa: PT018
    assert "100%|██████████| 400/400" in frames[-1] and "loss 0.2," in frames[-1], "the end is shown"  # noqa: PT018
    assert all(len(frame) <= 80 for frame in frames)


def test_a_bar_without_end_and_in_ascii(terminal, clock):
    run(terminal.stream, clock, [(1, 100, {"loss": 0.5})], total=None)
    assert "step 100 [" in terminal.read()
    terminal.stream.reconfigure(encoding="ascii")
    run(terminal.stream, clock, [(1, 100, {"‖g‖": 0.5})])
    assert "?g? 0.5" in terminal.read()


def test_a_dumb_terminal_gets_lines(terminal, clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    run(terminal.stream, clock, [(1, 400, {})])
    assert terminal.read() == "step 400/400 · 81.2k examples/s\r\n"  # the terminal's own return


class Broken(io.StringIO):
    """A stream whose reader has gone; a terminal perhaps."""

    def __init__(self, terminal, good):
        super().__init__()
        self.terminal, self.good = terminal, good

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.good -= 1
        if self.good < 0:
            raise BrokenPipeError("the reader has gone")
        return len(text)


@pytest.mark.parametrize("good", [0, 1, 3])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_broken_stream_ends_the_display_and_not_the_run(good, terminal, clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    run(Broken(terminal, good), clock, [(20, 100, {})] * 4)


def test_a_closed_stream_and_none(clock, monkeypatch):
    closed = io.StringIO()
    closed.close()
    run(closed, clock, [(20, 100, {})] * 4)
    monkeypatch.setattr(sys, "stderr", None)
    run(None, clock, [(20, 100, {})] * 4)


def test_a_terminal_that_hangs_up(terminal, clock):
    with Display(400, 0, True, terminal.stream) as display:
        os.close(terminal.master)
        for _ in range(4):
            clock.seconds += 1
            display.update(100, {"loss": 0.5}, 1.0)


def test_switched_off_it_touches_nothing():
    with Display(400, 0, False, stream=object()) as display:
        display.update(100, {"loss": 0.5}, 1.0)


def test_an_exception_passes_and_the_last_state_is_shown(clock):
    out = io.StringIO()

    def fail():
        with Display(400, 0, True, out) as display:
            display.update(100, {"loss": 0.5}, 1.0)
            display.update(100, {"loss": 0.25}, 1.0)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert out.getvalue().splitlines()[-1].startswith("step 200/400 · loss 0.25")


def test_the_kernel_of_a_notebook_gets_a_bar_without_widgets(clock, monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    run(None, clock, [(1, 400, {"loss": 0.5})])
    assert "400/400" in out.getvalue()
    del shell.kernel  # IPython in a console, whose output here is no terminal
    assert not progress.in_notebook()


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.1234, "0.123"), (812.3, "812"), (999.7, "1k"), (81234.0, "81.2k"), (1.5e6, "1.5M"), (2e9, "2G")],
)
def test_speeds(rate, text):
    assert progress.speed(rate) == [f"{text} examples/s"]


def test_speeds_and_durations_at_the_edges():
    assert progress.speed(float("nan")) == progress.speed(float("inf")) == []
    assert [progress.duration(s) for s in (0, 59.6, 3599, 3600, 90061)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]
