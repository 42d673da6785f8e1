"""Learn to learn: a start, and a learning rate for each layer, from which a few gradient steps fit any sine.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.

Each task is a sine of some amplitude and phase, seen at ten points. The inner optimizer takes a few steps on these; the
outer one descends on the loss *after* them, at ten other points, so its gradient goes through the inner updates (MAML:
Finn, Abbeel, Levine, 2017), to the start and to the inner learning rates alike (Meta-SGD: Li, Zhou, Chen, Li, 2017).
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

POINTS, TASKS, INNER, OUTER = 10, 16, 3, 300  # points of a sine, sines in an outer step, steps of each loop


def network(params, x):
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return (x @ params[-1]["w"] + params[-1]["b"])[:, 0]


def loss(params, x, y):
    return fg.squared_error(network(params, x[:, None]), y).mean()


def tasks(key, number):
    """Points to adapt on and points to be judged on, of sines with amplitudes in [0.1, 5] and phases in [0, π]."""
    a, b, c = jax.random.split(key, 3)
    amplitude, phase = jax.random.uniform(a, (number, 1)) * 4.9 + 0.1, jax.random.uniform(b, (number, 1)) * np.pi
    x = jax.random.uniform(c, (number, 2 * POINTS), minval=-5, maxval=5)
    y = amplitude * jnp.sin(x - phase)
    return x[:, :POINTS], y[:, :POINTS], x[:, POINTS:], y[:, POINTS:]


def adapt(meta, x, y):
    """The parameters after 0, 1, … inner steps; their learning rates are arguments like any other."""
    rates = jax.tree.map(jnp.exp, meta["log rates"])
    names = [f"layer {k}" for k in range(len(rates))]
    labels = [{"w": name, "b": name} for name in names]
    tx = fg.multi_transform({name: fg.sgd(rate) for name, rate in zip(names, rates, strict=True)}, labels)
    path, state = [meta["start"]], tx.init(meta["start"])
    for _ in range(INNER):
        updates, state = tx.update(jax.grad(loss)(path[-1], x, y), state, path[-1])
        path.append(fg.apply_updates(path[-1], updates))
    return path


def judged(meta, batch):
    """The mean loss over tasks, after 0, 1, … steps on each."""
    return jax.vmap(lambda x, y, u, v: jnp.stack([loss(p, u, v) for p in adapt(meta, x, y)]))(*batch).mean(0)


def main() -> dict[str, float]:
    layers = zip(jax.random.split(jax.random.key(0), 3), pairwise((1, 40, 40, 1)), strict=True)
    start = [{"w": jax.random.normal(k, (n, m)) / np.sqrt(n), "b": jnp.zeros(m)} for k, (n, m) in layers]
    meta = {"start": start, "log rates": [jnp.log(0.01)] * 3}
    tx = fg.chain(fg.clip_by_global_norm(1.0), fg.adam(fg.cosine_decay_schedule(1e-2, OUTER)))

    def step(carry, key):
        meta, state = carry
        grads = jax.grad(lambda meta: judged(meta, tasks(key, TASKS))[-1])(meta)
        updates, state = tx.update(grads, state, meta)
        return (fg.apply_updates(meta, updates), state), None

    fresh = tasks(jax.random.key(1), 200)
    score = jax.jit(lambda meta: judged(meta, fresh))
    scores = {"before": score(meta)}
    keys = jax.random.split(jax.random.key(2), OUTER)
    (meta, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, keys))((meta, tx.init(meta)))
    scores["after"] = score(meta)
    print(f"loss on 200 new tasks after {'  '.join(f'{k} steps' for k in range(INNER + 1))}")
    for name, row in scores.items():
        print(f"{name + ' meta-learning':<27}" + "".join(f"{value:>9.3f}" for value in row))
    print("learning rates by layer:", "  ".join(f"{np.exp(rate):.4f}" for rate in meta["log rates"]))
    assert scores["after"][-1] < 0.25 * scores["before"].min(), "a few steps must be enough now"
    return {name: float(row[-1]) for name, row in scores.items()}


if __name__ == "__main__":
    main()
