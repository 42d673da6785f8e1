"""Accumulate gradients: steps of 256 examples where memory has room for 32, and a batch that grows as training goes on.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.
`MultiSteps` averages the gradients of some micro-batches; its updates are zero until the optimizer steps on the mean.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import funcgd as fg

MICRO, STEPS, TRAINING = 32, 60, 1536  # examples in a micro-batch, optimizer steps, of 1797 examples


def logits(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]


def loss(params, x, y):
    return fg.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


def train(tx, params, x, y, rows):
    """Parameters after an update for each row of `rows`, and for each whether the parameters moved."""

    def step(carry, rows):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, x[rows], y[rows]), state, params)
        return (fg.apply_updates(params, updates), state), jnp.any(updates["w2"] != 0)

    (params, _), moved = jax.jit(lambda carry: jax.lax.scan(step, carry, rows))((params, tx.init(params)))
    return params, moved


def main() -> dict[str, float]:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = jnp.asarray(pixels[order] / 16), jnp.asarray(labels[order])
    epochs = [np.random.default_rng(epoch).permutation(TRAINING) for epoch in range(STEPS * 256 // TRAINING)]
    rows = np.concatenate(epochs)
    keys = jax.random.split(jax.random.key(1))
    start = {
        "w1": jax.random.normal(keys[0], (64, 48)) / 8,
        "b1": jnp.zeros(48),
        "w2": jax.random.normal(keys[1], (48, 10)) / 7,
    }

    tx = fg.adam(fg.cosine_decay_schedule(2e-2, STEPS))  # the schedule counts steps of the optimizer, not micro-batches
    growing = fg.MultiSteps(tx, every_k_schedule=lambda step: 1 << (step // 15))  # 1, 2, 4, 8
    plans = {
        "batches of 256": (tx, rows.reshape(-1, 256)),
        "8 micro-batches of 32": (fg.MultiSteps(tx, every_k_schedule=8), rows.reshape(-1, MICRO)),
        "1, 2, 4, 8 micro-batches": (growing, rows.reshape(-1, MICRO)[: 15 * (1 + 2 + 4 + 8)]),
        "single micro-batches": (tx, rows.reshape(-1, MICRO)[:STEPS]),
    }
    print(f"{'':<26}{'examples seen':>14}{'steps':>7}{'training loss':>15}{'held-out loss':>15}")
    losses, ends = {}, {}
    for name, (tx, order) in plans.items():
        ends[name], moved = train(tx, start, x, y, jnp.asarray(order))
        losses[name] = float(loss(ends[name], x[:TRAINING], y[:TRAINING]))
        held_out = loss(ends[name], x[TRAINING:], y[TRAINING:])
        print(f"{name:<26}{order.size:>14}{int(moved.sum()):>7}{losses[name]:>15.4f}{held_out:>15.4f}")
        assert moved.sum() == STEPS, "the parameters move once in each window"
    whole, parts = ends["batches of 256"], ends["8 micro-batches of 32"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), whole, parts)  # equal, up to rounding
    return losses


if __name__ == "__main__":
    main()
