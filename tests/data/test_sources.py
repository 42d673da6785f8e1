"""The three kinds of data: the same result on the same order, chunks, bounds on memory, sources that fail or hang."""

import threading
import time
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.data import indexed
from funcgd.data.arrays import order
from funcgd.data.as_source import as_source
from funcgd.data.prefetch import Prefetch

RNG = np.random.default_rng(0)
N = 53
X = RNG.standard_normal((N, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
KEY = jax.random.key(0)
START = {"w": jnp.zeros(3)}
TX = fg.sgd(0.05, momentum=0.5)


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def fit(data, **options):
    options = {"batch_size": 8, "epochs": 3, "key": KEY, "progress": False} | options
    return fg.fit(options.pop("loss", loss), START, options.pop("tx", TX), data, **options)


def on_disk(folder, data=DATA):
    for name, x in data.items():
        np.save(folder / f"{name}.npy", x)
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in data}


class Loader:
    """Batches in the order in which `fit` visits arrays; another epoch each time it is gone through."""

    def __init__(self, batch_size, drop_last=False):
        self.batch_size, self.drop_last, self.epoch = batch_size, drop_last, 0

    def __iter__(self):
        order_key, _ = jax.random.split(KEY)
        rows = np.asarray(order(order_key, self.epoch, N))
        self.epoch += 1
        for i in range(0, N, self.batch_size):
            if i + self.batch_size <= N or not self.drop_last:
                yield {name: x[rows[i : i + self.batch_size]] for name, x in DATA.items()}


@pytest.mark.parametrize("drop_last", [False, True], ids=["the short batch kept", "dropped"])
def test_row_27_all_kinds_of_data_give_the_same_on_the_same_order(tmp_path, drop_last):
    held_out = on_disk(tmp_path)
    runs = [
        fit(fg.InMemory(DATA, drop_last=drop_last), validation=DATA),
        fit(fg.Indexed(on_disk(tmp_path), drop_last=drop_last), validation=held_out),
        # Three steps fit into the buffer: 4 buffers of 3 steps of 8 examples of 4 numbers.
        fit(fg.Indexed(on_disk(tmp_path), drop_last=drop_last, buffer_bytes=4 * 3 * 8 * 16), validation=held_out),
        fit(Loader(8, drop_last), batch_size=None, validation=fg.Batches([DATA])),
    ]
    steps = 18 if drop_last else 21
    for run in runs:
        assert (run.steps, run.reason.name) == (steps, "MAX_STEPS")
        assert run.history["step"].tolist() == list(range(steps))
        np.testing.assert_allclose(run.params["w"], runs[0].params["w"], rtol=1e-6)
        np.testing.assert_allclose(run.history["loss"], runs[0].history["loss"], rtol=1e-5)
        assert run.history["validation"]["step"].tolist() == [steps // 3, 2 * steps // 3, steps]
        np.testing.assert_allclose(run.history["validation"]["loss"], runs[0].history["validation"]["loss"], rtol=1e-5)
    assert runs[2].history["chunks"]["step"].tolist()[:3] == [3, 6, 7 if not drop_last else 9]


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [8] * 6 + [5]), (True, [8] * 6)], ids=["kept", "dropped"])
def test_row_12_the_last_short_batch_is_kept_or_dropped_as_asked(drop_last, sizes):
    """Of 53 examples in batches of 8. Their numbers pass through the loss as metrics."""

    def watched(params, batch):
        seen = jnp.zeros(N).at[batch["i"]].add(1)
        return loss(params, batch), fg.Aux(metrics={"seen": seen})

    data = fg.InMemory({**DATA, "i": np.arange(N)}, drop_last=drop_last)
    seen = fit(data, loss=watched, epochs=2).history["seen"].reshape(2, len(sizes), N)
    assert seen.sum(axis=2).tolist() == [sizes] * 2
    assert np.all(seen.sum(axis=1) <= 1)  # nothing twice in an epoch
    assert (seen[0].sum(axis=0) == seen[1].sum(axis=0)).all() != drop_last  # another rest is left out each time


def test_which_adapter_data_get(tmp_path):
    disk = on_disk(tmp_path)
    assert isinstance(as_source("fit", "data", DATA), fg.InMemory)
    assert isinstance(as_source("fit", "data", jnp.zeros((4, 2))), fg.InMemory)
    assert isinstance(as_source("fit", "data", disk), fg.Indexed)
    assert isinstance(as_source("fit", "data", {"x": disk["x"], "y": DATA["y"]}), fg.Indexed)
    assert isinstance(as_source("fit", "data", Loader(8)), fg.Batches)
    assert isinstance(as_source("fit", "data", (b for b in [DATA])), fg.Batches)
    source = fg.InMemory(DATA)
    assert as_source("fit", "data", source) is source


