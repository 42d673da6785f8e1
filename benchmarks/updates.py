"""One update: trace and compile, compiled step, eager call; funcgd beside Optax."""

import jax
import jax.numpy as jnp
import optax
from harness import compare

import funcgd as fg

PAIRS = {
    "sgd, momentum": (fg.sgd(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
    "adamw": (fg.adamw(1e-3), optax.adamw(1e-3)),
    "clip by norm, adamw": (
        fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(1e-3)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
    ),
}


def tree(leaves: int, width: int) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(0), leaves)
    return {f"w{i}": jax.random.normal(key, (width, width)) for i, key in enumerate(keys)}


def stepper(tx, apply):
    def step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return apply(params, updates), state

    return step


def main() -> None:
    for leaves, width in ((6, 128), (200, 8)):
        params = tree(leaves, width)
        grads = jax.tree.map(jnp.sin, params)
        for name, pair in PAIRS.items():
            compiled, eager, compiling = {}, {}, {}
            for library, tx, apply in zip(
                ("Optax", "funcgd"), pair[::-1], (optax.apply_updates, fg.apply_updates), strict=True
            ):
                step, state = stepper(tx, apply), tx.init(params)
                jitted = jax.jit(step)
                compiled[library] = lambda jitted=jitted, state=state: jitted(params, state, grads)
                eager[library] = lambda step=step, state=state: step(params, state, grads)
                compiling[library] = lambda step=step, state=state: (
                    jax.jit(lambda *args: step(*args)).lower(params, state, grads).compile() and 0
                )
            title = f"{name}, {leaves} leaves of {width} × {width}"
            compare(f"{title}: compiled step", compiled, repeats=101)
            compare(f"{title}: trace and compile", compiling, repeats=5, warm_up=1)
            compare(f"{title}: eager", eager, repeats=11)


if __name__ == "__main__":
    main()
