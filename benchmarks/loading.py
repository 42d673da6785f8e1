"""Reading shuffled batches of a memory-mapped file: gathered by chunks, as `fg.fit` does, and by Grain.

The first loader is a background thread that reads the rows of many batches at once, in increasing order, and splits
them. Needs `pip install grain`; not part of `make bench`. Printed are examples per second: the median of rounds in
which the loaders take turns, with the range of the rounds relative to it. The file is in the page cache.
"""

import queue
import statistics
import tempfile
import threading
import time
from functools import partial
from itertools import count

import grain
import numpy as np
from absl import flags

BUFFER = 2**24  # bytes of the rows that are gathered at once
CASES = [(200_000, 784, "float32"), (1_000_000, 32, "float32")]
BATCH_SIZES = (64, 1024)
ROUNDS, WARM, SECONDS = 5, 0.4, 0.8


class Rows:
    """A source for Grain; it pickles as its path, so that worker processes map the file themselves."""

    def __init__(self, path):
        self.path, self.x = path, None

    def __getstate__(self):
        return {"path": self.path, "x": None}

    def _rows(self):
        if self.x is None:
            self.x = np.load(self.path, mmap_mode="r").view(np.ndarray)
        return self.x

    def __len__(self):
        return len(self._rows())

    def __getitem__(self, index):
        return self._rows()[index]


def by_chunks(path, batch_size):
    x = np.load(path, mmap_mode="r").view(np.ndarray)
    rows = max(1, BUFFER // (x.nbytes // len(x)) // batch_size) * batch_size
    ready, stop = queue.Queue(maxsize=1), threading.Event()

    def put(chunk):
        while not stop.is_set():
            try:
                return ready.put(chunk, timeout=0.1)
            except queue.Full:
                continue

    def read():
        for epoch in count():
            order = np.random.default_rng(epoch).permutation(len(x))
            for first in range(0, len(x), rows):
                indices = order[first : first + rows]
                ascending = np.argsort(indices)
                chunk = np.empty((len(indices), *x.shape[1:]), x.dtype)
                chunk[ascending] = x[indices[ascending]]
                put(chunk)
                if stop.is_set():
                    return

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            chunk = ready.get()
            for first in range(0, len(chunk), batch_size):
                yield chunk[first : first + batch_size]
    finally:
        stop.set()


def map_dataset(path, batch_size, threads):
    rows = grain.MapDataset.source(Rows(path)).shuffle(seed=0).repeat()
    return iter(rows.batch(batch_size).to_iter_dataset(grain.ReadOptions(threads, 32)))


def map_of_indices(path, batch_size, threads):
    """Grain shuffles and batches indices; each batch is read at once."""
    source = Rows(path)
    indices = grain.MapDataset.range(len(source)).shuffle(seed=0).repeat().batch(batch_size)
    return iter(indices.map(lambda i: source[np.sort(i)]).to_iter_dataset(grain.ReadOptions(threads, 32)))


def data_loader(path, batch_size, threads, workers):
    source = Rows(path)
    sampler = grain.samplers.IndexSampler(len(source), shuffle=True, seed=0, num_epochs=None)
    batch, options = [grain.transforms.Batch(batch_size)], grain.ReadOptions(threads, 500 if threads else 0)
    return iter(
        grain.DataLoader(
            data_source=source, sampler=sampler, operations=batch, worker_count=workers, read_options=options
        )
    )


LOADERS = {  # with 16 threads, Grain's default, and with what was fastest on two cores
    "a thread gathers chunks": by_chunks,
    "MapDataset, 16 threads": partial(map_dataset, threads=16),
    "MapDataset, 1 thread": partial(map_dataset, threads=1),
    "MapDataset of indices, 1 thread": partial(map_of_indices, threads=1),
    "DataLoader, 16 threads": partial(data_loader, threads=16, workers=0),
    "DataLoader, 1 thread": partial(data_loader, threads=1, workers=0),
    "DataLoader, 1 worker process": partial(data_loader, threads=0, workers=1),
    "DataLoader, 2 worker processes": partial(data_loader, threads=0, workers=2),
}


def rate(load, path, batch_size):
    """Examples per second after a warm-up that starts threads and processes."""
    batches = load(path, batch_size)
    next(batches)
    end = time.perf_counter() + WARM
    while time.perf_counter() < end:
        next(batches)
    began, seen = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + SECONDS:
        seen += len(next(batches))
    if hasattr(batches, "close"):
        batches.close()
    return seen / (now - began)


def main():
    flags.FLAGS.mark_as_parsed()  # Grain's worker processes ask for flags
    for n, width, dtype in CASES:
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, np.ones((n, width), dtype))
            for batch_size in BATCH_SIZES:
                rates = {name: [] for name in LOADERS}
                for _ in range(ROUNDS):
                    for name, load in LOADERS.items():
                        rates[name].append(rate(load, file.name, batch_size))
                medians = {name: statistics.median(found) for name, found in rates.items()}
                first = next(iter(medians.values()))
                print(f"\n{n:,} × {width} {dtype}, batch {batch_size}{'examples/s':>16}{'ratio':>9}{'spread':>9}")
                for name, median in medians.items():
                    spread = (max(rates[name]) - min(rates[name])) / median
                    print(f"  {name:<36}{median:>12,.0f}{median / first:>9.3f}{spread:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
