"""Line searches on functions of one variable: what they promise of the point that they accept, and that they end."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgd as fg
from funcgd.core.numerics import float64_mode
from funcgd.line_searches.interpolate import cubic_minimizer
from funcgd.line_searches.search import ACCEPT, GIVE_UP, GO_ON, Trial

STEPS = (1e-3, 1e-1, 1e1, 1e3)
EPS = np.finfo(np.float64).eps


class Row(NamedTuple):
    """A function φ with its derivative, and what is asked of the point on it."""

    phi: Callable  # (array module, α) → φ(α)
    slope: Callable  # α → φ′(α), in NumPy
    c1: float = 1e-4
    c2: float = 0.9
    smooth: bool = True  # whether strong Wolfe points exist


def mt3(xp: Any, a: Any) -> Any:
    b = 0.01
    middle = (a - 1) ** 2 / (2 * b) + b / 2
    kinked = xp.where(a <= 1 - b, 1 - a, xp.where(a >= 1 + b, a - 1, middle))
    return kinked + 2 * (1 - b) / (39 * np.pi) * xp.sin(39 * np.pi / 2 * a)


def mt3_slope(a: Any) -> Any:
    b = 0.01
    return np.clip((a - 1) / b, -1, 1) + (1 - b) * np.cos(39 * np.pi / 2 * a)


def gamma(b: float) -> float:
    return float(np.sqrt(1 + b * b) - b)


def yanai(b1: float, b2: float) -> Row:
    def phi(xp: Any, a: Any) -> Any:
        return gamma(b1) * xp.sqrt((1 - a) ** 2 + b2**2) + gamma(b2) * xp.sqrt(a**2 + b1**2)

    def slope(a: Any) -> Any:
        return gamma(b1) * (a - 1) / np.sqrt((1 - a) ** 2 + b2**2) + gamma(b2) * a / np.sqrt(a**2 + b1**2)

    return Row(phi, slope, 1e-3, 1e-3)


# Moré and Thuente, ACM Trans. Math. Softw. 20, 1994, section 5: their functions, parameters and first steps, and how
# many evaluations their own search makes of each (tables 1 to 6).
MORE_THUENTE = {
    "1": Row(lambda xp, a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2, 1e-3, 0.1),
    "2": Row(
        lambda xp, a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
        0.1,
        0.1,
    ),
    "3": Row(mt3, mt3_slope, 0.1, 0.1),
    "4": yanai(1e-3, 1e-3),
    "5": yanai(1e-2, 1e-3),
    "6": yanai(1e-3, 1e-2),
}
THEIR_TRIALS = (6, 3, 1, 4, 12, 8, 8, 11, 12, 12, 10, 13, 4, 1, 3, 4, 6, 3, 7, 8, 13, 11, 8, 11)

nowhere = functools.partial(np.full_like, fill_value=np.nan)
ROWS = MORE_THUENTE | {
    "quadratic": Row(lambda xp, a: 3 * (a - 2) ** 2, lambda a: 6 * (a - 2)),
    "quadratic, near": Row(lambda xp, a: (a - 1e-3) ** 2, lambda a: 2 * (a - 1e-3), c2=0.1),
    "quadratic, above": Row(lambda xp, a: 1e6 + (a - 1) ** 2, lambda a: 2 * (a - 1), c2=0.1),
    "exp": Row(lambda xp, a: xp.exp(a) - 3 * a, lambda a: np.exp(a) - 3, c2=0.1),
    "barrier": Row(lambda xp, a: -a - 1e-2 * xp.log(0.5 - a), lambda a: -1 + 1e-2 / (0.5 - a), c2=0.1),
    "wall": Row(lambda xp, a: xp.where(a > 0.3, np.inf, -a), lambda a: np.full_like(a, -1.0), smooth=False),
    "abs": Row(lambda xp, a: xp.abs(a - 1), lambda a: np.sign(a - 1), smooth=False),
    "linear": Row(lambda xp, a: -a, lambda a: np.full_like(a, -1.0), smooth=False),
    "uphill": Row(lambda xp, a: a, np.ones_like, smooth=False),
    "nan": Row(lambda xp, a: a * np.nan, nowhere, smooth=False),
    "nan beyond 0": Row(lambda xp, a: xp.where(a > 0, np.nan, -a), nowhere, smooth=False),
}
NAMES = list(ROWS)
SMOOTH = [i for i, row in enumerate(ROWS.values()) if row.smooth]
SEARCHES = {
    "Backtracking": fg.Backtracking(),
    "ExactQuadratic": fg.ExactQuadratic(),
    "FixedStep": fg.FixedStep(),
    "HagerZhang": fg.HagerZhang(),
    "StrongWolfe": fg.StrongWolfe(),
}


class Found(NamedTuple):
    verdict: Any
    trials: Any  # int32, evaluations but for that at 0
    at: Trial  # the last trial
    start: Trial


def search(on: Callable[[jax.Array], tuple], rule: fg.LineSearch, step: jax.Array) -> Found:
    """A search in a loop, as methods run it; `on(α)` gives φ(α) and φ′(α)."""

    def at(a: jax.Array) -> Trial:
        return Trial(a, *on(a))

    def body(state: tuple) -> tuple:
        search_state, step, _, trials, _ = state
        trial = at(step)
        search_state, verdict, step = rule.judge(search_state, start, trial)
        return search_state, step, verdict, trials + 1, trial

    start = at(jnp.zeros_like(step))
    step = rule.first_trial(step)
    begun = (rule.begin(start, step), step, jnp.int32(GO_ON), jnp.int32(0), start)
    _, _, verdict, trials, last = jax.lax.while_loop(lambda s: (s[2] == GO_ON) & (s[3] < 1000), body, begun)
    return Found(verdict, trials, last, start)


@jax.jit
def table(rules: fg.LineSearch) -> Found:
    """A search of each row (stacked) on each row's function, from each step: (rows, steps)."""
    branches = [functools.partial(row.phi, jnp) for row in ROWS.values()]
    phi = jax.value_and_grad(lambda a, i: jax.lax.switch(i, branches, a))

    def one(rule: fg.LineSearch, i: jax.Array, step: jax.Array) -> Found:
        return search(lambda a: phi(a, i), rule, step)

    over_steps = jax.vmap(one, in_axes=(None, None, 0))
    return jax.vmap(over_steps, in_axes=(0, 0, None))(rules, jnp.arange(len(ROWS)), jnp.array(STEPS))


