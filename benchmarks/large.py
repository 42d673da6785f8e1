"""One update of a large network, in place: funcgd beside Optax, and beside the memory traffic that it needs at least.

Parameters are those of a transformer, in float32, and so are their moments: on a CPU 14 million, else 336 million.
"""

import jax
import jax.numpy as jnp
import optax
from harness import compare

import funcgd as fg

WIDTH, LAYERS, WORDS = (256, 12, 16_384) if jax.default_backend() == "cpu" else (1024, 24, 32_768)
# name: the two optimizers, and how often each number of a parameter's is moved: gradient, parameter and moments are
# read, parameter and moments written
PAIRS = {
    "sgd, momentum": (fg.sgd(1e-3, momentum=0.9), optax.sgd(1e-3, momentum=0.9), 5),
    "adamw": (fg.adamw(1e-3), optax.adamw(1e-3), 7),
    "clip by norm, adamw": (
        fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(1e-3)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
        8,
    ),
    "lion": (fg.lion(1e-4), optax.lion(1e-4), 5),
    "adafactor": (fg.adafactor(1e-3), optax.adafactor(1e-3), 3),
    "muon": (fg.muon(1e-3, nesterov=False), optax.contrib.muon(1e-3, nesterov=False), 5),
}


def network() -> dict[str, jax.Array]:
    """Normal weights; one leaf for each matrix of each layer, as most models have them."""
    shapes = {"attend": (WIDTH, 3 * WIDTH), "mix": (WIDTH, WIDTH), "up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
    leaves = {f"{name} {i}": shape for i in range(LAYERS) for name, shape in shapes.items()}
    leaves |= {"embed": (WORDS, WIDTH)} | {f"gain {i}": (WIDTH,) for i in range(LAYERS)}
    keys = jax.random.split(jax.random.key(0), len(leaves))
    return {name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, leaves.items(), strict=True)}


def in_place(tx, apply, grads):
    """A function that makes one step; it keeps parameters and state, whose buffers are used again."""

    @jax.jit
    def start():
        params = jax.tree.map(jnp.copy, network())
        return params, tx.init(params)

    def step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return apply(params, updates), state

    step, kept = jax.jit(step, donate_argnums=(0, 1)), [start()]

    def run():
        kept[0] = step(*kept[0], grads)
        return kept[0]

    return run


def main() -> None:
    grads = jax.tree.map(lambda x: 1e-3 * x, network())
    size = fg.tree.size(grads)
    for name, (ours, theirs, moves) in PAIRS.items():
        runs = {
            "Optax": in_place(theirs, optax.apply_updates, grads),
            "funcgd": in_place(ours, fg.apply_updates, grads),
        }
        medians = compare(f"{name}, {size / 1e6:.0f} million parameters", runs, repeats=15)
        traffic = moves * 4 * size
        print(f"  {traffic / 1e9:.2f} GB at least: funcgd moves {traffic / medians['funcgd'] / 1e9:.0f} GB/s of them")


if __name__ == "__main__":
    main()
