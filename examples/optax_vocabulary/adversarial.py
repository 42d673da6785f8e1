"""Adversarial training: digits that are changed by little, so as to be misread, and a network that learns from them.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.

An attack is an optimizer, too. It lets δ climb the loss by steps of one length, η·sign(∇), and projects δ back into the
cube −ε ≤ δ ≤ ε: one step of length ε is the fast gradient sign method (Goodfellow, Shlens, Szegedy, 2015), some shorter
ones are projected gradients (Madry et al., 2018). Who trains on attacked digits seeks a loss that is low nearby, too.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import funcgd as fg

EPSILON, BATCH, EPOCHS, TRAINING = 0.15, 64, 10, 1408  # ε in grey values from 0 to 1


def logits(params, x):
    return jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"]


def loss(params, x, y):
    return fg.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


def attack(params, x, y, steps, length):
    """Digits in the cube about x whose loss is high, after some steps of one length."""
    tx = fg.sign_sgd(length)

    def climb(carry, _):
        delta, state = carry
        grads = jax.grad(lambda delta: -loss(params, x + delta, y))(delta)
        updates, state = tx.update(grads, state, delta)
        delta = fg.projections.projection_box(fg.apply_updates(delta, updates), -EPSILON, EPSILON)
        return (delta, state), None

    delta = jnp.zeros_like(x)
    (delta, _), _ = jax.lax.scan(climb, (delta, tx.init(delta)), length=steps)
    return fg.projections.projection_box(x + delta, 0.0, 1.0)  # what is seen are grey values


ATTACKS = {
    "clean": lambda params, x, y: x,
    "FGSM": lambda params, x, y: attack(params, x, y, 1, EPSILON),
    "PGD": lambda params, x, y: attack(params, x, y, 10, EPSILON / 4),
}


def train(seen, x, y):
    """Parameters trained on what an attack makes of each batch."""
    tx = fg.adam(5e-3)

    def step(carry, rows):
        params, state = carry
        grads = jax.grad(loss)(params, seen(params, x[rows], y[rows]), y[rows])
        updates, state = tx.update(grads, state, params)
        return (fg.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1))
    w1, w2 = jax.random.normal(keys[0], (64, 64)) * np.sqrt(2 / 64), jax.random.normal(keys[1], (64, 10)) / 8
    params = {"w1": w1, "b1": jnp.zeros(64), "w2": w2}
    rows = [np.random.default_rng(epoch).permutation(TRAINING).reshape(-1, BATCH) for epoch in range(EPOCHS)]
    return jax.lax.scan(step, (params, tx.init(params)), jnp.asarray(np.concatenate(rows)))[0][0]


def main() -> dict[str, float]:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = jnp.asarray(pixels[order] / 16), jnp.asarray(labels[order])
    print(f"{'held-out accuracy':<20}" + "".join(f"{name:>9}" for name in ATTACKS))
    losses, right = {}, {}
    for trained, seen in ATTACKS.items():
        params = jax.jit(train, static_argnums=0)(seen, x, y)
        for name, change in ATTACKS.items():
            attacked = jax.jit(change)(params, x[TRAINING:], y[TRAINING:])
            losses[f"{trained}, {name}"] = float(loss(params, attacked, y[TRAINING:]))
            right[trained, name] = float(np.mean(logits(params, attacked).argmax(-1) == y[TRAINING:]))
        print(f"{'trained on ' + trained:<20}" + "".join(f"{right[trained, name]:>9.3f}" for name in ATTACKS))
    assert right["clean", "PGD"] < 0.2 < 0.45 < right["PGD", "PGD"], "training on attacks must help against them"
    return losses


if __name__ == "__main__":
    main()