@functools.cache
def found(name: str) -> Found:
    """The table of a search, whose parameters are those of the rows where it has them."""
    with float64_mode():
        rules = {
            "StrongWolfe": [fg.StrongWolfe(row.c1, row.c2) for row in ROWS.values()],
            "HagerZhang": [fg.HagerZhang(row.c1, row.c2) for row in ROWS.values()],
        }.get(name, [SEARCHES[name]] * len(ROWS))
        rules = fg.stack(rules) if jax.tree.leaves(rules) else rules[0]
        return jax.tree.map(np.asarray, table(rules))


def exact(values: Callable, steps: np.ndarray) -> np.ndarray:
    """Something of all functions at an α of each, by NumPy in float64."""
    with np.errstate(all="ignore"):
        return np.stack([values(row, np.asarray(a, np.float64)) for row, a in zip(ROWS.values(), steps, strict=True)])


def decrease(result: Found) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """φ(α), φ(0), φ′(α) and φ′(0)."""
    a = result.at.step
    value, slope = exact(lambda row, a: row.phi(np, a), a), exact(lambda row, a: row.slope(a), a)
    zero = np.zeros_like(a)
    return value, exact(lambda row, a: row.phi(np, a), zero), slope, exact(lambda row, a: row.slope(a), zero)


