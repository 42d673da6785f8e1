"""Lookahead: fast weights take k noisy steps, slow weights follow half of the way, and the noise averages out.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.

Steps of constant length on gradients of small batches never come to rest: they circle the minimum at a distance that
the rate sets. Slow weights are means over much of that circle. Zhang, Lucas, Hinton, Ba (2019) show for quadratics
that their variance is smaller at every rate; here it is seen on a regression that tells handwritten digits apart.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import funcgd as fg

STEPS, BATCH, TRAINING, DECAY = 1000, 4, 1408, 1e-2


def loss(params, x, y):
    each = fg.softmax_cross_entropy_with_integer_labels(x @ params["w"] + params["b"], y)
    return each.mean() + DECAY / 2 * jnp.sum(params["w"] ** 2)


def train(tx, pair, x, y):
    """The loss on all examples after each step, of the fast weights and of the slow ones."""
    rows = np.random.default_rng(1).integers(TRAINING, size=(STEPS, BATCH))

    def step(carry, rows):
        pair, state = carry
        grads = jax.grad(loss)(pair.fast, x[rows], y[rows])  # of the fast weights
        updates, state = tx.update(grads, state, pair)
        pair = fg.apply_updates(pair, updates)
        return (pair, state), jnp.stack([loss(pair.fast, x, y), loss(pair.slow, x, y)])

    return jax.jit(lambda carry: jax.lax.scan(step, carry, rows)[1])((pair, tx.init(pair)))


def main() -> dict[str, float]:
    pixels, labels = load_digits(return_X_y=True)
    x, y = jnp.asarray(pixels[:TRAINING] / 16), jnp.asarray(labels[:TRAINING])
    start = {"w": jnp.zeros((64, 10)), "b": jnp.zeros(10)}
    print(f"{'loss on all, mean over':<26}steps 1–100   101–200   501–1000   the slow weights: 501–1000")
    losses = {}
    for rate in (0.3, 1.0):
        for k, alpha in ((1, 1.0), (5, 0.5), (10, 0.5)):  # k = 1, α = 1 is gradient descent itself
            tx = fg.lookahead(fg.sgd(rate), sync_period=k, slow_step_size=alpha)
            fast, slow = np.asarray(train(tx, fg.LookaheadParams.init_synced(start), x, y)).T
            name = f"η = {rate}, k = {k}, α = {alpha}"
            means = fast[:100].mean(), fast[100:200].mean(), fast[500:].mean(), slow[500:].mean()
            print(f"{name:<26}{means[0]:>11.4f}{means[1]:>10.4f}{means[2]:>11.4f}{means[3]:>28.4f}")
            losses[name] = float(means[3])
        plain, *slow = list(losses.values())[-3:]
        assert max(slow) < plain, "slow weights must lie closer to the minimum"
    return losses


if __name__ == "__main__":
    main()
