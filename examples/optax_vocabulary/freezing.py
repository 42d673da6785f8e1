"""Freeze parts: features learnt on the digits 0 to 4 learn to read 5 to 9, and must not forget the old ones.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.
`multi_transform` gives each part of the parameters an optimizer of its own, by labels; `set_to_zero` freezes.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import funcgd as fg

FEW = 12  # examples of each new digit


def logits(params, head, x):
    return jax.nn.relu(x @ params["features"]["w"] + params["features"]["b"]) @ params[head]


def loss(params, head, x, y):
    return fg.softmax_cross_entropy_with_integer_labels(logits(params, head, x), y).mean()


def train(tx, params, head, x, y, steps=150):
    """The parameters after some steps on all of the data."""

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, head, x, y), state, params)
        return (fg.apply_updates(params, updates), state), None

    return jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps)[0])((params, tx.init(params)))[0]


def main() -> dict[str, float]:
    pixels, labels = load_digits(return_X_y=True)
    x, y = jnp.asarray(pixels / 16), jnp.asarray(labels % 5)  # five classes each time
    old = np.flatnonzero(labels < 5)
    few = np.concatenate([np.flatnonzero(labels == digit)[:FEW] for digit in range(5, 10)])
    others = np.setdiff1d(np.flatnonzero(labels >= 5), few)

    keys = jax.random.split(jax.random.key(0), 3)
    start = {
        "features": {"w": jax.random.normal(keys[0], (64, 64)) * np.sqrt(2 / 64), "b": jnp.zeros(64)},
        "old head": jax.random.normal(keys[1], (64, 5)) / 8,
        "new head": jax.random.normal(keys[2], (64, 5)) / 8,
    }
    start = train(fg.adam(3e-3), start, "old head", x[old], y[old])

    tools = {"train": fg.adam(1e-2), "slowly": fg.adam(1e-4), "freeze": fg.set_to_zero()}
    parts = {"features": "freeze", "old head": "freeze", "new head": "train"}  # a label stands for all that is below
    plans = {
        "features frozen": fg.multi_transform(tools, parts),
        "features slowly": fg.multi_transform(tools, parts | {"features": "slowly"}),
        "all train": fg.adam(1e-2),
    }
    losses = {"old digits before": float(loss(start, "old head", x[old], y[old]))}
    print(f"{'loss on':<18}{FEW * 5} new digits{len(others):>8} others   the old digits")
    for name, tx in plans.items():
        params = train(tx, start, "new head", x[few], y[few])
        places = {"trained": ("new head", few), "new": ("new head", others), "old": ("old head", old)}
        found = [float(loss(params, head, x[rows], y[rows])) for head, rows in places.values()]
        losses |= {f"{name}: {place}": value for place, value in zip(places, found, strict=True)}
        print(f"{name:<18}{found[0]:>13.4f}{found[1]:>15.4f}{found[2]:>17.4f}")
    assert losses["features frozen: old"] == losses["old digits before"], "what is frozen must not change by a bit"
    assert losses["all train: old"] > 2 * losses["old digits before"], "without freezing, the old digits are forgotten"
    return losses


if __name__ == "__main__":
    main()