@pytest.mark.parametrize("name", ["Backtracking", "ExactQuadratic", "HagerZhang", "StrongWolfe"])
def test_a_search_ends_and_never_accepts_an_increase(name):
    result = found(name)
    value, start, _, _ = decrease(result)
    accepted = result.verdict == ACCEPT
    assert np.all(accepted | (result.verdict == GIVE_UP))
    assert result.trials.max() <= 31
    allowed = (1e-6 if name == "HagerZhang" else 20 * EPS) * np.abs(start)
    assert np.all(np.isfinite(value[accepted]))
    assert np.all(value[accepted] <= (start + allowed)[accepted])
    hopeless = [NAMES.index(n) for n in ("uphill", "nan", "nan beyond 0")]
    assert not np.any(accepted[hopeless])
    assert np.all(np.delete(accepted, hopeless, axis=0))


def test_strong_wolfe_conditions():
    result = found("StrongWolfe")
    value, start, slope, first = (x[SMOOTH] for x in decrease(result))
    c1, c2 = (np.array([getattr(row, c) for row in ROWS.values()])[SMOOTH, None] for c in ("c1", "c2"))
    assert np.all(value <= start + c1 * result.at.step[SMOOTH] * first + 11 * EPS * np.abs(start))
    assert np.all(np.abs(slope) <= c2 * np.abs(first) * (1 + 1e-9))


def test_strong_wolfe_needs_no_more_trials_than_more_and_thuente():
    assert found("StrongWolfe").trials[: len(MORE_THUENTE)].sum() <= sum(THEIR_TRIALS)


def test_hager_zhang_conditions():
    result = found("HagerZhang")
    value, start, slope, first = (x[SMOOTH] for x in decrease(result))
    delta, sigma = (np.array([getattr(row, c) for row in ROWS.values()])[SMOOTH, None] for c in ("c1", "c2"))
    tiny = 4 * EPS * np.abs(start)
    wolfe = value <= start + delta * result.at.step[SMOOTH] * first + tiny
    by_slope = (slope <= (2 * delta - 1) * first) & (value <= start + 1e-6 * np.abs(start) + tiny)
    assert np.all(wolfe | by_slope)
    assert np.all(slope >= sigma * first * (1 + 1e-9))
    assert result.trials[: len(MORE_THUENTE)].sum() <= sum(THEIR_TRIALS)


@pytest.mark.parametrize(("name", "c1"), [("Backtracking", 1e-4), ("StrongWolfe", 1e-4), ("HagerZhang", 1e-4)])
def test_where_no_wolfe_point_exists_the_decrease_is_sufficient(name, c1):
    result = found(name)
    value, start, _, first = decrease(result)
    for row in ("wall", "abs", "linear"):
        i = NAMES.index(row)
        assert np.all(value[i] <= start[i] + c1 * result.at.step[i] * first[i])
    wall = NAMES.index("wall")
    assert np.all((result.at.step[wall] > 0) & (result.at.step[wall] <= 0.3))


def test_wolfe_searches_go_far_where_the_line_falls_without_end():
    for name in ("StrongWolfe", "HagerZhang"):
        assert found(name).at.step[NAMES.index("linear")].min() > 1e12


def test_exact_on_quadratics_with_two_trials():
    result = found("ExactQuadratic")
    for row, best in (("quadratic", 2), ("quadratic, near", 1e-3), ("quadratic, above", 1)):
        i = NAMES.index(row)
        np.testing.assert_allclose(result.at.step[i], best, rtol=1e-9)
        assert result.trials[i].max() == 2
        assert result.trials[i].min() == (1 if row == "quadratic, near" else 2)  # 1e-3 is the minimum itself