def test_orders_beyond_the_exact_ones_are_those_of_memory(tmp_path):
    """From 2¹⁶ examples on the order is computed at the positions of a chunk, on the host as on the device."""
    n = 2**16 + 3
    x = np.arange(n, dtype=np.float32) / n
    np.save(tmp_path / "x.npy", x)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")

    def watched(params, batch):
        return jnp.mean((params["w"][0] - batch) ** 2), fg.Aux(metrics={"seen": batch[0], "sum": batch.sum()})

    options = {"loss": watched, "batch_size": 20_000, "epochs": 2, "tx": fg.sgd(0.1)}
    memory, streamed = (fit(kind(x, drop_last=True), **options) for kind, x in ((fg.InMemory, x), (fg.Indexed, disk)))
    np.testing.assert_array_equal(streamed.history["seen"], memory.history["seen"])
    np.testing.assert_allclose(streamed.history["sum"], memory.history["sum"], rtol=1e-5)
    assert streamed.steps == 6


def test_one_compilation_and_one_more_for_the_short_batch(tmp_path):
    for data, batch_size in ((on_disk(tmp_path), 8), (Loader(8), None)):
        traces = []

        def counted(params, batch, traces=traces):
            traces.append(batch["x"].shape[0])
            return loss(params, batch)

        fit(data, loss=counted, batch_size=batch_size, epochs=4)
        assert sorted(traces) == [5, 8]
        if batch_size:
            fit(data, loss=counted, batch_size=batch_size, epochs=9, tx=fg.sgd(0.01, momentum=0.9))
            assert len(traces) == 2


def test_float64_arrays_become_what_jax_keeps():
    run = fit(fg.Batches([{name: x.astype(np.float64) for name, x in DATA.items()}]), batch_size=None, epochs=1)
    assert run.history["loss"].dtype == np.float32


def test_row_11_an_endless_stream_is_online_learning():
    def stream():
        rng = np.random.default_rng(1)
        while True:
            x = rng.standard_normal((4, 3)).astype(np.float32)
            yield {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32)}

    for source in (stream(), fg.Batches(stream(), steps_per_chunk=1)):
        run = fit(source, batch_size=None, epochs=None, stop=fg.stop.max_steps(150), tx=fg.sgd(0.1))
        assert (run.steps, run.reason.name) == (150, "MAX_STEPS")
        np.testing.assert_allclose(run.params["w"], [1.0, -2.0, 0.5], rtol=1e-3)
    assert run.history["chunks"]["step"].tolist() == list(range(1, 151))


def test_a_full_batch_larger_than_memory_is_not_shuffled(tmp_path):
    runs = [fit(data, batch_size=None, epochs=4) for data in (DATA, on_disk(tmp_path))]
    np.testing.assert_allclose(runs[1].params["w"], runs[0].params["w"], rtol=1e-6)


class Ascending:
    """Reads only increasing indices, as HDF5 does, and counts the bytes that it has given."""

    def __init__(self, x):
        self.x, self.asked = x, []

    def __len__(self):
        return len(self.x)

    def __getitem__(self, indices):
        assert isinstance(indices, np.ndarray)
        assert np.all(np.diff(indices) > 0)
        self.asked.append(len(indices))
        return self.x[indices]


def test_indices_increase_and_memory_is_bounded():
    data = {name: Ascending(x) for name, x in DATA.items()}
    step_bytes = 8 * 16
    run = fit(fg.Indexed(data, buffer_bytes=indexed.buffers.BUFFERS * 2 * step_bytes))
    np.testing.assert_allclose(run.params["w"], fit(DATA).params["w"], rtol=1e-6)
    assert max(data["x"].asked) == 2 * 8
    assert sum(data["x"].asked) == 3 * N + 1  # and one example to see how long one is


def test_a_source_works_only_one_chunk_ahead():
    """At most: one chunk in use, one waiting, one being made."""
    made, used = [], []

    def source(beat):
        for i in range(20):
            made.append(i)
            yield i

    with Prefetch(source, timeout=10.0) as items:
        for item in items:
            used.append(item)
            time.sleep(0.01)
            assert len(made) - len(used) <= 2
    assert used == list(range(20))


def test_a_failing_source_stops_fit_with_its_own_traceback_and_nothing_is_lost():
    def failing_reader():
        yield from Loader(8)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        fit(fg.Batches(failing_reader(), steps_per_chunk=2), batch_size=None)
    assert "failing_reader" in "".join(traceback.format_tb(caught.value.__traceback__))
    run = caught.value.result
    assert run.steps == 6  # 3 chunks of 2; the fourth was not full
    expected = fit(fg.InMemory(DATA, drop_last=True), epochs=1)
    np.testing.assert_allclose(run.params["w"], expected.params["w"], rtol=1e-6)
    assert run.history["loss"].shape == (6,)
    assert "6 steps" in caught.value.__notes__[0]


