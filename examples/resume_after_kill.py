"""A run is killed in the middle, started again with the same call, and ends as if nothing had happened, bit for bit.

The script starts itself as a child process, which trains with checkpoints and is ended by SIGKILL: it can neither
notice nor clean up. Then the parent makes the same call. The loss draws noise, the optimizer has momentum and a
schedule, validation chooses the best parameters: all of that goes on where it was.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import funcgd as fg

EPOCHS, EVERY = 6, 30  # 40 steps an epoch: some checkpoints are in the middle of one
model = fg.multilayer_perceptron([64, 32, 10], "tanh")


def loss(params, batch, key, training):
    """The cross-entropy of digits; those that train are blurred by fresh noise."""
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape) if training else batch["x"]
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, x), batch["y"]).mean()


def train(directory: str, on_chunk=()) -> fg.Result:
    """The call: the same for the first start and for each further one."""
    digits = fg.problems.digits()
    return fg.fit(
        loss,
        model.init(jax.random.key(1)),
        fg.adam(fg.cosine_decay_schedule(3e-3, EPOCHS * 40)),
        {name: x[:1280] for name, x in digits.items()},
        batch_size=32,
        epochs=EPOCHS,
        key=jax.random.key(2),
        validation={name: x[1280:] for name, x in digits.items()},
        on_chunk=on_chunk,
        checkpoint=fg.Checkpoint(directory, EVERY),
        progress=False,
    )


def child(directory: str) -> None:
    """Trains and prints where it is, slower than it could, so that it can be hit."""
    train(directory, on_chunk=lambda report: (print(report.step, flush=True), time.sleep(0.1)))


def bits(run: fg.Result) -> dict[str, bytes]:
    """Every bit of the result by path, but for the speed, which is measured."""
    run.history["chunks"].pop("examples_per_second")
    everything = (run.params, run.best, run.value, run.reason, run.steps, run.state.opt_state, run.history)
    return {jax.tree_util.keystr(path): np.asarray(x).tobytes() for path, x in jax.tree.leaves_with_path(everything)}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, __file__, f"{folder}/run"], stdout=subprocess.PIPE, text=True)
        reached = next(int(line) for line in process.stdout or () if int(line) > 140)
        process.kill()
        process.communicate()
        saved = sorted(int(path.name) for path in Path(folder, "run").iterdir() if path.name.isdigit())
        print(f"killed after step {reached} (exit status {process.returncode}); checkpoints of steps {saved}")
        ends = []
        # It may warn that the kill left a checkpoint unfinished: the one before it is used.
        resumed = train(f"{folder}/run", on_chunk=lambda report: ends.append(report.step))
        whole = train(f"{folder}/another")
    print(f"started again: chunks ended at steps {ends}")
    print(f"lowest validation loss: {resumed.value:.6f}; of a run left alone: {whole.value:.6f}")
    a, b = bits(resumed), bits(whole)
    print(f"{sum(a[path] == b[path] for path in b)} of {len(b)} arrays are the same, bit for bit")
    assert a == b, "a resumed run must be bitwise the uninterrupted one"
    return ends[0]


if __name__ == "__main__":
    child(sys.argv[1]) if len(sys.argv) > 1 else main()
