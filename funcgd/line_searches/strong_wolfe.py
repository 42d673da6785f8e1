"""A step that fulfils the strong Wolfe conditions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.packed import pack, unpack
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.line_searches.interpolate import cubic_minimizer
from funcgd.line_searches.search import ACCEPT, LineSearch, Trial, is_finite, rounding_error, verdict

# In parts of the bracket, seen from its lower end: no trial is nearer to an end than this.
MARGIN = 0.1
# In parts of the last step: as far as a step may grow. On a quadratic one that leaves the slope above c₂ = 0.9 of what
# it was is at most a tenth of the best step.
GROWTH = 9.0
# A bracket that two trials have not shortened to this part is halved (Moré and Thuente).
SHORTENED = 0.66


class Bracket(NamedTuple):
    """Where the search stands; as its state all of this is one array.

    >>> from funcgd.line_searches.strong_wolfe import Bracket
    >>> Bracket._fields[:3]
    ('low', 'high', 'bracketed')
    """

    low: Trial  # the lowest so far with sufficient decrease, at first that at 0; its slope leads towards `high`
    high: Trial  # the other end
    bracketed: jax.Array  # (), bool: whether there is one; else the step grows
    width: jax.Array  # (), of the bracket one trial ago
    older: jax.Array  # (), and two trials ago
    trials: jax.Array  # (), int32
    returning: jax.Array  # (), bool: the next trial is `low` again, to be accepted
    step: jax.Array  # (), α of the next trial
    verdict: jax.Array  # (), int32, on the last one, unless it fulfilled both conditions


@value
class StrongWolfe(LineSearch):
    """Bracket and zoom until the decrease is sufficient and the slope has become small.

        φ(α) ≤ φ(0) + c₁ α φ′(0),   |φ′(α)| ≤ c₂ |φ′(0)|

    The step grows up to tenfold while the line still falls steeply; once a minimum is bracketed, cubic interpolation
    closes in on it. A trial that is not finite is a too high one. Quasi-Newton methods whose steps end like this keep
    a positive curvature sᵀy.

    Close to a minimum the first condition drowns in rounding errors, of some rounding·ε|φ(0)| with the machine epsilon
    ε. Where it fails by no more than that, slopes decide, as for a parabola: φ′(α) ≤ (2c₁ − 1) φ′(0). So an accepted
    step may increase the objective, but by no more than these errors. When the trials run out, the lowest with
    sufficient decrease is tried again and accepted; only if there is none, the search gives up.

    Args:
        c1: c₁ in (0, 1), at most c₂: the part of the linear decrease to ask for.
        c2: c₂ in (0, 1): the slope that may be left; 0.9 suits quasi-Newton methods, 0.1 conjugate gradients.
        rounding: in [0, ∞): errors of φ that are taken as rounding, in units of ε|φ(0)|; 0 never accepts an increase.
        max_trials: so many trials at most, and one that returns.

    Raises:
        ValueError: if c₁ is above c₂.

    Cost: one evaluation for each trial, mostly one for each step of a quasi-Newton method.

    Reference: Wolfe, Convergence conditions for ascent methods, SIAM Review 11, 1969; Nocedal, Wright, Numerical
    optimization, 2006, algorithms 3.5 and 3.6; Moré, Thuente, Line search algorithms with guaranteed sufficient
    decrease, ACM Trans. Math. Softw. 20, 1994; Hager, Zhang, SIAM J. Optim. 16, 2005, for the test by slopes.

    >>> import funcgd as fg
    >>> fg.StrongWolfe(c2=0.1)
    StrongWolfe(c1=0.0001, c2=0.1, rounding=10.0)
    """

    c1: Scalar = number("(0, 1)", default=1e-4, schedule=False)
    c2: Scalar = number("(0, 1)", default=0.9, schedule=False)
    rounding: Scalar = number("[0, inf)", default=10.0, schedule=False)
    max_trials: int = static(default=30, convert=as_count)

    def __post_init__(self) -> None:
        if all(isinstance(c, float) for c in (self.c1, self.c2)) and self.c1 > self.c2:
            raise ValueError(f"StrongWolfe: `c1` must be at most `c2`, got {self.c1!r} and {self.c2!r}.")

    def begin(self, start: Trial, step: jax.Array) -> jax.Array:
        return pack(self._new(start, step), step.dtype)

    def judge(self, state: jax.Array, start: Trial, trial: Trial) -> tuple[jax.Array, jax.Array, jax.Array]:
        trial = trial._replace(step=jnp.minimum(trial.step, jnp.finfo(trial.step.dtype).max))
        flat = jnp.abs(trial.slope) <= -jnp.asarray(self.c2, start.value.dtype) * start.slope
        wolfe = self._is_enough(start, trial) & flat & (trial.step > 0)
        # Most trials are accepted, and need no other.
        state = jax.lax.cond(wolfe, lambda: state, lambda: self._go_on(state, start, trial))
        after = unpack(state, self._new(start, trial.step))
        return state, jnp.where(wolfe, ACCEPT, after.verdict), jnp.where(wolfe, trial.step, after.step)

    def _new(self, start: Trial, step: jax.Array) -> Bracket:
        no, wide, count = jnp.zeros_like(step, bool), jnp.full_like(step, jnp.inf), jnp.int32(0)
        return Bracket(start, start, no, wide, wide, count, no, step, count)

    def _tolerance(self, start: Trial) -> jax.Array:
        return rounding_error(start.value, self.rounding)

    def _is_enough(self, start: Trial, trial: Trial) -> jax.Array:
        """Whether the decrease is sufficient."""
        c1 = jnp.asarray(self.c1, start.value.dtype)
        above = trial.value - (start.value + c1 * trial.step * start.slope)
        by_slope = (above <= self._tolerance(start)) & (trial.slope <= (2 * c1 - 1) * start.slope)
        return is_finite(trial) & ((above <= 0) | by_slope)

    def _go_on(self, packed: jax.Array, start: Trial, trial: Trial) -> jax.Array:
        """The state after a trial that does not fulfil both conditions."""
        state, tolerance = unpack(packed, self._new(start, trial.step)), self._tolerance(start)
        lower = self._is_enough(start, trial) & (trial.value <= state.low.value + tolerance)
        after = _close_in(state, trial, lower, tolerance)
        step = after.step
        stuck = (step == after.low.step) | (after.bracketed & (step == after.high.step)) | ~jnp.isfinite(step)
        ended = stuck | (after.trials >= self.max_trials)
        better = after.low.value < start.value  # not only within rounding errors, or methods would go on for ever
        here = better & (after.low.step == trial.step)
        accept = ((ended & here) | state.returning) & is_finite(trial) & (trial.step > 0)
        returning = ended & better
        give_up = state.returning | (ended & ~returning)
        step = jnp.where(returning, after.low.step, step)
        return pack(after._replace(returning=returning, step=step, verdict=verdict(accept, give_up)), packed.dtype)


def _close_in(state: Bracket, trial: Trial, lower: jax.Array, tolerance: jax.Array) -> Bracket:
    """The bracket after a trial, which is its new lower end or its new upper one; and the next α."""
    low, high, grows, finite = state.low, state.high, ~state.bracketed, is_finite(trial)
    ahead = jnp.where(grows, 1, jnp.sign(high.step - low.step))
    turned = lower & (trial.slope * ahead >= 0)  # the minimum lies between both lower ends
    new_low = tree.where(lower, trial, low)
    new_high = tree.where(lower, tree.where(turned, low, high), trial)
    grows = grows & lower & ~turned

    # As parts of the bracket, or of the last step where it grows. Where there is no upper end with numbers, both lower
    # ends are extrapolated.
    usable = ~grows & is_finite(new_high)
    part = jnp.where(grows, trial.step - low.step, new_high.step - new_low.step)
    ahead_of = tree.where(usable, new_high, low)
    found = (cubic_minimizer(new_low, ahead_of, tolerance) - new_low.step) / jnp.where(part == 0, 1, part)
    most = jnp.where(grows, GROWTH, jnp.where(usable, 1 - MARGIN, 0.5))
    found = jnp.where(found > 0, jnp.clip(found, MARGIN, most), jnp.where(grows, GROWTH, 0.5))
    width = jnp.where(usable, jnp.abs(part), jnp.inf)
    found = jnp.where(usable & (width > SHORTENED * state.older), 0.5, found)
    again = state.bracketed & ~is_finite(high)  # also the one before was too far: hurry
    found = jnp.where(finite, found, jnp.where(again, MARGIN, 0.5))
    step = new_low.step + found * part
    return state._replace(
        low=new_low, high=new_high, bracketed=~grows, width=width, older=state.width, trials=state.trials + 1, step=step
    )
