"""What a gradient costs, in evaluations of the loss: backward once, against forward once for each weight.

A network k–k–1 of sigmoid units on one core. The functions take turns, and ratios are those within a turn; repeats run
inside a compiled loop, so that no call from Python counts. All forward passes are extrapolated: the cost of the pass
for one weight, which is the same for each, times their number. So are all difference quotients, each of which is one
more evaluation of the loss.
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


class Cost(NamedTuple):
    """What derivatives cost, in evaluations of the loss."""

    weights: int
    batch: int
    seconds: float  # one evaluation of the loss, roughly
    gradient: float  # backward, all weights
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


def measure(width: int, batch: int, *, hidden: int = 1, turns: int = 41, seconds: float = 3e-3) -> Cost:
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
    times, took = 4, 0.0
    jax.block_until_ready(runs["loss"](times))
    while took < seconds:
        times *= 2
        began = time.perf_counter()
        jax.block_until_ready(runs["loss"](times))
        took = time.perf_counter() - began
    found = ratios({name: (lambda run=run: run(times)) for name, run in runs.items()}, turns)
    return Cost(fg.tree.size(params), batch, took / times, found["gradient"], found["forward"])


def table(widths: Sequence[int] = WIDTHS, batches: Sequence[int] = BATCHES, **options: Any) -> list[Cost]:
    """Measure and print one row for each size."""
    print(f"\n{'':>31}in losses:{'':>36}in gradients:")
    print(f"{'weights':>9}{'batch':>7}{'one loss':>12}{'gradient':>13}{'all forward':>13}{'all quotients':>15}", end="")
    print(f"{'all forward':>13}{'all quotients':>15}")
    rows = []
    for batch in batches:
        for width in widths:
            row = measure(width, batch, **options)
            rows.append(row)
            losses, gradients = (row.all_forward, row.all_quotients), row.in_gradients
            print(
                f"{row.weights:>9}{row.batch:>7}{row.seconds * 1e6:>9.1f} µs{row.gradient:>13.2f}{losses[0]:>13.1e}"
                f"{losses[1]:>15.1e}{gradients[0]:>13.1e}{gradients[1]:>15.1e}",
                flush=True,
            )
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
            print(
                f"{largest} weights, batch {row.batch}: one backward pass is {forward:.0e} times faster than a forward",
                end="",
            )
            print(
                f" pass for each weight, {quotients:.0e} times faster than a quotient for each. The lecture has 1e+07."
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
