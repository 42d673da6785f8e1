"""Train on files that are twenty times as large as the buffers they are read into.

The digits of scikit-learn, shifted and with noise, become 262,144 images in files of 68 MB. `fg.fit` reads them by
index, in another random order each epoch, while the chunk of steps before runs. With files of terabytes the script
would be the same. Counted is memory of the process's own (on Linux): pages of the files that the system keeps because
there is room are not, as it takes them back when it needs them.
"""

import os
import tempfile
from pathlib import Path

import jax
import numpy as np

import funcgd as fg

N, SLICE = 2**18, 2**14
BUFFER = N * 64 * 4 // 20  # bytes
model = fg.multilayer_perceptron([64, 64, 10], "relu", initializer="he_normal")


def loss(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()


def accuracy(params, batch):
    return {"accuracy": (model.apply(params, batch["x"]).argmax(-1) == batch["y"]).mean()}


def write(folder: Path, digits: dict) -> dict[str, np.ndarray]:
    """The data set on disk, written slice by slice; what is returned has read nothing yet."""
    rng, padded = np.random.default_rng(0), np.pad(digits["x"].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (N, 64))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.int32, (N,))
    for first in range(0, N, SLICE):
        rows = slice(first, first + SLICE)
        which, down, right = rng.integers(len(padded), size=SLICE), *rng.integers(3, size=(2, SLICE, 1, 1))
        window = padded[which[:, None, None], down + np.arange(8)[:, None], right + np.arange(8)]
        x[rows] = window.reshape(SLICE, 64) + 0.1 * rng.standard_normal((SLICE, 64), np.float32)
        y[rows] = digits["y"][which]
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x", "y")}


def own_memory() -> int:
    """Bytes in memory that are no pages of files; 0 where the system does not tell."""
    table = Path("/proc/self/statm")
    _, resident, of_files, *_ = map(int, table.read_text().split()) if table.exists() else (0, 0, 0)
    return (resident - of_files) * os.sysconf("SC_PAGE_SIZE")


def main() -> tuple[float, float]:
    (training, held_out), used = fg.problems.split(fg.problems.digits(), jax.random.key(0), (0.8, 0.2)), []
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder), jax.device_get(training))
        run = fg.fit(
            loss,
            model.init(jax.random.key(1)),
            fg.adam(1e-3),
            fg.Indexed(data, buffer_bytes=BUFFER),
            batch_size=128,
            epochs=2,
            key=jax.random.key(2),
            validation=held_out,
            metrics=accuracy,
            on_chunk=lambda report: used.append(own_memory()),
        )
        size = sum(x.nbytes for x in data.values())
    grown = max(used) - used[0]  # at the end of the first chunk, when its program was compiled
    speed = np.median(run.history["chunks"]["examples_per_second"])
    print(f"{run.steps} steps in {len(used)} chunks, {speed:,.0f} examples/s")
    print(f"data {size / 1e6:.1f} MB, buffers {BUFFER / 1e6:.1f} MB; memory grew by {grown / 1e6:.1f} MB in training")
    accuracies = run.history["validation"]["accuracy"]
    print(f"accuracy on {len(held_out['y'])} digits held out: {' → '.join(f'{x:.3f}' for x in accuracies)}")
    assert grown < size / 4, "memory must not grow with the data"
    return grown / size, accuracies[-1]


if __name__ == "__main__":
    main()
