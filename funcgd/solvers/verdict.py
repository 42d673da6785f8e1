"""Judging the trials of methods with a model, by how much of the decrease that it promised they keep."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.stop import StopReason


class Verdict(NamedTuple):
    """What is known about a trial.

    >>> from funcgd.solvers.verdict import Verdict
    >>> Verdict._fields
    ('first', 'accepted', 'settled', 'gain', 'trials', 'code')
    """

    first: jax.Array  # (), bool: the start, not a trial
    accepted: jax.Array  # (), bool
    settled: jax.Array  # (), bool: the predicted decrease is below the precision of f
    gain: jax.Array  # (), ϱ: the decrease of f by the predicted one; −∞ where the trial is not finite
    trials: jax.Array  # (), int32: rejected since the last iterate
    code: jax.Array  # (), int32: the StopReason for which the method gives up, or 0


def judge(
    state: Any, f: jax.Array, *, finite: jax.Array, smaller: jax.Array, moved: jax.Array, least: Any, max_trials: int
) -> Verdict:
    """Whether a trial becomes the next iterate: the start does, and those with a gain above `least`.

    Where the model promises no more than 10 roundings of f, the gain says nothing. Then a trial is accepted if f is the
    same up to that and the gradient is smaller; else the precision is reached.

    Args:
        state: of the method, with `value`, f(x_k); `predicted`, by how much the model falls to the trial; `trials`, how
            many were rejected; `count` of iterates.
        f: (), at the trial.
        finite: (), bool: whether f and its derivatives there are.
        smaller: (), bool: whether the gradient there is smaller than at x_k.
        moved: (), bool: whether the trial is not x_k.
        least: (), in [0, 1).
        max_trials: after so many it gives up.
    """
    first = state.count == 0
    rounding = 10 * float(jnp.finfo(f.dtype).eps) * jnp.abs(state.value)
    settled = ~(state.predicted > rounding)  # NaN as well
    gain = jnp.where(finite, state.value - f, -jnp.inf) / jnp.where(settled, 1, state.predicted)
    enough = jnp.where(settled, smaller & (f <= state.value + rounding), gain > least)
    accepted = first | (finite & enough) | (f == -jnp.inf)
    trials = jnp.where(accepted, 0, state.trials + 1)
    gives_up = ~accepted & (settled | ~moved | (trials >= max_trials))
    code = jnp.where(gives_up, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
    code = jnp.where(first & ~finite, jnp.int32(StopReason.NON_FINITE), code)
    return Verdict(first, accepted, settled, gain, trials, code)


def next_radius(verdict: Verdict, radius: jax.Array, length: jax.Array) -> jax.Array:
    """The radius after a trial of some length: ¼ of that for a gain below ¼, at least twice that above ¾.

    Reference: Nocedal, Wright, Numerical optimization, 2006, algorithm 4.1.
    """
    wider = jnp.where(verdict.gain > 0.75, jnp.maximum(radius, 2 * length), radius)
    changed = jnp.where(verdict.gain < 0.25, length / 4, wider)
    return jnp.where(verdict.first | verdict.settled, radius, changed)
