"""What the engine costs: recording, progress and finiteness; data streamed from a file against data in memory."""

import contextlib
import io
import resource
import tempfile
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from harness import compare
from training import DATA, KEY, N, loss_of

import funcgd as fg

BATCH = 64


def watching() -> None:
    """Steps of some 100 µs: a bare scan, and fit with all that one may look at."""
    epochs = 100
    model = fg.multilayer_perceptron([64, 128, 128, 10])
    loss, params, tx = loss_of(model), model.init(KEY), fg.adam(1e-3)

    @jax.jit
    def scan(step, state, key):
        def epoch(state, e):
            order = jax.random.permutation(jax.random.fold_in(key, e), N).reshape(-1, BATCH)
            return jax.lax.scan(lambda s, rows: (step(s, jax.tree.map(lambda x: x[rows], DATA))[0], None), state, order)

        return jax.lax.scan(epoch, state, jnp.arange(epochs))[0]

    def fit(**options):
        options = {"progress": False, "history": fg.History(every=50)} | options
        with contextlib.redirect_stderr(io.StringIO()):
            return fg.fit(loss, params, tx, DATA, batch_size=BATCH, epochs=epochs, key=KEY, **options).params

    everything = fg.History(every=50, norms=True, hyperparameters=True)
    runs = {
        "a scan of fg.make_step, nothing recorded": lambda: scan(
            fg.make_step(loss, tx), fg.TrainState.create(params, tx), KEY
        ),
        "fit, losses and finiteness": fit,
        "fit, history of norms and rates, cadence 50": lambda: fit(history=everything),
        "fit, the same with progress": lambda: fit(history=everything, progress=True),
    }
    compare(f"{epochs * N // BATCH} steps of 64–128–128–10, batch {BATCH}, Adam", runs, repeats=9, warm_up=1)


def streaming() -> None:
    """A file twenty times as large as the buffers, in memory and from the file."""
    n, width, buffer_bytes = 400_000, 256, 2**24
    model = fg.multilayer_perceptron([width, 128, 10])
    loss, params, tx = loss_of(model), model.init(KEY), fg.adam(1e-3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        x = np.lib.format.open_memmap(path, "w+", np.float32, (n, width))
        rng = np.random.default_rng(0)
        for i in range(0, n, 10_000):
            x[i : i + 10_000] = rng.standard_normal((10_000, width), np.float32)
        x.flush()
        y = rng.integers(0, 10, n)
        streamed = {"x": np.load(path, mmap_mode="r"), "y": y}
        size = path.stat().st_size
        print(f"\nthe file has {size / 1e6:.0f} MB, the buffers {buffer_bytes / 1e6:.0f} MB")

        def fit(data):
            return fg.fit(loss, params, tx, data, batch_size=256, epochs=1, key=KEY, progress=False).params

        source = fg.Indexed(streamed, buffer_bytes=buffer_bytes)
        fit(source)
        with private_memory() as peak:
            fit(source)
        print(f"private memory grew by {peak() / 1e6:.0f} MB while streaming")
        memory = fg.InMemory({"x": np.array(streamed["x"]), "y": y})
        runs = {"in memory": lambda: fit(memory), "streamed from the file": lambda: fit(source)}
        compare(f"one epoch of {n} examples, batch 256, {width}–128–10", runs, repeats=7, warm_up=1)


@contextlib.contextmanager
def private_memory():
    """The growth of the memory that is this process' own (pages of a mapped file belong to the system), at its peak."""

    def now() -> int:
        fields = Path("/proc/self/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * resource.getpagesize()

    before, highest, done = now(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            highest[0] = max(highest[0], now() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    time.sleep(0.02)
    try:
        yield lambda: highest[0]
    finally:
        done.set()
        thread.join()


def main() -> None:
    watching()
    streaming()


if __name__ == "__main__":
    main()
