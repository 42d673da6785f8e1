"""The base of line searches as transforms: trials inside `update`, in one loop around the objective."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree, validate
from funcgd.core.apply_updates import apply_updates
from funcgd.core.fields import describe
from funcgd.core.lift import lift
from funcgd.core.signature import accepts
from funcgd.core.transform import Params, Transform, Updates
from funcgd.line_searches.search import ACCEPT, GIVE_UP, GO_ON, LineSearch, Trial, is_finite


class LinesearchInfo(NamedTuple):
    """What the last search says.

    >>> import funcgd as fg
    >>> int(fg.tree.get(fg.lbfgs().init(0.0), "num_linesearch_steps"))
    0
    """

    num_linesearch_steps: jax.Array  # (), int32: trials
    decrease_error: jax.Array  # (), what the decrease lacks of being sufficient, unit of the loss; ∞ where it failed
    curvature_error: jax.Array  # (), by how much the slope at its end is too large, unit of the loss; ∞ where it failed
    failed: jax.Array  # (), bool: nothing lower was found, and the updates are 0


class ScaleByLinesearchState(NamedTuple):
    """The state of the transforms that search along a line.

    >>> import funcgd as fg
    >>> float(fg.scale_by_zoom_linesearch(20).init(0.0).learning_rate)
    1.0
    """

    learning_rate: jax.Array  # (), α of the last update; where it failed the last one that was tried
    value: jax.Array  # (), the objective after the last update, at least float32; ∞ before the first
    grad: Updates | None  # like the parameters: its gradient there, as jax.grad gives it; None where it is not kept
    info: LinesearchInfo


ScaleByBacktrackingLinesearchState = ScaleByZoomLinesearchState = ScaleByLinesearchState
ZoomLinesearchInfo = LinesearchInfo


class Terms(NamedTuple):
    """What a transform asks for in one search, along α ↦ φ(α) = f(x + αu).

    A trial is accepted where the search says so, and where φ(α) ≤ φ(0) + c₁αφ′(0) + τ and |φ′(α)| ≤ c₂|φ′(0)| + τ.
    """

    search: LineSearch
    first: jax.Array  # (), the first α
    c1: Any = 0.0
    c2: Any = 0.0
    tolerance: Any = 0.0  # τ, unit of the loss
    longest: Any = jnp.inf  # the largest α
    growth: Any = None  # the largest factor from one trial to the next
    precision: Any = 0.0  # relative: a next α as near as that is not worth a trial

    def errors(self, start: Trial, trial: Trial) -> tuple[jax.Array, jax.Array]:
        """What a trial lacks of both conditions; 0 where they hold."""
        decrease = trial.value - (start.value + self.c1 * trial.step * start.slope + self.tolerance)
        curvature = jnp.abs(trial.slope) - (jnp.abs(start.slope) * self.c2 + self.tolerance)
        return jnp.maximum(decrease, 0), jnp.maximum(curvature, 0)


class Line(NamedTuple):
    """Where a search stands."""

    step: jax.Array  # (), the next α
    search: Any  # state of the search
    trial: Trial  # the last one
    grad: Updates | None  # there
    count: jax.Array  # (), int32: trials
    verdict: jax.Array  # (), int32


class LinesearchTransform(Transform):
    """The base of transforms that search: a subclass is a value that defines `terms(state, start)`.

    >>> import funcgd as fg
    >>> sorted(fg.scale_by_zoom_linesearch(20).needs)
    ['grad', 'params', 'value', 'value_fn']
    """

    store_grad: bool = True  # else trials are values only, and their slope is taken as 0

    def terms(self, state: ScaleByLinesearchState, start: Trial) -> Terms:
        """What to ask for, in the dtype of the values."""
        raise NotImplementedError(f"{type(self).__name__} must define `terms(self, state, start)`.")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params", "value", "grad", "value_fn"})

    def init(self, params: Params) -> ScaleByLinesearchState:
        dtype = numerics.wide_dtype(*map(jnp.result_type, jax.tree.leaves(params)))
        value, decrease, curvature = (jnp.full((), jnp.inf, dtype) for _ in range(3))
        info = LinesearchInfo(jnp.int32(0), decrease, curvature, jnp.bool_(False))
        grad = tree.zeros_like(params) if self.store_grad else None
        return ScaleByLinesearchState(jnp.ones((), dtype), value, grad, info)

    def update(
        self, grads: Updates, state: ScaleByLinesearchState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByLinesearchState]:
        value, grad, value_fn = (extra.pop(name) for name in ("value", "grad", "value_fn"))
        who, dtype = f"{type(self).__name__}.update", state.value.dtype
        validate.check_like(who, "grad", grad, "as in grads", grads)
        objective = _objective(who, value_fn, extra, dtype)
        start = Trial(jnp.zeros((), dtype), _scalar(who, "value", value, dtype), _slope(grad, grads, dtype))

        def evaluate(step: jax.Array) -> tuple[Trial, Updates | None]:
            x = apply_updates(params, _scaled(step, grads))
            if not self.store_grad:
                return Trial(step, objective(x), jnp.zeros_like(step)), None
            value, raw = jax.value_and_grad(objective)(x)
            return Trial(step, value, _slope(jax.tree.map(jnp.conj, raw), grads, dtype)), raw

        raw = jax.tree.map(lambda g, p: jnp.conj(jnp.asarray(g, jnp.result_type(p))), grad, params)
        terms = self.terms(state, start)
        line = _search(terms, evaluate, start, raw if self.store_grad else None)
        taken = line.verdict == ACCEPT
        failed = ~taken & (start.slope != 0)
        end = tree.where(taken, line.trial, start)
        errors = [jnp.where(failed, jnp.inf, jnp.where(taken, e, 0)) for e in terms.errors(start, end)]
        return _scaled(end.step, grads), ScaleByLinesearchState(
            jnp.where(line.count > 0, line.trial.step, state.learning_rate),
            end.value,
            tree.where(taken, line.grad, raw) if self.store_grad else None,
            LinesearchInfo(line.count, errors[0], errors[1], failed),
        )


def guess(state: ScaleByLinesearchState, strategy: str) -> jax.Array:
    """The first α: 1, or that of the update before."""
    kept = state.learning_rate
    return jnp.ones_like(kept) if strategy == "one" else jnp.where(kept > 0, kept, 1)


def not_verbose(verbose: Any) -> bool:
    """False, which is the only choice.

    Raises:
        ValueError: if it is not.
    """
    if verbose:
        raise ValueError("must be False, because compiled programs print nothing; look at `info` in the state.")
    return False


def _search(terms: Terms, evaluate: Callable, start: Trial, grad: Updates | None) -> Line:
    """Trials until one is accepted or the search gives up; none where `start` does not lead downhill."""

    def go_on(line: Line) -> jax.Array:
        return line.verdict == GO_ON

    def next_trial(line: Line) -> Line:
        trial, grad = evaluate(line.step)
        search, verdict, step = terms.search.judge(line.search, start, trial)
        step = jnp.minimum(jnp.asarray(step, trial.step.dtype), terms.longest)
        step = step if terms.growth is None else jnp.minimum(step, terms.growth * trial.step)
        decrease, curvature = terms.errors(start, trial)
        near = jnp.abs(step - trial.step) <= terms.precision * trial.step  # also at the longest
        good = is_finite(trial) & (decrease == 0) & ((curvature == 0) | ((verdict == GO_ON) & near))
        return Line(step, search, trial, grad, line.count + 1, jnp.where(good, jnp.int32(ACCEPT), verdict))

    first = jnp.minimum(terms.search.first_trial(terms.first), terms.longest)
    verdict = jnp.where(start.slope < 0, jnp.int32(GO_ON), jnp.int32(GIVE_UP))
    line = Line(first, terms.search.begin(start, first), start, grad, jnp.int32(0), verdict)
    return jax.lax.while_loop(go_on, next_trial, line)


def _objective(who: str, value_fn: Any, extra: dict[str, Any], dtype: Any) -> Callable[[Params], jax.Array]:
    if not callable(value_fn):
        raise TypeError(f"{who}: `value_fn` must be a function of the parameters, got {describe(value_fn)}.")
    wanted = {name: x for name, x in extra.items() if accepts(value_fn, name)}
    return lambda params: _scalar(who, "value_fn(params)", value_fn(params, **wanted), dtype)


def _scalar(who: str, what: str, x: Any, dtype: Any) -> jax.Array:
    if not validate.is_inexact(x) or jnp.shape(x) or jnp.iscomplexobj(x):
        raise ValueError(f"{who}: `{what}` must be a real floating scalar, got {describe(x)}.")
    return jnp.asarray(x, dtype)


def _slope(grad: Updates, direction: Updates, dtype: Any) -> jax.Array:
    return jnp.asarray(tree.real_vdot(grad, direction), dtype)


def _scaled(step: jax.Array, updates: Updates) -> Updates:
    """α·u, and 0 for α = 0 whatever u is."""
    return lift(lambda h, u: jnp.where(h.step == 0, 0, h.step * u), SimpleNamespace(step=step), updates)
