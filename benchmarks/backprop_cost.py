"""What a gradient costs, in evaluations of the loss: backward once, against forward once for each weight.

A network k–k–1 of sigmoid units on one core. The functions take turns, and ratios are medians of those within a turn;
beside that of the gradient stands the ratio of the shortest times. Repeats run inside a compiled loop, so that no call
from Python counts. All forward passes are extrapolated: the cost of the pass for one weight, which is the same for
each, times their number. So are all difference quotients, each of which is one more evaluation of the loss.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from harness import ratios

import funcgd as fg

WIDTHS = (10, 31, 100, 316, 1000)  # 10² … 10⁶ weights
BATCHES = (1, 64)
COLUMNS = (9, 7, 12, 14, 10, 13, 15, 13, 15)  # of the table


class Cost(NamedTuple):
    """What derivatives cost, in evaluations of the loss."""

    weights: int
    batch: int
    seconds: float  # one evaluation of the loss, roughly
    gradient: float  # backward, all weights
    shortest: float  # the same from the shortest times of all turns
    forward: float  # one forward pass, for one weight

    @property
    def all_forward(self) -> float:
        return self.weights * self.forward

    @property
    def all_quotients(self) -> float:
        return self.weights + 1.0

    @property
    def in_gradients(self) -> tuple[float, float]:
        """How many times faster backward is than all forward passes, and than all quotients."""
        return self.all_forward / self.gradient, self.all_quotients / self.gradient


def network(width: int, batch: int, hidden: int = 1) -> tuple[Callable, Any, Any]:
    """(loss, params, data) of a network with as many hidden layers as inputs are wide."""
    model = fg.multilayer_perceptron([width] * (hidden + 1) + [1], ["sigmoid"] * (hidden + 1), bias=False)
    keys = jax.random.split(jax.random.key(0), 3)
    data = jax.random.normal(keys[1], (batch, width)), jax.random.uniform(keys[2], (batch, 1))

    def loss(params: Any, data: Any) -> jax.Array:
        return fg.mean_squared_error(model.apply(params, data[0]), data[1])

    return loss, model.init(keys[0]), data


def repeated(function: Callable, params: Any, data: Any) -> Callable[[int], Any]:
    """times → function(params, data) that many times, one after the other: the data of each wait for the one before."""

    @jax.jit
    def run(times: Any, params: Any, data: Any) -> Any:
        def body(_: Any, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            out = function(params, (data[0] + 1e-30 * carry[1], data[1]))
            return out, jax.tree.leaves(out)[0].ravel()[0]  # all of it is kept, so all of it is computed and stored

        out = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, params, data))
        return jax.lax.fori_loop(0, times, body, (out, jnp.zeros(())))

    return lambda times: run(times, params, data)


def measure(width: int, batch: int, *, hidden: int = 1, turns: int = 201, seconds: float = 2e-4) -> Cost:
    """The costs at one size, from that many turns, in which evaluating the loss takes at least so many seconds."""
    loss, params, data = network(width, batch, hidden)
    zeros = fg.tree.zeros_like(params)
    along = ({"w": zeros[0]["w"].at[0, 0].set(1)}, *zeros[1:])

    def forward(both: Any, data: Any) -> jax.Array:
        return jax.jvp(lambda params: loss(params, data), (both[0],), (both[1],))[1]

    runs = {
        "loss": repeated(loss, params, data),
        "gradient": repeated(jax.grad(loss), params, data),
        "forward": repeated(forward, (params, along), data),
    }
    times, took = 1, 0.0
    while took < seconds:  # the shortest of a few: others use this machine
        times *= 2
        took = min(elapsed(runs["loss"], times) for _ in range(7))
    found = ratios({name: (lambda run=run: run(times)) for name, run in runs.items()}, turns)
    return Cost(fg.tree.size(params), batch, took / times, *found["gradient"], found["forward"][0])


def elapsed(run: Callable[[int], Any], times: int) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run(times))
    return time.perf_counter() - began


def table(widths: Sequence[int] = WIDTHS, batches: Sequence[int] = BATCHES, **options: Any) -> list[Cost]:
    """Measure and print one row for each size."""
    print(f"\n{'':>32}in losses:{'':>42}in gradients:")
    names = "weights", "batch", "one loss", "gradient", "shortest", *("all forward", "all quotients") * 2
    print("".join(name.rjust(width) for name, width in zip(names, COLUMNS, strict=True)))
    rows = []
    for batch in batches:
        for width in widths:
            row = measure(width, batch, **options)
            rows.append(row)
            cells = [str(row.weights), str(row.batch), f"{row.seconds * 1e6:.1f} µs"]
            cells += [f"{row.gradient:.2f}", f"{row.shortest:.2f}", f"{row.all_forward:.1e}"]
            cells += [f"{row.all_quotients:.1e}", *(f"{ratio:.1e}" for ratio in row.in_gradients)]
            print("".join(cell.rjust(width) for cell, width in zip(cells, COLUMNS, strict=True)), flush=True)
    return rows


def one_core() -> None:
    """Keep this process on one core; before JAX starts."""
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def report() -> None:
    rows = table()
    largest = max(row.weights for row in rows)
    for row in rows:
        if row.weights == largest:
            forward, quotients = row.in_gradients
            print(f"{largest} weights, batch {row.batch}: backward is {forward:.0e} times faster than forward passes,")
            print(
                f"{quotients:.0e} times faster than difference quotients, one for each weight. The lecture has 1e+07."
            )
    print("\nThree hidden layers: of L equal layers, forward multiplies L times, the gradient 3L − 1 times (the first")
    print("needs no δ for its input), so its cost tends to 3 − 1/L losses: 2 above, 2.67 here.")
    table(WIDTHS[-2:], (64,), hidden=3)


def main() -> None:
    """Run in a process of its own, which may confine itself to one core."""
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__], check=True)


if __name__ == "__main__":
    one_core()
    report()
