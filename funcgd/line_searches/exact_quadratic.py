"""The exact minimiser along a line, for quadratics."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import as_count, static
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch, Trial, is_finite, rounding_error, verdict


class SecantState(NamedTuple):
    """The state of `ExactQuadratic`.

    >>> from funcgd.line_searches.exact_quadratic import SecantState
    >>> SecantState._fields
    ('exact', 'trials')
    """

    exact: jax.Array  # (), bool: whether the next trial is where a quadratic has its minimum
    trials: jax.Array  # (), int32


@value
class ExactQuadratic(LineSearch):
    """Where a quadratic has its minimum: one secant step on φ′.

        α* = α φ′(0) / (φ′(0) − φ′(α)),    α the first trial

    On other functions any trial at α* that is not higher than the start is accepted (but for rounding errors of
    10ε|φ(0)|, with the machine epsilon ε). A higher one is shortened to where the next secant meets zero, within
    [1/10, 1/2]·α, and one that is not finite to α/10. Where values and slopes are far from those of a quadratic, α* is
    kept within [1/10, 10]·α. Where φ′ does not grow from 0 to α, α is accepted if it is lower, else it is halved.

    Args:
        max_trials: after so many trials the search gives up.

    Cost: two evaluations for each step; one if the first trial is the minimum.

    Reference: Nocedal, Wright, Numerical optimization, 2006, equation 3.55.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: (x - 3) ** 2, 0.0, fg.SteepestDescent(fg.ExactQuadratic()), max_steps=1)
    >>> float(run.params), int(run.evaluations)
    (3.0, 3)
    """

    max_trials: int = static(default=30, convert=as_count)

    def begin(self, start: Trial, step: jax.Array) -> SecantState:
        del start
        return SecantState(jnp.zeros_like(step, bool), jnp.int32(0))

    def judge(self, state: SecantState, start: Trial, trial: Trial) -> tuple[SecantState, jax.Array, jax.Array]:
        a, tolerance = trial.step, rounding_error(start.value)
        finite, lower = is_finite(trial), trial.value <= start.value + tolerance
        grown = trial.slope - start.slope
        curved = grown > 0
        part = jnp.where(curved, -start.slope / jnp.where(curved, grown, 1), 0.5)  # α*/α
        # Trapezoids are exact on quadratics; where they are far off, α* may be, too.
        strange = jnp.abs(trial.value - start.value - a * (start.slope + trial.slope) / 2) > 0.1 * a * jnp.abs(grown)
        part = jnp.where(strange, jnp.clip(part, 0.1, 10), part)
        minimal = jnp.abs(part - 1) <= 10 * jnp.finfo(a.dtype).eps
        accept = finite & lower & (state.exact | minimal | ~curved)
        shorter = jnp.where(state.exact, jnp.clip(part, 0.1, 0.5), part)
        step = a * jnp.where(finite, shorter, 0.1)
        trials = state.trials + 1
        give_up = (trials >= self.max_trials) | ~jnp.isfinite(step)
        return SecantState(state.exact | (finite & curved), trials), verdict(accept, give_up), step
