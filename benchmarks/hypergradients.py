"""Hypergradients: memory and time over the number of steps K, with all steps kept, by segments of √K, and unrolled."""

import math

import jax
import jax.numpy as jnp
from harness import compare

import funcgd as fg

WIDTH, ROWS = 64, 32
LENGTHS = (64, 256, 1024)
MODEL = fg.multilayer_perceptron([WIDTH, WIDTH, 1], "tanh")
START = MODEL.init(jax.random.key(0))
DATA = jax.random.normal(jax.random.key(1), (ROWS, WIDTH))


def loss(params, x):
    return jnp.mean((MODEL.apply(params, x)[:, 0] - jnp.sin(x.sum(1))) ** 2)


def trained(tx, batches, segment):
    state = fg.TrainState.create(START, tx)
    return loss(fg.train(loss, tx, state, batches, segment=segment)[0].params, DATA)


def minimized(tx, max_steps, differentiate):
    return fg.minimize(loss, START, tx, args=(DATA,), max_steps=max_steps, differentiate=differentiate).value


def main() -> None:
    tx = fg.sgd(0.05, momentum=0.9)
    print(f"state of {2 * fg.tree.size(START) * 4 / 1e6:.3f} MB; temporary memory as XLA plans it")
    for k in LENGTHS:
        batches = jax.random.normal(jax.random.key(2), (k, ROWS, WIDTH))
        root = math.isqrt(k)
        programs = {
            "train, the value alone": jax.jit(lambda tx, b: trained(tx, b, None)),
            "train, gradient, all steps kept": jax.jit(jax.grad(lambda tx, b: trained(tx, b, None))),
            f"train, gradient, segments of {root}": jax.jit(jax.grad(lambda tx, b, root=root: trained(tx, b, root))),
            "minimize, the value alone": jax.jit(lambda tx, b, k=k: minimized(tx, k, None)),
            "minimize, unrolled, the value alone": jax.jit(lambda tx, b, k=k: minimized(tx, k, "unroll")),
            "minimize, unrolled, gradient": jax.jit(jax.grad(lambda tx, b, k=k: minimized(tx, k, "unroll"))),
        }
        compiled = {}
        for name, program in programs.items():
            run = program.lower(tx, batches).compile()
            compiled[f"{name:<37}{run.memory_analysis().temp_size_in_bytes / 1e6:>8.2f} MB"] = run
        runs = {name: lambda run=run, batches=batches: run(tx, batches) for name, run in compiled.items()}
        compare(f"{k} steps", runs, repeats=7, warm_up=1)


if __name__ == "__main__":
    main()
