"""Writers: what stands in which row, in which precision; runs that go on; kills, full disks, wrong files."""

import copy
import csv
import io
import json
import math
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.training.report import ChunkReport

KINDS = {"csv": fg.CSVWriter, "jsonl": fg.JSONLinesWriter, "events": fg.TensorBoardWriter}
FILES = {kind: KINDS[kind] for kind in ("csv", "jsonl")}


def report(steps, last, shown=None, epoch=math.nan, rate=8.0, **columns):
    history = {"step": np.array(steps, np.int32), **columns}
    return ChunkReport(last, epoch, history, {"loss": -1.0, **(shown or {})}, rate, None, None)


def write(writer, *reports, start=0):
    try:
        writer.start(start)
        for each in reports:
            writer(each)
    finally:
        writer.close()


# Readers, each independent of the writer: {step: {name: value}} without what is missing.


def read_csv(path):
    rows = list(csv.reader(io.StringIO(Path(path).read_text())))
    assert {len(row) for row in rows} == {len(rows[0])}, "ragged"
    return {
        int(row[0]): {name: float(x) for name, x in zip(rows[0][1:], row[1:], strict=True) if x} for row in rows[1:]
    }


def read_jsonl(path):
    def no(text):
        raise ValueError(f"{text} is not JSON")

    found = {}
    for line in Path(path).read_text().splitlines():
        row = json.loads(line, parse_constant=no)
        step = row.pop("step")
        assert step not in found
        found[step] = {name: float(x) for name, x in row.items()}
    return found


def crc32c(data):
    """CRC-32C: the remainder of division by Castagnoli's polynomial, bits reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def records(data):
    """The payloads of a TFRecord file: length, its checksum, payload, its checksum."""
    while len(data) >= 12:
        (size,) = struct.unpack("<Q", data[:8])
        assert data[8:12] == masked(data[:8])
        payload, check, data = data[12 : 12 + size], data[12 + size : 16 + size], data[16 + size :]
        if len(check) < 4:  # a killed process
            return
        assert check == masked(payload)
        yield payload


def read_events(path):
    """As TensorBoard reads: files in the order of their names; a start, but the first, takes away what was there."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    assert crc32c(b"123456789") == 0xE3069283
    found, starts = {}, 0
    for file in sorted(Path(path).glob("*.tfevents.*")):
        for payload in records(file.read_bytes()):
            event = Event.FromString(payload)
            starts += event.session_log.status == SessionLog.START
            if event.session_log.status == SessionLog.START and starts > 1:
                found = {step: row for step, row in found.items() if step < event.step}
            if event.summary.value:
                assert event.step not in found
                row = {
                    value.tag.replace("validation/", "validation "): value.simple_value for value in event.summary.value
                }
                found[event.step] = row
    return found


READ = {"csv": read_csv, "jsonl": read_jsonl, "events": read_events}


def same(found, expected):
    assert list(found) == list(expected)
    for step, row in expected.items():
        assert found[step].keys() == row.keys(), step
        for name, x in row.items():
            np.testing.assert_array_equal(np.float32(found[step][name]), np.float32(x), f"{name} at {step}")


def loss(*values):
    return np.array(values, np.float32)


