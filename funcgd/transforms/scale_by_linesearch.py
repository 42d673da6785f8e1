"""Transforms that choose the length of a step by a line search."""

from typing import Any

import jax.numpy as jnp

from funcgd.core.fields import Interval, as_count, as_scalar, field, number, static
from funcgd.core.schedule import at, cast
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.search import LineSearch, Trial
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.transforms.line_search import LinesearchTransform, ScaleByLinesearchState, Terms, guess, not_verbose

STRATEGIES = ("keep", "one")


@value
class scale_by_linesearch(LinesearchTransform):
    """Scale updates by the α that a line search accepts.

        u ← αu,   α accepted on φ(α) = f(θ + αu)

    The updates must lead downhill, as those of `fg.sgd` without momentum do. Where they do not, or the search gives up,
    the result is 0: parameters stay, and `info.failed` in the state says so. Trials that are not finite count as too
    far. This transform stands last in its chain. `update` needs the extras `value`, `grad` and `value_fn`; others go on
    to `value_fn`, as far as it takes them.

    Args:
        search: the rule that judges trials.
        initial_guess_strategy: "one" tries α = 1 first, for directions with a length of their own, such as those of
            quasi-Newton methods; "keep" the α of the step before, for searches that also grow it.

    In the state are `value` and `grad` after the step (see `value_and_grad_from_state`) and `info`, whose
    `decrease_error` is here by how much the step increased f, and `curvature_error` |φ′(α)|.

    Cost: one evaluation for each trial, inside `update`. No derivatives in reverse mode go through the loop of trials.

    Reference: Nocedal, Wright, Numerical optimization, 2006, chapter 3.

    >>> import funcgd as fg
    >>> tx, f = fg.chain(fg.sgd(1.0), fg.scale_by_linesearch(fg.ExactQuadratic())), lambda x: 5 * (x - 3) ** 2
    >>> update, state = tx.update(-30.0, tx.init(0.0), 0.0, value=45.0, grad=-30.0, value_fn=f)
    >>> float(update), float(fg.tree.get(state, "value"))  # doctest: +NUMBER
    (3.0, 0.0)
    """

    search: LineSearch = StrongWolfe()
    initial_guess_strategy: str = static(default="keep", one_of=STRATEGIES)

    def terms(self, state: ScaleByLinesearchState, start: Trial) -> Terms:
        del start
        return Terms(self.search, guess(state, self.initial_guess_strategy))


@value
class scale_by_backtracking_linesearch(LinesearchTransform):
    """Scale updates by an α with sufficient decrease, found by shrinking it.

        φ(α) ≤ φ(0) + c₁αφ′(0) + τ,   τ = atol + rtol·|φ(0)|,   φ(α) = f(θ + αu)

    What holds of `scale_by_linesearch` holds here.

    Args:
        max_backtracking_steps: so many trials at most.
        slope_rtol: c₁ in (0, 1).
        decrease_factor: in (0, 1), what a rejected α is multiplied by.
        increase_factor: in [1, ∞], what the α of the step before is multiplied by to begin with; ∞ begins with
            `max_learning_rate` each time.
        max_learning_rate: the largest α.
        atol, rtol: absolute and relative tolerance of an increase.
        store_grad: keep the gradient after the step, so that `value_and_grad_from_state` need not compute it: then
            each trial is a value with its gradient, else a value only.
        verbose: False; what happened is in `info`.

    Reference: Armijo, Minimization of functions having Lipschitz continuous first partial derivatives, Pacific J. Math.
    16, 1966; Vaswani et al., Painless stochastic gradient: interpolation, line-search, and convergence rates, NeurIPS
    2019, arXiv:1905.09997, for steps that may grow again.

    >>> import funcgd as fg
    >>> tx, f = fg.chain(fg.sgd(1.0), fg.scale_by_backtracking_linesearch(15)), lambda x: 5 * x**2
    >>> _, state = tx.update(10.0, tx.init(1.0), 1.0, value=5.0, grad=10.0, value_fn=f)
    >>> round(float(state[1].learning_rate), 3), int(state[1].info.num_linesearch_steps)  # below 2/10
    (0.168, 9)
    """

    max_backtracking_steps: int = static(convert=as_count)
    slope_rtol: Scalar = number("(0, 1)", default=1e-4, schedule=False)
    decrease_factor: Scalar = number("(0, 1)", default=0.8, schedule=False)
    increase_factor: Scalar = number("[1, inf]", default=1.5, schedule=False)
    max_learning_rate: Scalar = number("(0, inf)", default=1.0, schedule=False)
    atol: Scalar = number("[0, inf)", default=0.0, schedule=False)
    rtol: Scalar = number("[0, inf)", default=0.0, schedule=False)
    store_grad: bool = static(default=False)
    verbose: bool = static(default=False, convert=not_verbose)

    def terms(self, state: ScaleByLinesearchState, start: Trial) -> Terms:
        h = cast(at(self, None), start.value.dtype)
        search = Backtracking(h.slope_rtol, h.decrease_factor, self.max_backtracking_steps, interpolate=False)
        first = h.increase_factor * guess(state, "keep")
        tolerance = h.atol + h.rtol * jnp.abs(start.value)
        return Terms(search, first, h.slope_rtol, jnp.inf, tolerance, h.max_learning_rate)


