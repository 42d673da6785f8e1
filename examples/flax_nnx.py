"""A convolutional Flax nnx model with BatchNorm and Dropout reads handwritten digits, and shows those that it misreads.

`nnx.split` takes the module apart: its `nnx.Param` variables train, its `nnx.BatchStat` variables pass through `fg.fit`
as the model state, and the graph definition is a constant that the loss puts both together with.
"""

import jax
from flax import nnx

import funcgd as fg

SIZES = (1280, 256, 261)  # training, validation, test examples
SHADES = " .:-=+*#%@"


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(1, 16, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(16, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.3)
        self.last = nnx.Linear(16 * 4 * 4, 10, rngs=rngs)

    def __call__(self, x, rngs=None):
        h = nnx.relu(self.norm(self.conv(x.reshape(-1, 8, 8, 1))))
        h = nnx.max_pool(h, (2, 2), (2, 2)).reshape(len(x), -1)
        return self.last(self.dropout(h, rngs=rngs))


graph, start, running = nnx.split(Net(nnx.Rngs(1)), nnx.Param, nnx.BatchStat)


def assemble(params, model_state, training):
    """The module; when not training, without dropout and with the running statistics."""
    net = nnx.merge(graph, params, model_state)
    net.train() if training else net.eval()
    return net


def loss(params, batch, key, model_state, training):
    net = assemble(params, model_state, training)
    logits = net(batch["x"], nnx.Rngs(dropout=key))
    value = fg.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()
    return value, fg.Aux(model_state=nnx.state(net, nnx.BatchStat))


def metrics(params, batch, model_state):
    logits = assemble(params, model_state, training=False)(batch["x"])
    return {"accuracy": (logits.argmax(-1) == batch["y"]).mean()}


def draw(digits, labels, guesses) -> str:
    """Digits side by side in characters, each under what it is and what it was read as."""
    heads = [f"{label} read as {guess}".ljust(18) for label, guess in zip(labels, guesses, strict=True)]
    rows = [["".join(SHADES[int(9 * x)] * 2 for x in row) for row in digit.reshape(8, 8)] for digit in digits]
    return "\n".join(["".join(heads), *("  ".join(row) for row in zip(*rows, strict=True))])


def main() -> float:
    training, validation, test = fg.problems.split(fg.problems.digits(), jax.random.key(0), SIZES)
    tx, key = fg.adam(3e-3), jax.random.key(2)
    state = fg.TrainState.create(start, tx, key=key, model_state=running)
    run = fg.fit(loss, state, tx, training, batch_size=64, epochs=15, key=key, validation=validation, metrics=metrics)

    net = assemble(run.params, run.state.model_state, training=False)
    guesses = net(test["x"]).argmax(-1)
    wrong = (guesses != test["y"]).nonzero()[0]
    accuracy = 1 - len(wrong) / len(guesses)
    print(f"\ntest accuracy, inference mode: {accuracy:.4f}; misread are {len(wrong)} of {len(guesses)}, such as")
    print(draw(test["x"][wrong[:5]], test["y"][wrong[:5]], guesses[wrong[:5]]))
    assert accuracy >= 0.97, f"the test accuracy must be at least 0.97, got {accuracy:.4f}"
    return accuracy


if __name__ == "__main__":
    main()
