"""Line searches: how far to go along a direction. Each is a value that judges one trial at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

GO_ON, ACCEPT, GIVE_UP = 0, 1, 2


class Trial(NamedTuple):
    """A point on the line φ(α) = f(x + αp).

    >>> from funcgd.line_searches.search import Trial
    >>> Trial(step=0.0, value=4.0, slope=-8.0).slope
    -8.0
    """

    step: Any  # (), α
    value: Any  # (), φ(α)
    slope: Any  # (), φ′(α) = ∇f(x + αp)·p


class LineSearch:
    """The base of line searches.

    A search is a value with two pure methods. `begin(start, step)` gives its state before the first trial, where
    `start` is the trial at α = 0 and `step` the first α to be tried. `judge(state, start, trial)` gives (state,
    verdict, step): GO_ON with the next α to try, ACCEPT the point just tried, or GIVE_UP. Every search ends: after a
    bounded number of trials it accepts or gives up, and it accepts only what is not higher than the start, unless it
    says otherwise. A trial that is not finite is too far.

    >>> import funcgd as fg
    >>> isinstance(fg.Backtracking(), fg.LineSearch)
    True
    """

    def first_trial(self, step: jax.Array) -> jax.Array:
        """The first α to be tried, where the method proposes `step`."""
        return step

    def begin(self, start: Trial, step: jax.Array) -> Any:
        """The state before the first trial."""
        raise NotImplementedError(f"{type(self).__name__} must define `begin(self, start, step)`.")

    def judge(self, state: Any, start: Trial, trial: Trial) -> tuple[Any, jax.Array, jax.Array]:
        """What to do after a trial: (state, verdict, next step)."""
        raise NotImplementedError(f"{type(self).__name__} must define `judge(self, state, start, trial)`.")


def verdict(accept: Any, give_up: Any) -> jax.Array:
    """ACCEPT, else GIVE_UP, else GO_ON."""
    return jnp.where(accept, jnp.int32(ACCEPT), jnp.where(give_up, jnp.int32(GIVE_UP), jnp.int32(GO_ON)))


def is_finite(trial: Trial) -> jax.Array:
    """Whether value and slope of a trial can be used."""
    return jnp.isfinite(trial.value) & jnp.isfinite(trial.slope)


def rounding_error(value: jax.Array, units: Any = 10) -> jax.Array:
    """How far values near `value` may be off: so many times the precision of the dtype."""
    return jnp.asarray(units, value.dtype) * jnp.finfo(value.dtype).eps * jnp.abs(value)
