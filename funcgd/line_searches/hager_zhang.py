"""A step that fulfils the Wolfe conditions, or those that are left of them where values are all rounding errors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch, Trial, is_finite, verdict

# What the trial under way is for.
BRACKETING, FIRST_SECANT, SECOND_SECANT, HALVING, SHRINKING = range(5)


class HagerZhangState(NamedTuple):
    """The state of `HagerZhang`.

    >>> from funcgd.line_searches.hager_zhang import HagerZhangState
    >>> HagerZhangState._fields[:3]
    ('left', 'right', 'best')
    """

    left: Trial  # falls, and is not above φ(0) + ε|φ(0)|
    right: Trial  # rises, or is too high; before there is a bracket that at 0
    best: Trial  # the lowest so far with sufficient decrease, else that at 0
    width: jax.Array  # (), of the bracket when the round began
    phase: jax.Array  # (), int32: what the next trial is for
    trials: jax.Array  # (), int32
    returning: jax.Array  # (), bool: the next trial is `best` again, to be accepted


@value
class HagerZhang(LineSearch):
    """The Wolfe conditions, or their approximation by slopes, which keeps its digits near a minimum.

        φ(α) ≤ φ(0) + δαφ′(0),   φ′(α) ≥ σφ′(0)                       (Wolfe)
        (2δ − 1)φ′(0) ≥ φ′(α) ≥ σφ′(0),   φ(α) ≤ φ(0) + ε|φ(0)|       (approximate Wolfe)

    Brackets where φ′ changes its sign, growing fivefold, and closes in by two secant steps a round, and a halving where
    these have not shortened the bracket to γ of what it was. The second pair of conditions may accept an increase of
    ε|φ(0)|, which the rounding errors of φ should stay below. A trial that is not finite is a too high one. When the
    trials run out, the lowest with sufficient decrease is tried again and accepted; without one, the search gives up.

    Args:
        delta: δ in (0, ½), at most σ.
        sigma: σ in (0, 1).
        eps: ε ≥ 0, relative error of the objective; some 1e-6 in float32 and float64.
        gamma: γ in (0, 1).
        growth: ρ > 1, the factor of steps while there is no bracket.
        max_trials: so many trials at most, and one that returns.

    Raises:
        ValueError: if δ is above σ.

    Cost: one evaluation for each trial, mostly one to two for each step.

    Reference: Hager, Zhang, A new conjugate gradient method with guaranteed descent and an efficient line search, SIAM
    J. Optim. 16, 2005; algorithm 851, ACM Trans. Math. Softw. 32, 2006.

    >>> import funcgd as fg
    >>> fg.HagerZhang(sigma=0.5)
    HagerZhang(delta=0.1, sigma=0.5, eps=1e-06, gamma=0.66, growth=5.0)
    """

    delta: Scalar = number("(0, 0.5)", default=0.1, schedule=False)
    sigma: Scalar = number("(0, 1)", default=0.9, schedule=False)
    eps: Scalar = number("[0, inf)", default=1e-6, schedule=False)
    gamma: Scalar = number("(0, 1)", default=0.66, schedule=False)
    growth: Scalar = number("(1, inf)", default=5.0, schedule=False)
    max_trials: int = static(default=30, convert=as_count)

    def __post_init__(self) -> None:
        if all(isinstance(c, float) for c in (self.delta, self.sigma)) and self.delta > self.sigma:
            raise ValueError(f"HagerZhang: `delta` must be at most `sigma`, got {self.delta!r} and {self.sigma!r}.")

    def begin(self, start: Trial, step: jax.Array) -> HagerZhangState:
        no = jnp.zeros_like(step, bool)
        return HagerZhangState(start, start, start, jnp.zeros_like(step), jnp.int32(BRACKETING), jnp.int32(0), no)

    def judge(self, state: HagerZhangState, start: Trial, trial: Trial) -> tuple[HagerZhangState, jax.Array, jax.Array]:
        dtype = start.value.dtype
        delta, sigma, eps = (jnp.asarray(c, dtype) for c in (self.delta, self.sigma, self.eps))
        trial = trial._replace(step=jnp.minimum(trial.step, jnp.finfo(dtype).max))
        finite, limit = is_finite(trial), start.value + eps * jnp.abs(start.value)
        decreased = trial.value <= start.value + delta * trial.step * start.slope
        by_slope = (trial.slope <= (2 * delta - 1) * start.slope) & (trial.value <= limit)
        wolfe = (decreased | by_slope) & (trial.slope >= sigma * start.slope)

        lowest = finite & decreased & (trial.value < state.best.value)
        best = tree.where(lowest, trial, state.best)
        after, step = self._close_in(state, trial, limit)
        stuck = (step == after.left.step) | (step == after.right.step) | ~jnp.isfinite(step)
        ended = stuck | (after.trials >= self.max_trials)
        accept = (wolfe | (ended & lowest) | state.returning) & finite & (trial.step > 0)
        returning = ended & (best.step > 0)
        give_up = state.returning | (ended & ~returning)
        after = after._replace(best=best, returning=returning)
        return after, verdict(accept, give_up), jnp.where(returning, best.step, step)

    def _close_in(self, state: HagerZhangState, trial: Trial, limit: jax.Array) -> tuple[HagerZhangState, jax.Array]:
        """The bracket after a trial, which becomes one of its ends; and the next α."""
        dtype = trial.step.dtype
        old, finite = state, is_finite(trial)
        falls = finite & (trial.slope < 0) & (trial.value <= limit)
        left, right = tree.where(falls, trial, old.left), tree.where(falls, old.right, trial)
        grows = (state.phase == BRACKETING) & falls
        shrinks = ~grows & ~(is_finite(right) & (right.slope >= 0))
        width = right.step - left.step

        # The second secant of a round goes through both trials that were this end of the bracket.
        second = _secant(tree.where(falls, old.left, old.right), trial)
        inside = (second > left.step) & (second < right.step)
        goes_second = (state.phase == FIRST_SECANT) & inside
        closing = (state.phase == FIRST_SECANT) | (state.phase == SECOND_SECANT) | (state.phase == SHRINKING)
        halves = closing & (width > jnp.asarray(self.gamma, dtype) * state.width)

        middle = left.step + width / 2
        hurry = ~finite & ~is_finite(old.right)  # also the end before was not finite
        shorter = jnp.where(hurry, left.step + width / 10, middle)
        first = _secant(left, right)
        first = jnp.where((first > left.step) & (first < right.step), first, middle)
        cases = (
            (grows, BRACKETING, jnp.asarray(self.growth, dtype) * trial.step),
            (shrinks, SHRINKING, shorter),
            (goes_second, SECOND_SECANT, second),
            (halves, HALVING, middle),
            (True, FIRST_SECANT, first),
        )
        holds, phases, steps = zip(*cases, strict=True)
        holds = list(map(jnp.bool_, holds))
        phase = jnp.select(holds, list(map(jnp.int32, phases)))
        # A round begins with its first secant; until there is a bracket at all any width will do.
        width = jnp.where((phase == FIRST_SECANT) | (state.phase == BRACKETING), width, state.width)
        after = HagerZhangState(left, right, old.best, width, phase, state.trials + 1, state.returning)
        return after, jnp.select(holds, list(steps))


def _secant(a: Trial, b: Trial) -> jax.Array:
    """Where the straight line through both slopes is 0; NaN where they are equal."""
    change = b.slope - a.slope
    return jnp.where(change == 0, jnp.nan, a.step - (b.step - a.step) * (a.slope / jnp.where(change == 0, 1, change)))
