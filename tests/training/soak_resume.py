"""Kill a run with SIGKILL at random moments, again and again, and compare its end with that of a run left alone.

    python tests/training/soak_resume.py --kills 200

The child process is this file, too: `soak_resume.py --child DIRECTORY` trains with checkpoints and prints a digest of
all that `fit` returned.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

EPOCHS, EVERY = 30, 7


def train(directory: str | None, pause: float):
    """A run with all that could be lost: noise, momentum, a schedule, validation, patience, norms, a short batch."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import funcgd as fg

    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3)).astype(np.float32)
    data = {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32)}

    def loss(params, batch, key, model_state, training):
        noise = jax.random.normal(key, batch["y"].shape) if training else 0.0
        error = batch["x"] @ params["w"] - batch["y"] + 0.1 * noise
        return jnp.mean(error**2), fg.Aux(
            metrics={"worst": jnp.max(error)}, model_state=0.9 * model_state + 0.1 * error[0]
        )

    tx = fg.chain(fg.clip_by_global_norm(5.0), fg.adam(fg.cosine_decay_schedule(0.05, 400), b1=0.8))
    return fg.fit(
        loss,
        fg.TrainState.create({"w": jnp.zeros(3)}, tx, key=jax.random.key(7), model_state=jnp.zeros(())),
        tx,
        data,
        batch_size=8,
        epochs=EPOCHS,
        key=jax.random.key(1),
        validation=data,
        stop=fg.stop.patience(EPOCHS),
        history=fg.History(every=3, norms=True, hyperparameters=True),
        on_chunk=lambda report: (print(report.step, flush=True), time.sleep(pause)) if directory else None,
        checkpoint=None if directory is None else fg.Checkpoint(directory, EVERY, keep=3),
        progress=False,
    )


def digest(run) -> str:
    """Of every bit that the run returned, but for the seconds that it measured."""
    import jax
    import numpy as np

    history = {**run.history, "chunks": {k: x for k, x in run.history["chunks"].items() if k != "examples_per_second"}}
    state = run.state.replace(key=jax.random.key_data(run.state.key))
    found = hashlib.sha256(f"{run.reason} {run.steps}".encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path((run.params, run.best, run.value, state, history)):
        x = np.asarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {x.dtype} {x.shape}".encode() + x.tobytes())
    return found.hexdigest()


def start(directory: Path, pause: float) -> subprocess.Popen:
    command = [
        sys.executable,
        "-W",
        "ignore::RuntimeWarning",
        __file__,
        "--child",
        str(directory),
        "--pause",
        str(pause),
    ]
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(directory.parent / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(command, env=os.environ | cache, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_saved(directory: Path) -> int:
    return max((int(path.name) for path in directory.glob("*") if path.name.isdigit()), default=0)


def soak(kills: int, seed: int = 0, pause: float = 0.05) -> tuple[str, list[int]]:
    """The digest of a run killed `kills` times, and the steps that were saved at each kill."""
    rng, seen = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        while len(seen) < kills:
            child = start(directory, pause)
            assert child.stdout is not None
            # The first line says that all is imported, each further one that a chunk is done. So the moment is random,
            # in restoring, compiling, training and saving, and on slow machines as on fast ones.
            for _ in range(rng.randint(1, 14)):
                child.stdout.readline()
            time.sleep(rng.uniform(0.0, 2 * pause))
            child.send_signal(signal.SIGKILL)
            _, errors = child.communicate()
            if child.returncode == 0:
                break  # it was faster; the one that follows only restores the end
            if child.returncode != -signal.SIGKILL:
                raise RuntimeError(f"the run failed by itself: {errors}")
            seen.append(steps_saved(directory))
        child = start(directory, 0.0)
        out, errors = child.communicate(timeout=300)
        if child.returncode:
            raise RuntimeError(errors)
        return out.split()[-1], seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--child")
    parser.add_argument("--pause", type=float, default=0.05)
    options = parser.parse_args()
    if options.child:
        import orbax.checkpoint  # noqa: F401 - so that the kill falls into the run, not into the import

        import funcgd  # noqa: F401

        print("ready", flush=True)
        print(digest(train(options.child, options.pause)), flush=True)
        return
    warnings.simplefilter("ignore")
    expected = digest(train(None, 0.0))
    rounds = 0
    while rounds < options.kills:
        kills = min(8, options.kills - rounds)
        found, seen = soak(kills, seed=rounds)
        rounds += len(seen)
        print(f"{rounds} kills, at saved steps {seen}: {'bitwise the same' if found == expected else 'DIFFERENT'}")
        if found != expected:
            sys.exit(1)


if __name__ == "__main__":
    main()
