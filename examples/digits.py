"""Six optimizers train the same perceptron on the 1,797 handwritten digits that scikit-learn bundles.

Every accuracy is a mean over ten splits of the data, and the ten networks of one optimizer train together, in one
vmapped program. Prints a table and saves a figure.
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from tqdm.auto import tqdm

import funcgd as fg

SPLITS = 10
SIZES = (1280, 256, 261)  # training, validation, test examples of each split
RUNS = {  # name: (optimizer, batch size, epochs)
    "gradient descent": (fg.gradient_descent(0.5), 1280, 1000),
    "SGD": (fg.sgd(0.02), 1, 30),
    "mini-batch SGD": (fg.sgd(0.2), 32, 60),
    "momentum": (fg.sgd(0.05, momentum=0.9), 32, 60),
    "RMSProp": (fg.rmsprop(1e-3), 32, 60),
    "Adam": (fg.adam(3e-3), 32, 60),
}

model = fg.multilayer_perceptron([64, 64, 10], "relu", initializer="he_normal")


def loss(params, batch):
    logits = model.apply(params, batch["x"])
    return fg.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()


def accuracy(params, data):
    return (model.apply(params, data["x"]).argmax(-1) == data["y"]).mean()


def run(tx, batch_size, epochs, parts, keys, bar):
    """Train one network on each split; returns curves of shape (splits, epochs) and final test accuracies."""
    training, validation, test = parts

    def start(key):
        return fg.TrainState.create(model.init(key), tx, key=key)

    def epoch(tx, state, training, validation):
        order = jax.random.permutation(jax.random.fold_in(state.key, state.step), SIZES[0])
        batches = jax.tree.map(lambda x: x[order].reshape(-1, batch_size, *x.shape[1:]), training)
        state, metrics = fg.train(loss, tx, state, batches)
        return state, metrics["loss"].mean(), accuracy(state.params, validation)

    states, curves = jax.vmap(start)(keys), []
    many = jax.jit(jax.vmap(epoch, in_axes=(None, 0, 0, 0)))
    many = many.lower(tx, states, training, validation).compile()  # so that the clock below measures training
    began = time.perf_counter()
    for _ in range(epochs):
        states, *row = many(tx, states, training, validation)
        curves.append(jax.device_get(row))
        bar.update()
    seconds = time.perf_counter() - began
    losses, accuracies = (jnp.stack(column, axis=1) for column in zip(*curves, strict=True))
    return losses, accuracies, jax.vmap(accuracy)(jax.vmap(lambda s: s.params)(states), test), seconds


def main(figure: Path = Path("digits.png")) -> dict[str, float]:
    keys = jax.random.split(jax.random.key(0), SPLITS)
    data = fg.problems.digits()
    parts = jax.vmap(lambda key: fg.problems.split(data, key, SIZES))(keys)

    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    rows, means = [], {}
    total = sum(epochs for _, _, epochs in RUNS.values())
    with tqdm(total=total, bar_format="{desc:>18} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}") as bar:
        for name, (tx, batch_size, epochs) in RUNS.items():
            bar.set_description(name)
            losses, accuracies, test, seconds = run(tx, batch_size, epochs, parts, keys, bar)
            steps = epochs * SIZES[0] // batch_size
            means[name] = float(test.mean())
            rows.append((name, steps, seconds, losses[:, -1].mean(), accuracies[:, -1], test))
            x = 1 + jnp.arange(epochs)
            for axes, curve in ((left, losses), (right, accuracies)):
                (line,) = axes.plot(x, curve.mean(0), label=name, lw=1.5)
                low, high = curve.mean(0) - curve.std(0), curve.mean(0) + curve.std(0)
                axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, lw=0)

    print(f"\n{'optimizer':<18}{'steps':>7}{'seconds':>9}{'training loss':>15}{'validation':>16}{'test accuracy':>18}")
    for name, steps, seconds, last, validation, test in rows:
        spread = [f"{x.mean():.4f} ± {x.std():.4f}" for x in (validation, test)]
        print(f"{name:<18}{steps:>7}{seconds:>9.1f}{last:>15.5f}{spread[0]:>18}{spread[1]:>18}")
    print(f"mean ± standard deviation over {SPLITS} splits, trained together; seconds are for all, without compilation")

    left.set(xlabel="epoch", ylabel="training loss", xscale="log", yscale="log", title="Training loss")
    right.set(xlabel="epoch", ylabel="validation accuracy", xscale="log", ylim=(0.8, 1), title="Validation accuracy")
    right.legend(loc="lower right", frameon=False)
    fig.suptitle(f"A 64–64–10 perceptron on handwritten digits: mean ± standard deviation over {SPLITS} splits")
    fig.savefig(figure, dpi=150)
    print(f"figure: {figure.resolve()}")
    assert means["Adam"] >= 0.96, f"Adam's mean test accuracy must be at least 0.96, got {means['Adam']:.4f}"
    return means


if __name__ == "__main__":
    main()
