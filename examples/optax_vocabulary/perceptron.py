"""A perceptron with a hidden layer reads handwritten digits: minibatches, a schedule, clipping, weight decay.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.
The model is plain JAX, a list of layers.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import funcgd as fg

EPOCHS, BATCH, TRAINING = 8, 64, 1408  # of 1797 examples; the others are held out


def init(key, sizes):
    """Weights of variance 2/n, for units with n inputs: He's rule for ReLU."""
    layers = zip(jax.random.split(key, len(sizes) - 1), pairwise(sizes), strict=True)
    return [{"w": jax.random.normal(k, (n, m)) * np.sqrt(2 / n), "b": jnp.zeros(m)} for k, (n, m) in layers]


def logits(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def matrices(params):
    """True where weights decay: not for biases."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def loss(params, x, y):
    return fg.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


def main() -> dict[str, float]:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = jnp.asarray(pixels[order] / 16), jnp.asarray(labels[order])
    held_out = x[TRAINING:], y[TRAINING:]

    steps = EPOCHS * (TRAINING // BATCH)
    rate = fg.warmup_cosine_decay_schedule(0.0, 1e-2, warmup_steps=steps // 10, decay_steps=steps)
    tx = fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(rate, weight_decay=1e-2, mask=matrices))

    params = init(jax.random.key(1), (64, 64, 10))
    state = tx.init(params)

    @jax.jit
    def step(params, state, rows):
        value, grads = jax.value_and_grad(loss)(params, x[rows], y[rows])
        updates, state = tx.update(grads, state, params)
        return fg.apply_updates(params, updates), state, value

    accuracy = 0.0
    print("epoch   learning rate   training loss   held-out loss   held-out accuracy")
    for epoch in range(EPOCHS):
        values = []
        for rows in np.random.default_rng(epoch).permutation(TRAINING).reshape(-1, BATCH):
            params, state, value = step(params, state, rows)
            values.append(value)
        accuracy = np.mean(logits(params, held_out[0]).argmax(-1) == held_out[1])
        now = rate((epoch + 1) * (TRAINING // BATCH) - 1)
        print(f"{epoch:>5}{now:>16.5f}{np.mean(values):>16.4f}{loss(params, *held_out):>16.4f}{accuracy:>20.3f}")
    assert accuracy >= 0.96, "the digits held out must be read"
    return {"training": float(loss(params, x[:TRAINING], y[:TRAINING])), "held out": float(loss(params, *held_out))}


if __name__ == "__main__":
    main()