def test_fixed_step_in_a_method():
    def run(fun: Callable, x: float) -> Any:
        return fg.minimize(fun, x, fg.SteepestDescent(fg.FixedStep(0.5)), max_steps=4)

    rule, trial = fg.FixedStep(0.5), Trial(*map(jnp.float32, (0.25, 1.0, 1.0)))
    assert int(rule.judge(jnp.int32(0), trial, trial)[1]) == GO_ON  # for a method that does not ask for the first trial
    uphill = run(lambda x: 3 * x**2, 1.0)  # x ← x − 3x
    np.testing.assert_array_equal((uphill.params, uphill.evaluations), (16.0, 5))
    edge = run(lambda x: jnp.sqrt(x) + x, 1.0)  # 1 − ½·1.5 = 0.25, and 0.25 − ½·2 < 0
    np.testing.assert_allclose((edge.params, edge.steps), (0.25, 1))
    assert edge.reason.name == "NO_DECREASE"


@pytest.mark.parametrize("name", ["StrongWolfe", "HagerZhang"])
def test_slopes_decide_where_values_are_rounding_errors(name, x64):
    """Near a minimum at α = 1 the values of 1e3 + 1e-15(α − 1)² are noise: the slope of what is accepted is small."""

    @jax.jit
    @jax.vmap
    def run(step: jax.Array) -> Found:
        def on(a: jax.Array) -> tuple:
            noise = 3e-13 * jnp.sin(1e9 * a)  # some units in the last place of φ
            return 1e3 + 1e-15 * (a - 1) ** 2 + noise, 2e-15 * (a - 1)

        return search(on, SEARCHES[name], step)

    result = run(jnp.array([1e-3, 0.3, 1.0, 30.0, 1e3]))
    assert np.all(result.verdict == ACCEPT)
    assert np.all(np.abs(np.asarray(result.at.step) - 1) <= 0.9)  # |φ′(α)| ≤ 0.9|φ′(0)|
    assert np.all(result.at.value <= result.start.value * (1 + 10 * EPS))
    assert result.trials.max() <= 12


def test_strong_wolfe_never_accepts_an_increase_where_nothing_is_rounding(x64):
    """With rounding=0 steps that are higher by one unit in the last place are rejected: here, all."""

    def on(a: jax.Array) -> tuple:
        return jnp.where(a > 0, 1 + EPS, 1.0), 1e-13 * (a - 1)

    run = jax.jit(lambda rule: search(on, rule, jnp.array(1.0)).verdict)
    assert int(run(fg.StrongWolfe())) == ACCEPT
    assert int(run(fg.StrongWolfe(rounding=0))) == GIVE_UP


@pytest.mark.parametrize("rule", [fg.StrongWolfe(max_trials=3), fg.HagerZhang(max_trials=3)])
def test_when_trials_run_out_the_lowest_is_accepted(rule, x64):
    """A straight line that ends at 2/3: there is no Wolfe point, and the third trial is too far again."""
    start, step = Trial(*map(jnp.float64, (0.0, 2 / 3, -1.0))), jnp.float64(1.0)
    judge, state, seen, verdict = jax.jit(rule.judge), rule.begin(start, step), [], GO_ON
    while verdict == GO_ON:
        seen.append(float(step))
        value = jnp.where(step > 2 / 3, jnp.inf, 2 / 3 - step)
        state, verdict, step = judge(state, start, Trial(step, value, jnp.float64(-1.0)))
    assert int(verdict) == ACCEPT
    assert seen[-1] == seen[1]
    assert 0 < seen[1] <= 2 / 3
    assert len(seen) == 4
    assert min(seen[0], seen[2]) > 2 / 3