def _as_rounding(owner: str, name: str, x: Any) -> Any:
    return 0.0 if x is None else as_scalar(owner, name, x, Interval("[0, inf)"), False)


@value
class scale_by_zoom_linesearch(LinesearchTransform):
    """Scale updates by an α that fulfils the strong Wolfe conditions.

        φ(α) ≤ φ(0) + c₁αφ′(0) + τ,   |φ′(α)| ≤ c₂|φ′(0)| + τ,   φ(α) = f(θ + αu)

    Where the first fails by no more than the rounding errors ε|φ(0)|, slopes decide, as in `StrongWolfe`, which is the
    search. What holds of `scale_by_linesearch` holds here.

    Args:
        max_linesearch_steps: so many trials at most, and one that returns to the lowest.
        max_learning_rate: the largest α; None for no limit.
        tol: τ ≥ 0.
        increase_factor: in (1, ∞), by which factor α may grow from one trial to the next.
        slope_rtol: c₁ in (0, ½), at most c₂.
        curv_rtol: c₂ in (0, ∞]; ∞ asks for sufficient decrease only.
        approx_dec_rtol: ε ≥ 0, relative; 0 or None never accepts an increase.
        stepsize_precision: relative; a trial with sufficient decrease is accepted where the next one would be as near.
        initial_guess_strategy: as in `scale_by_linesearch`.
        verbose: False; what happened is in `info`.

    Reference: Nocedal, Wright, Numerical optimization, 2006, algorithms 3.5 and 3.6; Hager, Zhang, SIAM J. Optim. 16,
    2005, for the test by slopes.

    >>> import funcgd as fg
    >>> tx, f = fg.chain(fg.sgd(1.0), fg.scale_by_zoom_linesearch(15)), lambda x: 5 * x**2
    >>> update, state = tx.update(10.0, tx.init(1.0), 1.0, value=5.0, grad=10.0, value_fn=f)
    >>> float(update), float(state[1].value), int(state[1].info.num_linesearch_steps)  # doctest: +NUMBER
    (-1.0, 0.0, 2)
    """

    max_linesearch_steps: int = static(convert=as_count)
    max_learning_rate: Scalar | None = number("(0, inf)", default=None, schedule=False)
    tol: Scalar = number("[0, inf)", default=0.0, schedule=False)
    increase_factor: Scalar = number("(1, inf)", default=10.0, schedule=False)
    slope_rtol: Scalar = number("(0, 0.5)", default=1e-4, schedule=False)
    curv_rtol: Scalar = number("(0, inf]", default=0.9, schedule=False)
    approx_dec_rtol: Scalar | None = field("number", _as_rounding, default=1e-6)
    stepsize_precision: Scalar = number("[0, 1)", default=1e-5, schedule=False)
    initial_guess_strategy: str = static(default="keep", one_of=STRATEGIES)
    verbose: bool = static(default=False, convert=not_verbose)

    def __post_init__(self) -> None:
        c1, c2 = self.slope_rtol, self.curv_rtol
        if isinstance(c1, float) and isinstance(c2, float) and c1 > c2:
            raise ValueError(
                f"scale_by_zoom_linesearch: `slope_rtol` must be at most `curv_rtol`, got {c1!r} and {c2!r}."
            )

    def terms(self, state: ScaleByLinesearchState, start: Trial) -> Terms:
        h = cast(at(self, None), start.value.dtype)
        rounding = h.approx_dec_rtol / float(jnp.finfo(start.value.dtype).eps)
        # A weaker condition than the search may have is met before the search is asked.
        search = StrongWolfe(h.slope_rtol, jnp.minimum(h.curv_rtol, 0.9), rounding, self.max_linesearch_steps)
        longest = jnp.inf if h.max_learning_rate is None else h.max_learning_rate
        first = guess(state, self.initial_guess_strategy)
        return Terms(search, first, h.slope_rtol, h.curv_rtol, h.tol, longest, h.increase_factor, h.stepsize_precision)
