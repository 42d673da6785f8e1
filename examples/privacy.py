"""Do weights betray who was in the training data? Differential privacy, attacked by somebody who knows all but that.

Softmax regression learns handwritten digits, in half of all runs also one that is labelled wrongly. The attacker has
the weights, and bets that it was there if they make its wrong label likelier than usual. If a run is (ε, δ)-private,
such bets are right more often than wrong by (e^ε − 1 + 2δ)/(e^ε + 1) at most: their advantage, measured here.
"""

import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg

RUNS, STEPS, DELTA = 100, 80, 1e-5
SHARE, LENGTH = 0.1, 110  # how likely each example is drawn at each step; more than this many of 600 never are
training, test = fg.problems.split(fg.problems.digits(), jax.random.key(0), (600, 1197))
training["y"] = training["y"].at[-1].set((training["y"][-1] + 5) % 10)  # the one that the attacker looks for
odd = jax.tree.map(lambda x: x[-1], training)
model = fg.multilayer_perceptron([64, 10], None)  # one layer


def one(params, example):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, example["x"]), example["y"])


loss = fg.mean_loss(one, weights="drawn")  # where that is 0, so is the gradient: all batches have one length


def train(tx, key, present):  # → accuracy, and what the attacker looks at
    draw_key, noise_key = jax.random.split(key)
    state = fg.TrainState.create(model.init(jax.random.key(2)), tx)
    state = state.replace(opt_state=fg.tree.set(state.opt_state, rng_key=noise_key))  # every run has noise of its own

    def step(state, key):
        drawn = jax.random.bernoulli(key, SHARE, (600,)) & (jnp.arange(600) < 599 + present)
        rows = jnp.argsort(~drawn)[:LENGTH]
        batch = jax.tree.map(lambda x: x[rows], training | {"drawn": drawn})
        return fg.make_step(loss, tx)(state, batch)[0], None

    params = jax.lax.scan(step, state, jax.random.split(draw_key, STEPS))[0].params
    return (model.apply(params, test["x"]).argmax(-1) == test["y"]).mean(), -one(params, odd)


def epsilon(sigma):
    """What all steps spend (Mironov, Talwar, Zhang, Rényi differential privacy of the sampled Gaussian, 2019)."""

    def spent(order):
        k = np.arange(order + 1)
        ways = np.array([math.log(math.comb(order, i)) for i in k])
        moment = ways + (order - k) * math.log1p(-SHARE) + k * math.log(SHARE) + k * (k - 1) / (2 * sigma**2)
        return (STEPS * np.logaddexp.reduce(moment) - math.log(DELTA)) / (order - 1)

    return min(map(spent, range(2, 100))) if sigma else math.inf


def main() -> dict[str, tuple[float, float, float]]:
    keys, present = jax.random.split(jax.random.key(1), RUNS), jnp.arange(RUNS) % 2
    many, rows = jax.jit(lambda tx: jax.vmap(train, in_axes=(None, 0, 0))(tx, keys, present)), {}
    axes = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")[1]
    print(f"{'noise':>6}{'ε':>8}{'accuracy':>10}{'advantage':>11}{'at most':>9}")
    for ax, (bound, sigma) in zip(axes, ((1e6, 0.0), (0.5, 1.0), (0.5, 2.0), (0.5, 4.0)), strict=True):
        accuracies, scores = jax.device_get(many(fg.dpsgd(2.0, bound, sigma, seed=0)))  # compiled once
        bets = [(x > (scores[::2].mean() + scores[1::2].mean()) / 2).mean() for x in (scores[::2], scores[1::2])]
        eps, advantage = epsilon(sigma), float(bets[1] - bets[0])
        most = (1 + (2 * DELTA - 1) * math.exp(-eps)) / (1 + math.exp(-eps))
        rows[sigma] = float(accuracies.mean()), advantage, most
        print(f"{sigma:>6}{eps:>8.2f}{rows[sigma][0]:>10.3f}{advantage:>11.2f}{most:>9.2f}")
        ax.hist((scores[::2], scores[1::2]), 20, histtype="stepfilled", alpha=0.6, label=("was not there", "was there"))
        ax.set(title=f"σ = {sigma}, advantage {advantage:.2f}", xlabel="log p(wrong label)")
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    assert rows[0.0][1] > 0.7 > 0.4 > rows[4.0][1], rows
    return rows


if __name__ == "__main__":
    main()
    plt.show()
