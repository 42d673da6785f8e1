"""An Equinox model with BatchNorm and Dropout learns the handwritten digits; then it is asked in both its modes.

The module itself is what trains: its floating arrays are the parameters, functions and flags in it are carried. The
running statistics of BatchNorm are an `eqx.nn.State`, which passes through `fg.fit` as the model state.
"""

import equinox as eqx
import jax

import funcgd as fg

SIZES = (1280, 256, 261)  # training, validation, test examples
EPOCHS = 25


class Net(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, key):
        one, two = jax.random.split(key)
        self.first = eqx.nn.Linear(64, 64, key=one)
        self.norm = eqx.nn.BatchNorm(64, axis_name="batch", momentum=0.9, mode="batch")
        self.dropout = eqx.nn.Dropout(0.3)
        self.last = eqx.nn.Linear(64, 10, key=two)

    def __call__(self, x, state, key):
        h, state = self.norm(self.first(x), state)
        return self.last(self.dropout(jax.nn.relu(h), key=key)), state


def predict(net, batch, model_state, key, training):
    """(logits, new state); when not training, dropout is off and BatchNorm takes its running statistics."""
    net = net if training else eqx.nn.inference_mode(net)
    keys = jax.random.split(key, len(batch["x"]))
    over_batch = jax.vmap(net, in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch")
    return over_batch(batch["x"], model_state, keys)


def loss(net, batch, key, model_state, training):
    logits, model_state = predict(net, batch, model_state, key, training)
    value = fg.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()
    return value, fg.Aux(model_state=model_state)


def metrics(net, batch, key, model_state, training):
    logits, _ = predict(net, batch, model_state, key, training)
    return {"accuracy": (logits.argmax(-1) == batch["y"]).mean()}


def main() -> float:
    training, validation, test = fg.problems.split(fg.problems.digits(), jax.random.key(0), SIZES)
    net, model_state = eqx.nn.make_with_state(Net)(jax.random.key(1))
    tx, key = fg.adam(3e-3), jax.random.key(2)
    start = fg.TrainState.create(net, tx, key=key, model_state=model_state)
    run = fg.fit(
        loss, start, tx, training, batch_size=64, epochs=EPOCHS, key=key, validation=validation, metrics=metrics
    )

    seen = run.history["validation"]
    print(f"\n{'epoch':>5}{'training loss':>15}{'validation loss':>17}{'accuracy':>10}")
    for epoch in (0, 4, 9, 14, 19, 24):
        end = seen["step"][epoch]
        of_epoch = run.history["loss"][end - SIZES[0] // 64 : end].mean()
        print(f"{epoch + 1:>5}{of_epoch:>15.4f}{seen['loss'][epoch]:>17.4f}{seen['accuracy'][epoch]:>10.4f}")
    trained = (run.params, test, key, run.state.model_state)
    noisy, sure = (float(metrics(*trained, training=mode)["accuracy"]) for mode in (True, False))
    print(f"test accuracy, training mode (dropout, statistics of the batch): {noisy:.4f}")
    print(f"test accuracy, inference mode (no dropout, running statistics):  {sure:.4f}")
    assert sure >= 0.95, f"the test accuracy must be at least 0.95, got {sure:.4f}"
    return sure


if __name__ == "__main__":
    main()
