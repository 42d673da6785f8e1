"""Six optimizers train the same perceptron on the 1,797 handwritten digits that scikit-learn bundles.

Every accuracy is a mean over ten splits of the data, whose networks train together in one vmapped program.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from tqdm.auto import tqdm

import funcgd as fg
from funcgd import plots

SPLITS, SIZES = 10, (1280, 256, 261)  # training, validation, test examples of each split
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
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()


def accuracy(params, data):
    return (model.apply(params, data["x"]).argmax(-1) == data["y"]).mean()


def run(tx, batch_size, epochs, keys, parts, bar):
    """Train one network on each split; returns curves of shape (splits, epochs), and test accuracies."""

    def epoch(tx, state, parts):
        order = jax.random.permutation(jax.random.fold_in(state.key, state.step), SIZES[0])
        batches = jax.tree.map(lambda x: x[order].reshape(-1, batch_size, *x.shape[1:]), parts[0])
        state, metrics = fg.train(loss, tx, state, batches)
        return state, metrics["loss"].mean(), accuracy(state.params, parts[1])

    states = jax.vmap(lambda key: fg.TrainState.create(model.init(key), tx, key=key))(keys)
    many, curves = jax.jit(jax.vmap(epoch, in_axes=(None, 0, 0))), []
    for _ in range(epochs):
        states, *row = many(tx, states, parts)
        curves.append(jax.device_get(row))
        bar.update()
    losses, accuracies = (jnp.stack(column, axis=1) for column in zip(*curves, strict=True))
    return losses, accuracies, jax.vmap(accuracy)(states.params, parts[2])


def main(figure="digits.png") -> dict[str, float]:
    keys, data = jax.random.split(jax.random.key(0), SPLITS), fg.problems.digits()
    parts = jax.vmap(lambda key: fg.problems.split(data, key, SIZES))(keys)
    rows, shown = {}, "{desc:>18} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=sum(epochs for _, _, epochs in RUNS.values()), bar_format=shown) as bar:
        for name, (tx, batch_size, epochs) in RUNS.items():
            bar.set_description(name)
            rows[name] = run(tx, batch_size, epochs, keys, parts, bar)

    print(f"\n{'optimizer':<18}{'training loss':>15}{'validation':>18}{'test accuracy':>18}")
    for name, (losses, accuracies, test) in rows.items():
        spread = [f"{x.mean():.4f} ± {x.std():.4f}" for x in (accuracies[:, -1], test)]
        print(f"{name:<18}{losses[:, -1].mean():>15.5f}{spread[0]:>18}{spread[1]:>18}")

    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    plots.learning_curves({name: row[0] for name, row in rows.items()}, ax=left).set(xscale="log")
    plots.learning_curves({name: row[1] for name, row in rows.items()}, log=False, ax=right)
    right.set(xscale="log", ylim=(0.8, 1), ylabel="validation accuracy")
    fig.savefig(figure, dpi=150)
    print(f"figure: {figure}")
    means = {name: float(row[2].mean()) for name, row in rows.items()}
    assert means["Adam"] >= 0.96, means
    return means


if __name__ == "__main__":
    main()
