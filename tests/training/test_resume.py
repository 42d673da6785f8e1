"""A run that was stopped goes on bitwise: after exceptions, signals, SIGKILL, damage; other arguments are refused."""

import importlib.util
import os
import signal
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
KEY = jax.random.key(1)
TX = fg.chain(fg.clip_by_global_norm(5.0), fg.skip_nonfinite(fg.adam(fg.cosine_decay_schedule(0.05, 400))))

spec = importlib.util.spec_from_file_location("soak_resume", Path(__file__).with_name("soak_resume.py"))
soak_resume = importlib.util.module_from_spec(spec)
spec.loader.exec_module(soak_resume)


def loss(params, batch, key):
    noise = 0.1 * jax.random.normal(key, batch["y"].shape)
    return jnp.mean((batch["x"] @ params["w"] - batch["y"] + noise) ** 2)


def fit(directory, data=DATA, tx=TX, every=7, **options):
    options = {"batch_size": 8, "epochs": 6, "key": KEY, "validation": DATA} | options
    checkpoint = None if directory is None else fg.Checkpoint(directory, every)
    options = {"stop": fg.stop.patience(99), "history": fg.History(every=3, norms=True)} | options
    params = options.pop("params", {"w": jnp.zeros(3)})
    return fg.fit(options.pop("loss", loss), params, tx, data, checkpoint=checkpoint, progress=False, **options)


class Stop(Exception):
    pass


def stop_at(step, error=Stop):
    def hook(report):
        if report.step == step:
            raise error

    return hook


def stopped(directory, step, **options):
    """A run that an exception ends at `step`."""
    with pytest.raises(Stop):
        fit(directory, on_chunk=stop_at(step), **options)


def loader():
    for i in range(0, 48, 8):
        yield {name: x[i : i + 8] for name, x in DATA.items()}


class Loader:
    __iter__ = staticmethod(loader)


def on_disk(folder):
    for name, x in DATA.items():
        np.save(folder / f"{name}.npy", x)
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in DATA}


@pytest.mark.parametrize("kind", ["memory", "disk", "iterable"])
def test_resumed_is_bitwise_uninterrupted(tmp_path, kind):
    data = {"memory": DATA, "disk": on_disk(tmp_path), "iterable": Loader()}[kind]
    options = {"data": data} | ({"batch_size": None, "every": 6} if kind == "iterable" else {})
    whole = fit(tmp_path / "whole", **options)
    for step in (6, 30, 36) if kind == "iterable" else (6, 28, 35):
        stopped(tmp_path / "run", step, **options)
    run = fit(tmp_path / "run", **options)
    assert soak_resume.digest(run) == soak_resume.digest(whole)
    assert run.history["step"].tolist() == list(range(0, 36 if kind == "iterable" else 42, 3))


def test_what_was_reached_is_saved_when_something_fails(tmp_path):
    """Not only at the multiples: the error came at step 13, and 13 is where it goes on."""
    stopped(tmp_path / "run", 13)
    starts = []

    class Watch:
        start = starts.append

        def __call__(self, report):
            pass

    fit(tmp_path / "run", on_chunk=Watch())
    assert starts == [13]


def test_a_finished_run_is_not_trained_again_but_goes_on_for_more_epochs(tmp_path):
    traces = []

    def counted(params, batch, key):
        traces.append(1)
        return loss(params, batch, key)

    run = fit(tmp_path / "run", loss=counted)
    n = len(traces)
    again = fit(tmp_path / "run", loss=counted)
    assert len(traces) == n
    assert soak_resume.digest(again) == soak_resume.digest(run)
    more = fit(tmp_path / "run", loss=counted, epochs=9)
    assert soak_resume.digest(more) == soak_resume.digest(fit(None, loss=counted, epochs=9))


def test_a_run_that_a_rule_ended_stays_ended_and_one_out_of_time_goes_on(tmp_path):
    rule = fg.stop.patience(1, minimum_change=1e9)
    run = fit(tmp_path / "run", stop=rule)
    assert (run.reason.name, run.steps) == ("PATIENCE", 14)
    assert fit(tmp_path / "run", stop=rule).steps == 14
    first = fit(tmp_path / "time", stop=fg.stop.wall_time(0.0))
    second = fit(tmp_path / "time", stop=fg.stop.wall_time(0.0))
    assert [(r.reason.name, r.steps) for r in (first, second)] == [("WALL_TIME", 7), ("WALL_TIME", 14)]


