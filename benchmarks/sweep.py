"""Sixteen learning rates: one sweep beside sixteen fits and sixteen programs written by hand with Optax."""

import jax
import numpy as np
import optax
from harness import compare
from training import DATA, KEY, N, loss_of, scan_by_hand

import funcgd as fg

RATES = [float(rate) for rate in np.geomspace(1e-4, 1e-1, 16)]
EPOCHS, BATCH = 2, 64
MODEL = fg.multilayer_perceptron([64, 128, 128, 10])
LOSS, START = loss_of(MODEL), MODEL.init(KEY)
OPTIONS = {"batch_size": BATCH, "epochs": EPOCHS, "progress": False}


def one_sweep():
    txs = fg.grid(fg.adam, learning_rate=RATES)
    return fg.sweep(LOSS, START, txs, DATA, keys=KEY[None], **OPTIONS).params


def sixteen_fits():
    return [fg.fit(LOSS, START, fg.adam(rate), DATA, key=KEY, **OPTIONS).params for rate in RATES]


def by_hand():
    """One jitted scan for each rate, which holds the rate in its closure; to be called more than once."""
    run = scan_by_hand(LOSS, optax.adam, BATCH, EPOCHS)
    programs = [jax.jit(lambda params, rate=rate: run(rate, params)) for rate in RATES]
    return lambda: [program(START)[0][0] for program in programs]


def by_hand_and_vmap():
    """What an expert would write: one jitted scan under vmap, with the rate as a number inside the state."""
    run = scan_by_hand(LOSS, lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate), BATCH, EPOCHS)
    program = jax.jit(jax.vmap(run, in_axes=(0, None)))
    return lambda: program(np.array(RATES, np.float32), START)[0][0]


def cold(run):
    def measured():
        jax.clear_caches()  # so that each begins like a new process
        return run()

    return measured


def main() -> None:
    steps = len(RATES) * EPOCHS * N // BATCH
    runs = {
        "one fg.sweep": cold(one_sweep),
        "sixteen fg.fit": cold(sixteen_fits),
        "sixteen Optax optimizers": cold(lambda: by_hand()()),
        "scan by hand under vmap, inject_hyperparams": cold(lambda: by_hand_and_vmap()()),
    }
    compare(f"sixteen learning rates, {steps} steps in all, compilation included", runs, repeats=3, warm_up=0)
    runs = {
        "one fg.sweep": one_sweep,
        "sixteen fg.fit": sixteen_fits,
        "sixteen Optax optimizers": by_hand(),
        "scan by hand under vmap, inject_hyperparams": by_hand_and_vmap(),
    }
    compare("the same, compiled before", runs, repeats=7, warm_up=1)


if __name__ == "__main__":
    main()
