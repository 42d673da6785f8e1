"""Muon on networks of more and more equal layers: trace, compile, compiled step; funcgd beside Optax."""

import time
from collections.abc import Callable
from typing import Any

import jax
import optax
from harness import compare

import funcgd as fg

PAIR = {
    "Optax": (optax.contrib.muon(0.02, nesterov=False), optax.apply_updates),
    "funcgd": (fg.muon(0.02, nesterov=False), fg.apply_updates),
}


def layers(count: int, width: int) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(0), count)
    return {f"layer {i}": jax.random.normal(key, (width, width)) for i, key in enumerate(keys)}


def built(tx: Any, apply: Callable, params: Any) -> tuple[float, float, Callable]:
    """Seconds to trace, seconds to compile, and the compiled step."""

    def step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return apply(params, updates), state

    args = params, tx.init(params), params
    began = time.perf_counter()
    lowered = jax.jit(step).lower(*args)
    traced = time.perf_counter()
    compiled = lowered.compile()
    return traced - began, time.perf_counter() - traced, lambda: compiled(*args)


def main() -> None:
    for width, counts in ((8, (4, 16, 64)), (64, (4, 16, 64))):
        for count in counts:
            params = layers(count, width)
            runs = {name: [built(*pair, params) for _ in range(3)] for name, pair in PAIR.items()}
            print(f"\n{count} layers of {width} × {width}: shortest of three")
            shortest = {name: [min(run[i] for run in three) for i in (0, 1)] for name, three in runs.items()}
            first = shortest["Optax"]
            for name, (trace, compile) in shortest.items():
                ratio = (trace + compile) / sum(first)
                print(f"  {name:<10} trace {trace:>7.3f} s   compile {compile:>7.3f} s   ratio {ratio:>5.2f}")
            compare("compiled step", {name: three[-1][2] for name, three in runs.items()}, repeats=15)


if __name__ == "__main__":
    main()
