"""Which learning rate and which momentum? Twenty-one pairs from three starts each, trained side by side.

Sixty-three runs of a perceptron on scikit-learn's handwritten digits are one compiled program. Those that no longer
improve stop, and the others go on. The second table is averaged over the starts, as one start proves little; its winner
is trained once more, by itself, and tested on digits that no run has seen.
"""

import time

import jax
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg
from funcgd import plots

SPLIT, KEYS = jax.random.key(0), jax.random.split(jax.random.key(1), 3)
RATES, MOMENTA = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], [0.0, 0.5, 0.9]
OPTIONS = {"batch_size": 64, "epochs": 12, "stop": fg.stop.patience(3), "progress": False}

model = fg.multilayer_perceptron([64, 32, 10], "tanh")
training, validation, test = fg.problems.split(fg.problems.digits(), SPLIT, (1280, 256, 261))


def loss(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()


def metrics(params, batch):
    return {"accuracy": (model.apply(params, batch["x"]).argmax(-1) == batch["y"]).mean()}


def main() -> float:
    began = time.perf_counter()
    population = fg.grid(fg.sgd, learning_rate=RATES, momentum=MOMENTA)
    found = fg.sweep(
        loss, model.init, population, training, keys=KEYS, validation=validation, metrics=metrics, **OPTIONS
    )
    seconds, steps = time.perf_counter() - began, found.table["steps"].sum()
    print(found)
    print(f"{steps} steps in {seconds:.1f} s, compilation included\n")

    shape = len(RATES), len(MOMENTA), len(KEYS)
    means = found.table["value"].reshape(shape).mean(axis=2)  # of each pair
    print("mean of the lowest validation losses\nlearning rate" + "".join(f"  momentum {m}" for m in MOMENTA))
    for rate, row in zip(RATES, means, strict=True):
        print(f"{rate:>13g}" + "".join(f"{x:>14.3f}" for x in row))
    plots.sweep_map(found, "learning_rate", "momentum", log=True)

    best = int(means.argmin())
    tx = fg.unstack(population)[best]
    member = best * len(KEYS)  # of the first start
    init_key, key = jax.random.split(KEYS[0])
    alone = fg.fit(loss, model.init(init_key), tx, training, key=key, validation=validation, metrics=metrics, **OPTIONS)
    accuracy = float(fg.evaluate(metrics, alone.best, test)["accuracy"])
    print(f"\nlowest mean: {tx}; by itself {alone.steps} steps, {accuracy:.3f} of the test digits are right")
    assert np.isclose(alone.value, found.table["value"][member], rtol=1e-3), "a member must be its run of fit"
    assert means.min() < 0.3 * means[0, 0], "the choice must matter"
    return accuracy


if __name__ == "__main__":
    main()
    plt.show()
