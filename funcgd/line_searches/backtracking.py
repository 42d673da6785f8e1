"""Backtracking until the decrease is sufficient."""

import jax
import jax.numpy as jnp

from funcgd.core.fields import as_count, number, static
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch, Trial, is_finite, verdict


@value
class Backtracking(LineSearch):
    """Shrink the step until Armijo's condition holds.

        φ(α) ≤ φ(0) + c₁ α φ′(0)

    A rejected step is replaced by the minimiser of the parabola through φ(0), φ′(0) and φ(α), kept within
    [shrink/5, shrink]·α; by shrink·α where φ(α) is not finite, and always without `interpolate`.

    Args:
        c1: c₁ in (0, 1), the part of the linear decrease to ask for.
        shrink: in (0, 1), the largest factor of a rejected step.
        max_trials: after so many trials the search gives up.
        interpolate: whether to look for that parabola.

    Cost: one evaluation for each trial, mostly one for each step.

    Reference: Armijo, Minimization of functions having Lipschitz continuous first partial derivatives, Pacific J. Math.
    16, 1966; Nocedal, Wright, Numerical optimization, 2006, section 3.1 and equation 3.57.

    >>> import funcgd as fg
    >>> fg.Backtracking()
    Backtracking(c1=0.0001, shrink=0.5)
    """

    c1: Scalar = number("(0, 1)", default=1e-4, schedule=False)
    shrink: Scalar = number("(0, 1)", default=0.5, schedule=False)
    max_trials: int = static(default=30, convert=as_count)
    interpolate: bool = static(default=True)

    def begin(self, start: Trial, step: jax.Array) -> jax.Array:
        del start, step
        return jnp.int32(0)

    def judge(self, state: jax.Array, start: Trial, trial: Trial) -> tuple[jax.Array, jax.Array, jax.Array]:
        a, trials = trial.step, state + 1
        enough = trial.value <= start.value + self.c1 * a * start.slope
        accept = enough & is_finite(trial)
        if not self.interpolate:
            return trials, verdict(accept, trials >= self.max_trials), self.shrink * a
        # φ(0) + φ′(0)α + cα² meets φ(α) for this curvature; positive, as the decrease was too small.
        curvature = (trial.value - start.value - start.slope * a) / (a * a)
        best = -start.slope / (2 * jnp.where(curvature > 0, curvature, 1))
        usable = is_finite(trial) & (curvature > 0)
        shorter = jnp.where(usable, jnp.clip(best, self.shrink / 5 * a, self.shrink * a), self.shrink * a)
        return trials, verdict(accept, trials >= self.max_trials), shorter
