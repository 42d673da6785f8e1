"""
4 · Batch, stochastic, mini-batch
=================================

The loss of a data set is a mean over its examples, and so is its gradient. A mean can be estimated from a sample: that
one idea is the difference between a step per epoch and a step per example.
"""

# %%
# One loss, three ways down it
# ----------------------------
#
# A line through data: 100 examples with two inputs each, targets with some noise, and half the mean of the squared
# errors. Its two weights can be drawn. The loss reports where it is, and ``fg.fit`` records that.

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd import plots

N = 100
keys = jax.random.split(jax.random.key(0), 3)
x = jax.random.normal(keys[0], (N, 2)) * jnp.array([1.0, 0.5])
y = x @ jnp.array([1.5, -1.0]) + 0.5 * jax.random.normal(keys[1], (N,))
data = {"x": x, "y": y, "index": jnp.arange(N)}


def error(w, batch):
    return fg.sum_of_squares(batch["x"] @ w, batch["y"])


def loss(w, batch):
    seen = {"w1": w[0], "w2": w[1], "index": batch["index"][0], "examples": batch["index"].size}
    return error(w, batch), fg.Aux(metrics=seen)


def train(batch_size, learning_rate, epochs, data=data):
    tx, start = fg.gradient_descent(learning_rate), jnp.array([-1.0, 1.0])
    return fg.fit(loss, start, tx, data, batch_size=batch_size, epochs=epochs, key=keys[2], progress=False)


runs = {
    "batch: 20 epochs": train(None, 0.5, 20),
    "mini-batches of 10: 4": train(10, 0.3, 4),
    "stochastic: 1": train(1, 0.1, 1),
}
paths = {name: np.stack([run.history["w1"], run.history["w2"]], axis=1) for name, run in runs.items()}
minimizer = jnp.linalg.lstsq(x, y)[0]
plots.contour(lambda w: error(w, data), (-1.4, 2.2), (-2.0, 1.4), paths=paths, minimizers=minimizer, log=True)

# %%
# The whole batch goes straight, crossing level curves at right angles, and sees all 100 examples for each of its 20
# steps. One example at a time stumbles, but it is there after one pass. Mini-batches are between; sizes from 50 to 256
# are common, since a processor computes so many gradients in little more time than one.
#
# The whole batch
# ---------------
#
# With the whole batch this is descent on a fixed function, here a quadratic with the Hessian XᵀX/N. So below η = 2/λ
# with its largest eigenvalue λ the loss falls at every step, and above it grows:

H = fg.hessian(error, jnp.zeros(2), data)
np.testing.assert_allclose(H, x.T @ x / N, rtol=1e-4, atol=1e-6)
limit = 2 / float(jnp.linalg.eigvalsh(H)[-1])
below, above = train(None, 0.95 * limit, 20), train(None, 1.05 * limit, 20)
print(f"2/λ = {limit:.3f}; loss after 20 steps with 0.95 of it: {below.history['loss'][-1]:.4f}, ", end="")
print(f"with 1.05 of it: {above.history['loss'][-1]:.4f}")
assert np.all(np.diff(below.history["loss"]) < 0)
assert above.history["loss"][-1] > above.history["loss"][10]

# %%
# Every example once
# ------------------
#
# An epoch is one pass: each example once, in an order that is drawn from a key, another one in each epoch. If the
# batch size does not divide the number of examples, the last batch is short. It is used, unless one says otherwise;
# nothing is lost silently.

order = train(1, 0.1, 2).history["index"]
print("epoch 1 begins with", order[:8], "and epoch 2 with", order[N : N + 8])
assert sorted(order[:N]) == sorted(order[N:]) == list(range(N))
assert not np.array_equal(order[:N], order[N:])

sizes = {"kept": train(32, 0.3, 1), "dropped": train(32, 0.3, 1, fg.InMemory(data, drop_last=True))}
for name, run in sizes.items():
    print(f"batches of 32, the last one {name}: {run.history['examples'].astype(int)}")
assert sizes["kept"].history["examples"].tolist() == [32, 32, 32, 4]
assert sizes["dropped"].history["examples"].tolist() == [32, 32, 32]

# %%
# What the sample costs
# ---------------------
#
# The gradient of a batch of m examples is right on average, with a variance of 1/m of that of single ones (drawn with
# replacement). Far from the minimum, where all examples agree about the direction, that hardly matters. Close to it,
# they cancel in the mean, and what is left is noise: with a constant learning rate the weights end up in a cloud
# around the minimum, smaller for larger batches and for smaller rates. That is why rates fall (lecture 6).

w = jnp.array([-1.0, 1.0])
each = fg.per_example_grad(lambda w, example: fg.l2_loss(example["x"] @ w, example["y"]))(w, data)
mean = jnp.mean(each, axis=0)
np.testing.assert_allclose(mean, fg.gradient(error, w, data), rtol=1e-4)
draws = jax.random.randint(jax.random.key(1), (4000, 10), 0, N)
batches = each[draws].mean(axis=1)
shrunk = jnp.var(batches, axis=0) / jnp.var(each, axis=0)
print("variance of the gradient of ten examples, in that of one:", shrunk)
np.testing.assert_allclose(shrunk, 0.1, rtol=0.1)

best = float(error(minimizer, data))
several, curves = jax.random.split(jax.random.key(2), 8), {}
for m in (1, 10, 100):
    found = fg.sweep(
        error,
        jnp.array([-1.0, 1.0]),
        fg.gradient_descent(0.3),
        data,
        keys=several,
        batch_size=m,
        epochs=60,
        validation=data,
        progress=False,
    )
    curves[f"m = {m}"] = found.history["validation loss"] - best + 1e-7
    print(f"m = {m:>3}: loss above the best after 60 epochs {curves[f'm = {m}'][:, -1].mean():.1e}")
ends = [curve[:, -5:].mean() for curve in curves.values()]
assert ends[0] > 3 * ends[1] > 9 * ends[2]
plots.learning_curves(curves).set(ylabel="loss above that of the minimum")

# %%
# Without end
# -----------
#
# With one example at a time, one need not have them all. Examples may come from a source that never ends, each seen
# once. There are no epochs then, and a rule says when to stop. This is online learning:


def stream():
    random = np.random.default_rng(0)
    for i in itertools.count():
        inputs = random.standard_normal((8, 2)).astype(np.float32)
        noise = 0.5 * random.standard_normal(8).astype(np.float32)
        yield {"x": inputs, "y": inputs @ np.float32([1.5, -1.0]) + noise, "index": np.full(8, i, np.int32)}


online = fg.fit(
    loss,
    jnp.zeros(2),
    fg.gradient_descent(fg.polynomial_schedule(0.3, 0.001, power=1.0, transition_steps=600)),
    stream(),
    batch_size=None,
    epochs=None,
    stop=fg.stop.max_steps(600),
    key=jax.random.key(3),
    progress=False,
)
print("weights of the stream:", online.params, "after", online.steps, "batches of 8")
np.testing.assert_allclose(online.params, [1.5, -1.0], atol=0.1)

# %%
# Slips in the sources
# --------------------
#
# One course writes the loss of the data with a minus sign, which would have descent climb. It writes the loss of a
# batch once as a sum and once as a mean. Both are right, with learning rates that differ by m: a step of η on the sum
# is one of mη on the mean.

total = fg.gradient(lambda w: N * error(w, data), w)
np.testing.assert_allclose(w - 0.001 * total, w - (N * 0.001) * fg.gradient(error, w, data), rtol=1e-5)