CHUNKS = [
    report([0, 1], 2, loss=loss(0.5, 0.1)),
    report([2, 3], 4, {"validation loss": 0.7, "validation mae": 0.2}, epoch=1.0, loss=loss(np.nan, np.inf)),
    report([5], 7, epoch=1.75, rate=math.nan, loss=loss(-np.inf), gradient_norm=loss(3.0)),
    report([], 8, loss=loss()),
    report([], 9, {"validation loss": 0.6}, epoch=2.25, loss=loss()),
]
ROWS = {
    0: {"loss": 0.5},
    1: {"loss": 0.1, "examples_per_second": 8},
    2: {"loss": math.nan},
    3: {"loss": math.inf, "validation loss": 0.7, "validation mae": 0.2, "epoch": 1, "examples_per_second": 8},
    5: {"loss": -math.inf, "gradient_norm": 3, "epoch": 1.75, "examples_per_second": math.nan},
    8: {"validation loss": 0.6, "epoch": 2.25, "examples_per_second": 8},
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_every_value_stands_in_the_row_of_its_step(kind, tmp_path):
    """Also names that appear later, chunks without rows, and values of steps that were not recorded."""
    write(KINDS[kind](tmp_path / "new" / "log"), *CHUNKS)
    same(READ[kind](tmp_path / "new" / "log"), ROWS)


def test_columns_are_in_one_order_and_later_ones_last(tmp_path):
    write(fg.CSVWriter(tmp_path / "log"), *CHUNKS)
    names = (tmp_path / "log").read_text().splitlines()[0]
    assert names == "step,loss,examples_per_second,epoch,validation loss,validation mae,gradient_norm"
    assert os.listdir(tmp_path) == ["log"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", FILES)
def test_numbers_read_back_bit_by_bit_and_are_short(kind, dtype, tmp_path):
    limits = np.finfo(dtype)
    edges = np.array(
        [0.1, -0.0, 1 / 3, limits.max, limits.tiny, limits.smallest_subnormal, limits.eps, 1234.5678], dtype
    )
    x = np.concatenate([edges, np.random.default_rng(0).standard_normal(100).astype(dtype)])
    write(FILES[kind](tmp_path / "log"), report(np.arange(len(x)), len(x), loss=x))
    found = np.array([row["loss"] for row in READ[kind](tmp_path / "log").values()]).astype(dtype)
    assert found.tobytes() == x.tobytes()
    assert "0.1" in re.split("[,: }]", (tmp_path / "log").read_text().splitlines()[kind == "csv"])


@pytest.mark.parametrize("kind", FILES)
def test_flags_counts_arrays_and_complex_numbers(kind, tmp_path):
    columns = {"good": np.array([True, False]), "seen": np.array([7, 2**40]), "z": np.array([1 + 2j, 3j])}
    write(FILES[kind](tmp_path / "log"), report([0, 1], 2, per_class=np.array([[1.0, 2.0], [3.0, 4.0]]), **columns))
    names = ["per_class[0]", "per_class[1]", "good", "seen", "z[0]", "z[1]", "loss"]
    found = READ[kind](tmp_path / "log")
    assert [found[0][name] for name in names if name in found[0]] == [1, 2, 1, 7, 1, 2]
    assert [found[1][name] for name in names] == [3, 4, 0, 2**40, 0, 3, -1]


def test_a_run_without_history_is_logged_by_its_chunks(kind, tmp_path):
    write(KINDS[kind](tmp_path / "log"), ChunkReport(5, math.nan, {}, {"loss": 0.5}, 8.0, None, None))
    same(READ[kind](tmp_path / "log"), {4: {"loss": 0.5, "examples_per_second": 8}})


def test_a_run_that_goes_on_writes_no_row_twice(kind, tmp_path):
    """The last checkpoint was at step 4; chunks after it had been logged."""
    writer = KINDS[kind](tmp_path / "log")
    write(writer, *CHUNKS[:3])
    write(writer, *CHUNKS[2:], start=4)
    same(READ[kind](tmp_path / "log"), ROWS)
    write(KINDS[kind](tmp_path / "log"), start=2)  # from earlier still, by another writer, and killed at once
    same(READ[kind](tmp_path / "log"), {step: row for step, row in ROWS.items() if step < 2})


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_off_anywhere_goes_on(kind, tmp_path):
    """A machine that stops may keep any beginning of the file, or zeros for its last part."""
    path, header = tmp_path / "log", 1 if kind == "csv" else 0
    write(FILES[kind](path), *CHUNKS[:2])
    whole = path.read_bytes()
    for size in range(0, len(whole), 3):
        for zeros in (0, 5):
            path.write_bytes(whole[:size] + bytes(zeros))
            rows = max(0, whole[:size].count(b"\n") - header)
            write(FILES[kind](path), report([4], 5, loss=loss(2.0)), start=4)
            found = READ[kind](path)
            expected = [ROWS[step]["loss"] for step in range(rows)] + [2.0]
            assert list(found) == [*range(rows), 4]
            np.testing.assert_array_equal(np.float32([row["loss"] for row in found.values()]), np.float32(expected))


def test_a_new_run_keeps_the_old_log(kind, tmp_path):
    path = tmp_path / "log"
    for x in (1.0, 2.0, 3.0):
        write(KINDS[kind](path), report([0], 1, loss=loss(x)))
    (tmp_path / "other").touch()
    assert [READ[kind](tmp_path / name)[0]["loss"] for name in ("log.1", "log.2", "log")] == [1, 2, 3]


def test_only_event_files_are_moved(tmp_path):
    write(fg.TensorBoardWriter(tmp_path / "log"), CHUNKS[0])
    (tmp_path / "log" / "notes.txt").write_text("mine")
    write(fg.TensorBoardWriter(tmp_path / "log"), CHUNKS[0])
    assert (tmp_path / "log" / "notes.txt").read_text() == "mine"
    assert len(os.listdir(tmp_path / "log.1")) == 1


def test_without_start_it_starts_at_the_first_call(kind, tmp_path):
    writer = KINDS[kind](tmp_path / "log")
    writer(CHUNKS[0])
    same(READ[kind](tmp_path / "log"), {step: ROWS[step] for step in (0, 1)})  # before it is closed
    writer.close()
    writer.close()


@pytest.mark.parametrize("kind", FILES)
def test_the_program_may_change_its_directory(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = FILES[kind]("log")
    writer.start(0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for each in CHUNKS:
        writer(each)
    writer.close()
    same(READ[kind](tmp_path / "log"), ROWS)


@pytest.mark.parametrize("kind", FILES)
def test_a_run_of_fit_that_is_stopped_and_resumed_has_the_log_of_one_that_was_not(kind, tmp_path):
    data = {"x": np.linspace(-1, 1, 30, dtype=np.float32)}
    options = {"batch_size": 4, "epochs": 5, "key": jax.random.key(0), "progress": False, "validation": data}
    options["history"] = fg.History(every=3, norms=True)
    reports = []

    def run(name, *hooks, checkpoint=None):
        hooks = (FILES[kind](tmp_path / name), *hooks)
        return fg.fit(square, jnp.array(1.0), fg.sgd(0.1), data, on_chunk=hooks, checkpoint=checkpoint, **options)

    def stop(report):
        if report.epoch >= 3:
            raise InterruptedError("enough")

    whole = run("whole", reports.append)
    with pytest.raises(InterruptedError):
        run("parts", stop, checkpoint=fg.Checkpoint(tmp_path / "saved", every=100))
    run("parts", checkpoint=fg.Checkpoint(tmp_path / "saved", every=100))
    logs = [READ[kind](tmp_path / name) for name in ("whole", "parts")]
    for log in logs:
        assert {"examples_per_second", "epoch"} <= {name for row in log.values() for name in row}
        for row in log.values():
            row.pop("examples_per_second", None)  # it differs from run to run
    same(logs[1], logs[0])
    for name in ("loss", "gradient_norm", "update_ratio"):
        found = [row[name] for row in logs[0].values() if name in row]
        np.testing.assert_array_equal(np.float32(found), whole.history[name])
    assert [row["validation loss"] for row in logs[0].values() if "validation loss" in row] == pytest.approx(
        whole.history["validation"]["loss"], rel=1e-7
    )
    assert reports[-1].step == whole.steps == 40


def square(w, batch):
    return jnp.mean((w - batch["x"]) ** 2)


CHILD = """
import sys
import numpy as np
import funcgd as fg
writers = [fg.CSVWriter("csv"), fg.JSONLinesWriter("jsonl"), fg.TensorBoardWriter("events")]
for writer in writers:
    writer.start(0)
for i in range(10**6):
    rows = {"step": np.arange(5 * i, 5 * i + 5), "loss": np.linspace(i, i + 1, 5, dtype=np.float32)}
    shown = {"loss": 0.0} | ({f"validation {i}": 1.0} if i < 20 else {})
    for writer in writers:
        writer(fg.ChunkReport(5 * i + 5, 0.0, rows, shown, 1.0, None, None))
    print(i, flush=True)
"""


def test_rows_survive_a_kill(tmp_path):
    """SIGKILL while it writes: every chunk that the writers returned from is there, and nothing half."""
    with subprocess.Popen([sys.executable, "-c", CHILD], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if int(line) == 57:
                child.kill()
                break
        rest = child.stdout.read().split("\n")[:-1]  # what it had printed when it died
    chunks = int([line, *rest][-1]) + 1
    assert child.returncode == -9
    for kind in KINDS:
        if kind in FILES:
            write(FILES[kind](tmp_path / kind), start=10**9)  # drops a row that was cut off, if there is one
        found = READ[kind](tmp_path / kind)
        assert 5 * chunks <= len(found) <= 5 * chunks + 5
        assert list(found) == list(range(len(found)))
        assert [found[5 * i]["loss"] for i in range(chunks)] == list(range(chunks))


@pytest.fixture
def small_disk():
    """Files may not grow beyond 4 kB; the rest of a write that does is refused, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_reported_and_leaves_whole_rows(kind, tmp_path, small_disk):
    writer = KINDS[kind](tmp_path / "log")
    big = report(np.arange(2, 402), 402, loss=np.full(400, 0.125, np.float32))
    with pytest.raises(OSError, match=f"{KINDS[kind].__name__}: cannot write '.*log': File too large"):
        write(writer, CHUNKS[0], big)
    same(READ[kind](tmp_path / "log"), {step: ROWS[step] for step in (0, 1)})


def test_a_column_that_finds_no_room_loses_no_row(tmp_path, small_disk):
    writer = fg.CSVWriter(tmp_path / "log")
    with pytest.raises(OSError, match="CSVWriter: cannot write"):
        write(writer, report(np.arange(450), 450, loss=np.full(450, 0.5)), report([450], 451, {"validation loss": 1.0}))
    assert os.listdir(tmp_path) == ["log"]
    assert list(read_csv(tmp_path / "log")) == list(range(450))


@pytest.mark.parametrize("path", ["file/log", "directory"])
@pytest.mark.parametrize("kind", FILES)
def test_a_path_that_cannot_be_written_is_found_at_the_start(kind, path, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match=f"{FILES[kind].__name__}: cannot write '.*{path}': "):
        FILES[kind](tmp_path / path).start(0)


def test_a_directory_that_cannot_be_made_is_found_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"TensorBoardWriter: cannot write '.*file/log': "):
        fg.TensorBoardWriter(tmp_path / "file" / "log").start(0)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("csv", "time;loss\n1;2\n", "first line names no column 'step'"),
        ("csv", "step,loss\n0,1.0\n1\n2,1.0\n", "line 3 is no row"),
        ("csv", "step,loss\n0,1.0\nx,1.0\n", "line 3 is no row"),
        ("csv", "st\0ep\n\n", "cannot go on"),
        ("jsonl", '{"step": 0}\n[]\n', "line 2 is no row"),
        ("jsonl", '{"step": 0}\nhello\n', "line 2 is no row"),
        ("jsonl", '{"loss": 0}\n', "line 1 is no row"),
    ],
)
def test_another_file_is_refused_and_not_touched(kind, text, message, tmp_path):
    (tmp_path / "log").write_text(text)
    with pytest.raises(ValueError, match=f"{FILES[kind].__name__}: cannot go on with '.*log'.*") as caught:
        FILES[kind](tmp_path / "log").start(5)
    assert message in str(caught.value)
    assert (tmp_path / "log").read_text() == text


def test_history_of_unequal_columns_is_refused(kind, tmp_path):
    with pytest.raises(ValueError, match=rf"{KINDS[kind].__name__}: `history\['loss'\]` must have 2 rows like 'step'"):
        write(KINDS[kind](tmp_path / "log"), report([0, 1], 2, loss=loss(1.0)))


def test_they_print_as_code_and_are_copied_unused(kind, tmp_path):
    writer = KINDS[kind](str(tmp_path / "log"))
    assert repr(writer) == f"{KINDS[kind].__name__}({str(tmp_path / 'log')!r})"
    assert repr(eval(repr(writer), vars(fg))) == repr(writer)
    writer(CHUNKS[0])
    for other in (pickle.loads(pickle.dumps(writer)), copy.deepcopy(writer)):
        assert repr(other) == repr(writer)
        write(other, CHUNKS[1], start=2)
    writer.close()
    same(READ[kind](tmp_path / "log"), {step: ROWS[step] for step in range(4)})


@pytest.mark.parametrize("path", [None, 3, b"log", ""])
def test_a_path_is_a_path(kind, path):
    with pytest.raises(TypeError, match=rf"{KINDS[kind].__name__}: `\w+` must be a path, got"):
        KINDS[kind](path)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'pip install "funcgd\[tensorboard\]"'):
        fg.TensorBoardWriter("runs")