@pytest.mark.parametrize("rule", SEARCHES.values(), ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_state_is_a_fixed_point(rule, dtype, x64):
    number = jax.ShapeDtypeStruct((), dtype)
    trial = Trial(number, number, number)
    state = jax.eval_shape(rule.begin, trial, number)
    after, verdict, step = jax.eval_shape(rule.judge, state, trial, trial)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert jax.tree.leaves(after) == jax.tree.leaves(state)
    assert verdict.dtype == jnp.int32
    assert step == number


@functools.partial(jax.jit, static_argnames="name")
def quartic(name: str, c: jax.Array, step: jax.Array) -> Found:
    return search(jax.value_and_grad(lambda a: jnp.polyval(c, a)), SEARCHES[name], step)


number = st.floats(-100, 100)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), number, number, st.floats(-100, -0.01), number, st.floats(-4, 4))
def test_wolfe_points_of_quartics(c4, c3, c2, c1, c0, logarithm):
    c = np.array([c4, c3, c2, c1, c0])
    with float64_mode(), jax.numpy_dtype_promotion("strict"):
        for name in ("StrongWolfe", "HagerZhang"):
            result = quartic(name, jnp.asarray(c), jnp.asarray(10.0**logarithm))
            a = float(result.at.step)
            value, slope = np.polyval(c, a), np.polyval(np.polyder(c), a)
            size = np.polyval(np.abs(c), a) * 20 * EPS  # rounding errors of the polynomial
            assert int(result.verdict) == ACCEPT
            assert value <= c0 + size + (1e-6 * abs(c0) if name == "HagerZhang" else 0)
            if int(result.trials) < SEARCHES[name].max_trials:  # else the lowest of them is taken, whatever its slope
                assert slope >= 0.9 * c1 - np.polyval(np.polyder(np.abs(c)), a) * 20 * EPS
            if name == "StrongWolfe":
                assert value <= c0 + 1e-4 * a * c1 + size + 10 * EPS * abs(c0)
                assert slope <= -0.9 * c1 + np.polyval(np.polyder(np.abs(c)), a) * 20 * EPS


def test_cubics_have_their_minimum_where_the_formula_says(x64):
    """φ = a(x − m)³ + b(x − m)², b > 0, has it at m, wherever the trials are: up to rounding."""
    rng = np.random.default_rng(0)
    a, b, m, x, y = rng.normal(size=(5, 50)) * 3
    b = np.abs(b) + 0.1

    def trial(x: np.ndarray) -> Trial:
        d = x - m
        return Trial(*map(jnp.asarray, (x, a * d**3 + b * d**2, 3 * a * d**2 + 2 * b * d)))

    minimizer = jax.jit(cubic_minimizer)
    np.testing.assert_allclose(minimizer(trial(x), trial(y), jnp.float64(0)), m, rtol=1e-6, atol=1e-6)
    line = Trial(*map(jnp.float64, (0.0, 0.0, -1.0))), Trial(*map(jnp.float64, (1.0, -1.0, -1.0)))
    assert np.isnan(minimizer(*line, jnp.float64(0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fg.StrongWolfe(0.5, 0.1), "StrongWolfe: `c1` must be at most `c2`, got 0.5 and 0.1."),
        (lambda: fg.HagerZhang(0.4, 0.1), "HagerZhang: `delta` must be at most `sigma`, got 0.4 and 0.1."),
        (lambda: fg.FixedStep(0), "FixedStep: `step` must be in (0, inf), got 0.0."),
        (lambda: fg.StrongWolfe(max_trials=0), "StrongWolfe: `max_trials`: expected at least 1, got 0."),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_quasi_newton_steps_go_on_below_the_rounding_errors_of_the_objective():
    """Rosenbrock's valley 1000 above zero, in float32, with errors of some units in the last place.

    These hide decreases where the gradient is below some √(L·1e-3), L = 1000; by slopes it becomes far smaller.
    """

    def valley(x: jax.Array) -> jax.Array:
        f = 1000 + 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        return f + jax.lax.stop_gradient(3e3 * jnp.finfo(f.dtype).eps * jnp.sin(1e5 * x[0] + 3e5 * x[1]))

    def run(search: fg.LineSearch) -> Any:
        stop = fg.stop.gradient_norm(1e-3, norm="max")
        return fg.minimize(valley, jnp.array([-1.2, 1.0]), fg.BFGS(search), max_steps=200, stop=stop)

    by_slopes = run(fg.StrongWolfe())
    assert by_slopes.reason.name == "GRADIENT_NORM"
    assert by_slopes.evaluations <= 60
    np.testing.assert_allclose(by_slopes.params, 1, atol=1e-3)
    assert run(fg.StrongWolfe(rounding=0)).reason.name == "NO_DECREASE"
