"""Sixteen learning rates: one sweep beside sixteen fits and beside programs written by hand with Optax."""

import jax
import numpy as np
import optax
from harness import compare
from training import DATA, KEY, N, loss_of, scan_by_hand

import funcgd as fg

RATES = [float(rate) for rate in np.geomspace(1e-4, 1e-1, 16)]
EPOCHS = 2
NETWORKS = {
    "64–128–128–10, batch 64": (fg.multilayer_perceptron([64, 128, 128, 10]), 64),
    "logistic regression, batch 1": (fg.logistic(64, 10), 1),
}


def runs_of(model, batch_size):
    """What is compared; each of these functions makes a function that may be called again without compiling."""
    loss, start = loss_of(model), model.init(KEY)
    options = {"batch_size": batch_size, "epochs": EPOCHS, "progress": False}

    def one_sweep():
        txs = fg.grid(fg.adam, learning_rate=RATES)
        return lambda: fg.sweep(loss, start, txs, DATA, keys=KEY[None], **options).params

    def sixteen_fits():
        return lambda: [fg.fit(loss, start, fg.adam(rate), DATA, key=KEY, **options).params for rate in RATES]

    def by_hand():
        """One jitted scan for each rate, which holds the rate in its closure."""
        run = scan_by_hand(loss, optax.adam, batch_size, EPOCHS)
        programs = [jax.jit(lambda params, rate=rate: run(rate, params)) for rate in RATES]
        return lambda: [program(start)[0][0] for program in programs]

    def by_hand_and_vmap():
        """One jitted scan under vmap, with the rate as a number inside the state."""
        run = scan_by_hand(
            loss, lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate), batch_size, EPOCHS
        )
        program = jax.jit(jax.vmap(run, in_axes=(0, None)))
        return lambda: program(np.array(RATES, np.float32), start)[0][0]

    return {
        "one fg.sweep": one_sweep,
        "sixteen fg.fit": sixteen_fits,
        "sixteen Optax optimizers": by_hand,
        "scan by hand under vmap, inject_hyperparams": by_hand_and_vmap,
    }


def cold(make):
    def measured():
        jax.clear_caches()  # so that each begins like a new process
        return make()()

    return measured


def main() -> None:
    for name, (model, batch_size) in NETWORKS.items():
        runs = runs_of(model, batch_size)
        steps = len(RATES) * EPOCHS * N // batch_size
        title = f"{name}, sixteen learning rates, {steps} steps in all"
        compare(f"{title}, compilation included", {k: cold(make) for k, make in runs.items()}, repeats=3, warm_up=0)
        compare(f"{title}, compiled before", {k: make() for k, make in runs.items()}, repeats=7, warm_up=1)


if __name__ == "__main__":
    main()