def test_killed_at_random_moments():
    """Five processes ended by SIGKILL; the sixth returns what a run left alone returns, to the last bit."""
    found, seen = soak_resume.soak(kills=5)
    assert len(set(seen)) >= 2, f"the kills came too early to show anything: {seen}"
    assert found == soak_resume.digest(soak_resume.train(None, 0.0))


def newest(directory):
    return max((path for path in directory.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


@pytest.mark.parametrize("damage", ["bit", "truncated", "missing"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(tmp_path, damage):
    stopped(tmp_path / "run", 28)
    files = [path for path in newest(tmp_path / "run").rglob("*") if path.is_file()]
    victim = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 16
        victim.write_bytes(content)
    elif damage == "truncated":
        victim.write_bytes(content[: len(content) // 2])
    else:
        victim.unlink()
    with pytest.warns(RuntimeWarning, match="28"):
        run = fit(tmp_path / "run")
    assert soak_resume.digest(run) == soak_resume.digest(fit(None))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"data": {name: x[:40] for name, x in DATA.items()}}, r"`data: data length`: 50 in the checkpoint, 40 now"),
        ({"batch_size": 10}, r"`batch_size`: 8 in the checkpoint, 10 now"),
        ({"key": jax.random.key(2)}, r"`key`: \[0, 1\] in the checkpoint, \[0, 2\] now"),
        ({"tx": fg.sgd(0.1, momentum=0.9)}, r"(?s)`tx`: .*opt_state"),
        ({"tx": fg.chain(*TX.transforms[:1], fg.skip_nonfinite(fg.adam(0.1)))}, r"`tx`: .*cosine.*learning_rate=0.1"),
        ({"params": {"w": jnp.zeros(4)}}, r"(?s)w'\].*\(3,\).*\(4,\)"),
        ({"params": {"v": jnp.zeros(3)}}, r"(?s)`\['state'\].packed_params\['w'\]`"),
        ({"history": fg.History(every=2, norms=True)}, r"`history`: "),
    ],
    ids=["data", "batch size", "key", "optimizer", "rate", "shape", "name", "history"],
)
def test_other_arguments_are_refused_with_what_differs(finished, options, text):
    with pytest.raises(ValueError, match=text):
        fit(finished, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished") / "run"
    with jax.numpy_dtype_promotion("strict"):
        fit(directory, epochs=1)
    return directory


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_finish_the_chunk_and_save(tmp_path, number):
    before = signal.getsignal(number)

    def hook(report):
        if report.step == 13:
            os.kill(os.getpid(), number)

    run = fit(tmp_path / "run", on_chunk=hook)
    assert (run.reason.name, run.steps) == ("INTERRUPTED", 13)
    assert "state" in run.reason.advice
    assert signal.getsignal(number) is before
    assert soak_resume.digest(fit(tmp_path / "run")) == soak_resume.digest(fit(None))


def test_the_second_ctrl_c_ends_at_once_and_saves(tmp_path):
    def hook(report):
        if report.step == 13:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            fit(tmp_path / "run", on_chunk=hook)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.result.steps == 13
    assert newest(tmp_path / "run").name == "13"


def test_ctrl_c_ends_the_wait_for_a_source_that_hangs():
    def hanging():
        yield from loader()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    run = fit(None, data=fg.Batches(hanging(), steps_per_chunk=2), batch_size=None, epochs=1, validation=None)
    assert run.reason.name == "INTERRUPTED"
    assert run.steps in (4, 6)  # the third chunk was there, but perhaps not begun


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the threads that were writing
def test_a_full_disk_stops_with_the_result_and_the_last_good_step(tmp_path):
    """The directory is taken away in the middle of the run; what had been saved elsewhere is still good."""

    def hook(report):
        if report.step == 28:
            (tmp_path / "run").rename(tmp_path / "away")
            (tmp_path / "run").write_text("a file")

    with pytest.raises(fg.CheckpointError, match=r"last good one is of step (14|21)") as caught:
        fit(tmp_path / "run", on_chunk=hook)
    assert caught.value.result.steps >= 28
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one may have been unfinished when it was moved
        run = fit(tmp_path / "away")
    assert soak_resume.digest(run) == soak_resume.digest(fit(None))
