"""Schedules as curves."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from funcgd.core.fields import as_count
from funcgd.core.schedule import resolve
from funcgd.plots.figure import axes, bare, by_name, real_array, styles


def schedules(
    given: Mapping[str, Any], steps: int, *, log: bool = False, ylabel: str = "learning rate η", ax: Axes | None = None
) -> Axes:
    """What schedules are at the steps 0, 1, …, steps − 1.

    Args:
        given: for each name a schedule or a number.
        steps: how many steps, at least 1.
        log: whether the vertical axis is logarithmic; a 0 is not shown there.
        ylabel: what is scheduled.
        ax: where to draw; None makes a figure.

    Returns:
        The `ax`.

    Raises:
        TypeError: if `given` is no mapping to schedules and numbers.
        ValueError: if `steps` is less than 1, or a schedule returns no scalar.

    >>> import funcgd as fg
    >>> from funcgd import plots
    >>> ax = plots.schedules({"linear": fg.linear_schedule(1.0, 0.0, 4), "constant": 0.5}, steps=5)
    >>> ax.lines[0].get_ydata().tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    given = by_name("schedules", "given", given, "schedules")
    try:
        steps = as_count(steps, 1)
    except (TypeError, ValueError) as error:
        raise type(error)(f"schedules: `steps`: {error}") from error
    times = np.arange(steps)
    curves = {name: _values(name, schedule, times) for name, schedule in given.items()}
    ax = axes(ax)
    for (name, y), style in zip(curves.items(), styles(curves).values(), strict=True):
        ax.plot(times, y, label=name, linewidth=1.8, **style)
    ax.set(xlabel="step t", ylabel=ylabel, yscale="log" if log else "linear")
    if not log:
        ax.set_ylim(bottom=min(0.0, *(float(np.nanmin(y)) for y in curves.values())))
    ax.legend(fontsize="small")
    bare(ax)
    return ax


def _values(name: str, schedule: Any, times: np.ndarray) -> np.ndarray:
    if not callable(schedule):
        return np.full(len(times), float(real_array("schedules", f"given[{name!r}]", schedule, "()", (0,))))
    return np.asarray(jax.vmap(lambda t: jnp.asarray(resolve(schedule, t)))(times.astype(np.int32)), np.float64)