def test_a_hanging_source_stops_fit_and_shows_where_it_hangs():
    release, batches = threading.Event(), list(Loader(8, drop_last=True))

    def hanging_reader():
        yield from batches
        release.wait()

    try:
        with pytest.raises(TimeoutError, match=r"(?s)given nothing for .*hanging_reader.*release\.wait") as caught:
            fit(fg.Batches(hanging_reader(), steps_per_chunk=2, timeout=0.5), batch_size=None, epochs=2)
        assert caught.value.result.steps == 6
    finally:
        release.set()


def test_what_a_hook_or_the_loss_raises_has_the_result_so_far(tmp_path):
    def hook(report):
        if report.step == 14:
            raise KeyError("hook")

    with pytest.raises(KeyError, match="hook") as caught:
        fit(DATA, validation=DATA, on_chunk=hook)
    assert caught.value.result.steps == 14


def test_no_thread_is_left():
    before = threading.active_count()
    fit(Loader(8), batch_size=None, stop=fg.stop.max_steps(3))
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("data", "options", "error", "text"),
    [
        ((b for b in [DATA]), {"batch_size": None, "epochs": 2}, ValueError, "gave no batch in epoch 1"),
        (fg.Batches([DATA]), {"batch_size": 8}, ValueError, "`batch_size` must be None for an iterable"),
        (fg.Batches([DATA]), {"batch_size": None, "epochs": None}, ValueError, "so `stop` must say when to end"),
        ({"x": Ascending(X), "y": Ascending(X[:5])}, {}, ValueError, r"`data\['x'\]` has 53 and `data\['y'\]` has 5"),
        ({"x": Ascending(X[:0])}, {}, ValueError, r"`data` is empty"),
        ({"x": X, "y": 3.0}, {}, ValueError, r"`data\['y'\]` must have a leading axis"),
        (fg.InMemory(DATA), {"batch_size": 54}, ValueError, "`batch_size` must be an integer from 1 to 53"),
        (DATA, {"history": 50}, TypeError, "`history` must be a value such as"),
        (DATA, {"on_chunk": "log.csv"}, TypeError, "`on_chunk` must be a function"),
        (DATA, {"checkpoint": "runs"}, TypeError, "`checkpoint` must be a fg.Checkpoint"),
    ],
)
def test_errors(data, options, error, text):
    with pytest.raises(error, match=text):
        fit(data, **options)


def test_single_examples_are_no_fancy_indexing():
    class Single:
        def __len__(self):
            return N

        def __getitem__(self, i):
            return X[0]

    with pytest.raises(ValueError, match=r"`data\[indices\]` must return 1 examples for 1 indices, got shape \(3,\)"):
        fit(Single())

    class Strict(Single):
        def __getitem__(self, i):
            return X[int(i)] if np.ndim(i) == 0 else (_ for _ in ()).throw(TypeError("one index at a time"))

    with pytest.raises(TypeError, match="one index at a time") as caught:
        fit(Strict())
    assert any("give these to fg.Batches" in note for note in caught.value.__notes__)
    with pytest.raises(TypeError, match="`iterable` must be an iterable of batches, got 3"):
        fg.Batches(3)


def test_evaluate_takes_every_kind_and_weights(tmp_path):
    """Weighted means against NumPy in float64; a batch of weight 0 may be NaN."""
    w = {"w": jnp.array([1.0, 2.0, 3.0])}
    x = X.copy()
    x[16:24] = np.nan
    data = {"x": x, "m": (np.arange(N) % 3 == 0).astype(np.float32)}
    data["m"][16:24] = 0

    def metrics(params, batch):
        scores = batch["x"] @ params["w"]
        return {"score": jnp.sum(scores * batch["m"]) / jnp.sum(batch["m"])}

    keep = data["m"] > 0
    expected = (X.astype(np.float64) @ [1.0, 2.0, 3.0])[keep].mean()
    for source in (data, on_disk(tmp_path, data)):
        found = fg.evaluate(metrics, w, source, 8, weight=lambda batch: batch["m"].sum())
        np.testing.assert_allclose(found["score"], expected, rtol=1e-5)
    batches = ({name: v[i : i + 8] for name, v in data.items()} for i in range(0, N, 8))
    found = fg.evaluate(metrics, w, batches, weight=lambda batch: batch["m"].sum())
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5)

    def plain(params, batch):
        return {"score": jnp.mean(batch["x"] @ params["w"])}

    for source in (DATA, on_disk(tmp_path)):
        np.testing.assert_allclose(
            fg.evaluate(plain, w, source, 10)["score"], (X.astype(np.float64) @ [1.0, 2.0, 3.0]).mean(), rtol=1e-5
        )
