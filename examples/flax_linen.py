"""A Flax linen model with BatchNorm and Dropout tells malignant tumours from benign ones, and how sure it is.

The parameters train; the collection `batch_stats` passes through `fg.fit` as the model state. After training, dropout
stays on for a hundred passes: where they disagree, the network does not know.

Reference: Gal, Ghahramani, Dropout as a Bayesian approximation, ICML 2016.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

import funcgd as fg

SIZES = (288, 53, 228)  # training, validation, test examples
PASSES = 100


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, statistics_of_batch: bool, dropout: bool):
        h = nn.Dense(32)(x)
        h = nn.BatchNorm(use_running_average=not statistics_of_batch, momentum=0.9)(h)
        h = nn.Dropout(0.3, deterministic=not dropout)(nn.relu(h))
        return nn.Dense(1)(h)[:, 0]


net = Net()


def loss(params, batch, key, model_state, training):
    logits, model_state = net.apply(
        {"params": params, **model_state}, batch["x"], training, training, rngs={"dropout": key}, mutable="batch_stats"
    )
    return fg.sigmoid_binary_cross_entropy(logits, batch["y"]).mean(), fg.Aux(model_state=model_state)


def predict(params, x, model_state, key=None):
    """Logits from the running statistics; with a key there is dropout."""
    rngs = None if key is None else {"dropout": key}
    return jnp.asarray(net.apply({"params": params, **model_state}, x, False, key is not None, rngs=rngs))


def right(params, batch, model_state):
    """Which examples the network in inference mode gets right."""
    return (predict(params, batch["x"], model_state) > 0) == batch["y"]


def metrics(params, batch, model_state):
    return {"accuracy": right(params, batch, model_state).mean()}


def spread(params, batch, model_state, key):
    """Standard deviation of the predicted probability of each example, over passes with dropout."""
    keys = jax.random.split(key, PASSES)
    return jax.vmap(lambda key: jax.nn.sigmoid(predict(params, batch["x"], model_state, key)))(keys).std(axis=0)


def main() -> float:
    training, validation, test = fg.problems.split(fg.problems.breast_cancer(), jax.random.key(0), SIZES)
    variables = net.init(jax.random.key(1), training["x"][:1], False, False)
    params, model_state = variables["params"], {"batch_stats": variables["batch_stats"]}
    tx, key = fg.adam(3e-3), jax.random.key(2)
    start = fg.TrainState.create(params, tx, key=key, model_state=model_state)
    run = fg.fit(loss, start, tx, training, batch_size=32, epochs=30, key=key, validation=validation, metrics=metrics)

    correct = right(run.params, test, run.state.model_state)
    order = jnp.argsort(spread(run.params, test, run.state.model_state, key))  # the surest first
    print(f"\n{len(order)} tumours held out, sorted by how far {PASSES} passes with dropout disagree:")
    for name, quarter in zip(("surest", "second", "third", "least sure"), jnp.array_split(order, 4), strict=True):
        print(f"  {name + ' quarter':<20}{len(quarter) - int(correct[quarter].sum())} of {len(quarter)} are wrong")
    accuracy = float(correct.mean())
    print(f"accuracy, inference mode: {accuracy:.4f}")
    assert accuracy >= 0.94, f"the held-out accuracy must be at least 0.94, got {accuracy:.4f}"
    return accuracy


if __name__ == "__main__":
    main()
