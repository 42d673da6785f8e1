"""Measure alternatives side by side: interleaved repeats, medians, ratios to the first."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def compare(title: str, runs: dict[str, Callable[[], Any]], repeats: int = 15, warm_up: int = 2) -> dict[str, float]:
    """Time every function of `runs`, `repeats` times in changing order; print medians and ratios to the first.

    Absolute times on shared machines prove little; read the ratios. Each function must return its result, so that the
    clock waits for it.
    """
    times = _in_turn(runs, repeats, warm_up)
    medians = {name: statistics.median(column) for name, column in times.items()}
    first = next(iter(medians.values()))
    print(f"\n{title}")
    for name, median in medians.items():
        spread = f"{min(times[name]) * 1e3:.3f} – {max(times[name]) * 1e3:.3f}"
        print(f"  {name:<44}{median * 1e3:>11.3f} ms   ratio {median / first:>6.2f}   ({spread} ms)")
    return medians


def ratios(runs: dict[str, Callable[[], Any]], repeats: int = 15, warm_up: int = 2) -> dict[str, tuple[float, float]]:
    """The time of every function of `runs` over that of the first one: (median over the turns, shortest over shortest).

    In the first, what slows the machine down for longer than a turn drops out; the second holds where turns are so long
    that most are interrupted, the longer ones more often.
    """
    times = _in_turn(runs, repeats, warm_up)
    first = next(iter(times.values()))
    return {
        name: (statistics.median(t / t0 for t, t0 in zip(column, first, strict=True)), min(column) / min(first))
        for name, column in times.items()
    }


def _in_turn(runs: dict[str, Callable[[], Any]], repeats: int, warm_up: int) -> dict[str, list[float]]:
    for run in runs.values():
        for _ in range(warm_up):
            jax.block_until_ready(run())
    times: dict[str, list[float]] = {name: [] for name in runs}
    names, shuffle = list(runs), random.Random(0).shuffle
    for _ in range(repeats):
        shuffle(names)  # what runs before, and leaves the caches as it likes, is another one in each turn
        for name in names:
            began = time.perf_counter()
            jax.block_until_ready(runs[name]())
            times[name].append(time.perf_counter() - began)
    return times
