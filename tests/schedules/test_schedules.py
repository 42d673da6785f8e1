"""Schedules: their formulas, their boundaries, their derivatives, and that they are values."""

import copy
import dataclasses
import pickle

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import funcgd.core as core
from funcgd import schedules as fs
from funcgd.core.numerics import float64_mode
from tests.schedules import cycles

LAST = 2**31 - 1
STEPS = np.arange(40, dtype=np.int32)
NAMES = {name: getattr(fs, name) for name in fs.__all__}

evaluate = jax.jit(lambda schedule, steps: schedule(steps))  # one compilation per structure, whatever the numbers


# --- float64 oracles, with lengths that need not be whole, so that they can be differentiated ------------------------


def constant(t, value):
    return value + 0 * t


def polynomial(t, init_value, end_value, transition_steps, transition_begin, power=1.0):
    ahead = 1 - np.clip((t - transition_begin) / transition_steps, 0, 1)
    return end_value + (init_value - end_value) * ahead**power


def exponential(t, init_value, transition_steps, decay_rate, transition_begin, end_value=None, staircase=False):
    periods = np.maximum(t - transition_begin, 0) / transition_steps
    result = init_value * decay_rate ** (np.floor(periods) if staircase else periods)
    return result if end_value is None else (np.maximum if decay_rate < 1 else np.minimum)(result, end_value)


def cosine(t, init_value, decay_steps, alpha, exponent):
    wave = 0.5 * (1 + np.cos(np.pi * np.clip(t / decay_steps, 0, 1)))
    return init_value * ((1 - alpha) * wave**exponent + alpha)


def warmup(t, init_value, peak_value, warmup_steps):
    return init_value + (peak_value - init_value) * np.minimum(t / warmup_steps, 1)


def warmup_cosine(t, init_value, peak_value, warmup_steps, decay_steps, end_value, exponent):
    wave = 0.5 * (1 + np.cos(np.pi * np.clip((t - warmup_steps) / (decay_steps - warmup_steps), 0, 1)))
    down = end_value + (peak_value - end_value) * wave**exponent
    return np.where(t < warmup_steps, warmup(t, init_value, peak_value, warmup_steps), down)


SMOOTH = {
    "constant": (fs.constant_schedule(0.3), constant),
    "polynomial": (fs.polynomial_schedule(1.0, 0.2, 2.5, 20, 5), polynomial),
    "rising root": (fs.polynomial_schedule(0.0, 0.7, 0.5, 13), polynomial),
    "linear": (fs.linear_schedule(0.1, 1.0, 17, 3), polynomial),
    "exponential": (fs.exponential_decay(2.0, 7, 0.6, 4), exponential),
    "bounded below": (fs.exponential_decay(2.0, 7, 0.6, 4, end_value=0.8), exponential),
    "bounded above": (fs.exponential_decay(0.1, 7, 1.5, 4, end_value=0.3), exponential),
    "cosine": (fs.cosine_decay_schedule(0.5, 30, 0.1, 1.5), cosine),
    "warmup": (fs.warmup_constant_schedule(0.1, 1.0, 9), warmup),
    "warmup cosine": (fs.warmup_cosine_decay_schedule(0.1, 1.0, 9, 31, 0.2, 2.0), warmup_cosine),
    **cycles.SMOOTH,
}
ALL = {
    **{name: schedule for name, (schedule, _) in SMOOTH.items() if name not in cycles.VARIANTS},
    "staircase": fs.exponential_decay(1.0, 4, 0.5, 2, staircase=True),
    "piecewise": fs.piecewise_constant_schedule(1.0, {5: 0.5, 8: 0.1}),
    "piecewise without boundary": fs.piecewise_constant_schedule(0.7),
    "join": fs.join_schedules([fs.linear_schedule(0.0, 1.0, 4), 1.0, fs.cosine_decay_schedule(1.0, 6)], [4, 10]),
    **cycles.OTHERS,
}
smooth = pytest.mark.parametrize(("schedule", "oracle"), SMOOTH.values(), ids=SMOOTH)
every = pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)


def numbers(schedule):
    """The fields of a schedule, without those that are absent."""
    return {f.name: x for f in dataclasses.fields(schedule) if (x := getattr(schedule, f.name)) is not None}


def arguments(schedule):
    """The numbers, and the staircase where it is on: what an oracle is called with."""
    return {name: x for name, x in numbers(schedule).items() if x is not False}


# --- formulas -----------------------------------------------------------------------------------------------------


@smooth
def test_formula(schedule, oracle):
    expected = oracle(STEPS.astype(np.float64), **arguments(schedule))
    np.testing.assert_allclose(schedule(STEPS), expected, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(evaluate(schedule, STEPS), expected, rtol=2e-6, atol=1e-7)


@smooth
def test_derivative_with_respect_to_every_number_is_that_of_the_formula(schedule, oracle):
    """Lengths are rounded, yet their derivatives are not 0."""
    inside = np.array([6, 7, 8, 11, 12, 13 - 1, 15, 16, 19, 24, 28])  # beside every boundary in the table
    jacobian = jax.jit(jax.jacfwd(lambda s: s(inside)))(schedule)
    fixed, h = arguments(schedule), 1e-6
    given = {k: x for k, x in fixed.items() if isinstance(x, float)}
    for name, x in given.items():
        up, down = (oracle(inside.astype(float), **{**fixed, name: x + d}) for d in (h, -h))
        np.testing.assert_allclose(getattr(jacobian, name), (up - down) / (2 * h), rtol=1e-4, atol=1e-6, err_msg=name)
    lengths = [name for name in given if name.endswith("steps")]
    assert all(np.any(getattr(jacobian, name) != 0) for name in lengths)


def test_row_14_cyclical_rates_are_another_on_each_batch():
    """Smith 2015, with base 0.1, maximum 0.5 and a stepsize of 4, in numbers; the decays of the lectures as well."""
    up_down = [0.1, 0.2, 0.3, 0.4, 0.5, 0.4, 0.3, 0.2]
    expected = {
        fs.triangular_schedule(0.1, 0.5, 4): up_down * 2,
        fs.triangular2_schedule(0.1, 0.5, 4): [*up_down, 0.1, 0.15, 0.2, 0.25, 0.3, 0.25, 0.2, 0.15],
        fs.exp_range_schedule(0.1, 0.5, 4, 0.5): [0.1, 0.15, 0.15, 0.1375, 0.125, 0.109375, 0.103125, 0.10078125],
        fs.exponential_decay(0.8, 4, 0.5, staircase=True): [0.8] * 4 + [0.4] * 4,
        fs.piecewise_constant_schedule(0.8, {2: 0.1, 4: 0.1}): [0.8, 0.8, 0.08, 0.08, 0.008, 0.008],
    }
    for schedule, values in expected.items():
        np.testing.assert_allclose(schedule(np.arange(len(values))), values, rtol=1e-6)


def test_the_inverse_square_root_is_that_of_the_transformer():
    peak = 512**-0.5 * 400**-0.5
    steps = np.array([1, 100, 400, 401, 5000])
    np.testing.assert_allclose(
        fs.inverse_sqrt_schedule(0.0, peak, 400)(steps), cycles.vaswani(steps.astype(float), 512, 400), rtol=1e-6
    )


def test_warmup_exponential_is_a_join():
    whole = fs.warmup_exponential_decay_schedule(0.1, 1.0, 6, 4, 0.5, 3, staircase=True, end_value=0.2)
    parts = fs.join_schedules([fs.linear_schedule(0.1, 1.0, 6), fs.exponential_decay(1.0, 4, 0.5, 3, True, 0.2)], [6])
    np.testing.assert_allclose(whole(STEPS), parts(STEPS), rtol=1e-6)


def test_staircase_is_constant_between_its_steps():
    schedule = ALL["staircase"]
    expected = exponential(STEPS.astype(float), **arguments(schedule))
    np.testing.assert_allclose(evaluate(schedule, STEPS), expected, rtol=1e-6)
    assert len(np.unique(schedule(STEPS))) == 10


@pytest.mark.parametrize("steps", [7, 10**9])
def test_decay_rate_next_to_one_keeps_its_digits(steps):
    rate = 1 - 1e-9  # 1 in float32
    np.testing.assert_allclose(fs.exponential_decay(1.0, 1, rate)(steps), rate**steps, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    ends=st.tuples(*[st.floats(0, 1e3, width=32, allow_subnormal=False)] * 3),
    power=st.floats(0, 8, width=32, allow_subnormal=False),
    first=st.integers(0, LAST),
    second=st.integers(0, LAST),
    steps=st.lists(st.integers(0, LAST), min_size=1, max_size=20),
)
def test_never_nan_never_negative_never_outside_its_ends(ends, power, first, second, steps):
    a, b, c = ends
    first, second = sorted((first, second))
    steps = np.array([0, 1, first - 1, first, second - 1, second, LAST, *steps, *[0] * (20 - len(steps))])
    steps = np.clip(steps, 0, LAST).astype(np.int32)
    low, high = min(ends), max(ends)
    for schedule in (
        fs.polynomial_schedule(a, b, power, second, first),
        fs.linear_schedule(a, b, first, second),
        fs.warmup_constant_schedule(a, b, first),
        fs.warmup_cosine_decay_schedule(a, b, first, second, c, power),
        fs.cosine_decay_schedule(a, second, c / (a + c + 1), power),
        fs.piecewise_constant_schedule(a, ([first, float(second) + 1], [0.5, 0.25])),
        fs.exponential_decay(a, second + 1, 0.5, first, end_value=min(a, b)),
        fs.triangular2_schedule(a, b, first + 1),
        fs.exp_range_schedule(a, b, first + 1, 0.5),
        fs.linear_onecycle_schedule(second, a, 0.25, 0.5, 2.0, 2.0),
        fs.cosine_onecycle_schedule(second, a, 0.25, 2.0, 2.0),
        fs.cosine_decay_restarts_schedule(a, first + 1, 2, 0.5, 0.5),
        fs.warmup_stable_decay_schedule(a, b, first, second, first, c, "1-sqrt"),
        fs.inverse_sqrt_schedule(a, b, first),
    ):
        x = np.asarray(evaluate(schedule, steps))
        assert np.all(np.isfinite(x)), schedule
        assert np.all(x >= 0), schedule
        assert np.all(x <= high * (1 + 1e-6)), schedule
        if isinstance(schedule, (fs.warmup_cosine_decay_schedule, fs.warmup_stable_decay_schedule)):
            assert np.all(x >= low * (1 - 1e-6)), schedule


# --- boundaries ---------------------------------------------------------------------------------------------------

P, W = fs.polynomial_schedule, fs.warmup_cosine_decay_schedule
EXACT = {  # what is at each step, exactly
    "polynomial ends": (P(0.1, 0.3, 3, 7, 2), {0: 0.1, 2: 0.1, 9: 0.3, 10: 0.3, LAST: 0.3}),
    "polynomial of length 0": (P(0.1, 0.3, 3, 0, 2), {1: 0.1, 2: 0.3, 3: 0.3}),
    "polynomial of length 1": (P(0.1, 0.3, 3, 1), {0: 0.1, 1: 0.3}),
    "power 0 jumps at the end": (P(0.1, 0.3, 0, 4), {0: 0.1, 3: 0.1, 4: 0.3}),
    "linear ends": (fs.linear_schedule(0.1, 0.3, 4), {0: 0.1, 4: 0.3, 5: 0.3, LAST: 0.3}),
    "linear of length 0": (fs.linear_schedule(0.1, 0.3, 0), {0: 0.3, 1: 0.3}),
    "equal ends": (fs.linear_schedule(0.1, 0.1, 7), dict.fromkeys(range(9), 0.1)),
    "cosine ends": (fs.cosine_decay_schedule(0.1, 7), {0: 0.1, 7: 0.0, 8: 0.0, LAST: 0.0}),
    "cosine of length 0": (fs.cosine_decay_schedule(0.5, 0, 0.5), {0: 0.25, 1: 0.25}),
    "cosine of length 1": (fs.cosine_decay_schedule(0.5, 1, 0.5), {0: 0.5, 1: 0.25}),
    "warmup ends": (fs.warmup_constant_schedule(0.1, 0.3, 4), {0: 0.1, 4: 0.3, 5: 0.3, LAST: 0.3}),
    "no warmup": (fs.warmup_constant_schedule(0.1, 0.3, 0), {0: 0.3, 1: 0.3}),
    "warmup cosine ends": (W(0.1, 0.3, 4, 9, 0.2), {0: 0.1, 4: 0.3, 9: 0.2, 10: 0.2, LAST: 0.2}),
    "warmup 0": (W(0.1, 0.3, 0, 9, 0.2), {0: 0.3, 9: 0.2}),
    "warmup = total": (W(0.0, 0.5, 4, 4, 0.2), {0: 0.0, 2: 0.25, 3: 0.375, 4: 0.2, 5: 0.2}),
    "total 1": (W(0.1, 0.3, 0, 1, 0.2), {0: 0.3, 1: 0.2}),
    "warmup = total = 1": (W(0.1, 0.3, 1, 1, 0.2), {0: 0.1, 1: 0.2}),
    "total 0": (W(0.1, 0.3, 0, 0, 0.2), {0: 0.2, LAST: 0.2}),
    "peak 0": (W(0.1, 0.0, 1, 2, 0.2), {0: 0.1, 1: 0.0, 2: 0.2}),
    "exponential": (fs.exponential_decay(0.3, 4, 0.5, 3), {0: 0.3, 3: 0.3, LAST: 0.0}),
    "growth up to its bound": (fs.exponential_decay(0.1, 1, 2.0, 3, end_value=0.3), {3: 0.1, LAST: 0.3}),
    "bound at once": (fs.exponential_decay(0.2, 4, 0.5, end_value=0.3), {0: 0.3, 1: 0.3}),
    "piecewise at >=": (fs.piecewise_constant_schedule(1.0, {5: 0.5, 8: 0.25}), {4: 1.0, 5: 0.5, 7: 0.5, 8: 0.125}),
    "piecewise from 0": (fs.piecewise_constant_schedule(1.0, {0: 0.5}), {0: 0.5}),
    "piecewise to 0": (fs.piecewise_constant_schedule(1.0, {2: 0.0}), {1: 1.0, 2: 0.0}),
    "piecewise never": (fs.piecewise_constant_schedule(1.0, {2.0**40: 0.5, np.inf: 0.5}), {LAST - 1: 1.0}),
    "rounded lengths": (fs.linear_schedule(0.0, 1.0, 3.9), {1: 0.25, 3: 0.75, 4: 1.0}),
    "begins beyond 2**24": (fs.linear_schedule(1.0, 0.0, 4, 2**24 + 2), {2**24 + 2: 1.0, 2**24 + 3: 0.75}),
    "begins beyond 2**30": (fs.linear_schedule(1.0, 0.0, 4, 2**30), {2**30: 1.0, 2**30 + 1: 0.75, 2**30 + 4: 0.0}),
    "decays beyond 2**24": (W(0.0, 1.0, 2**25, 2**25 + 4), {2**25: 1.0, 2**25 + 4: 0.0}),
    "total is not absorbed": (W(0.0, 1.0, 3, 2**26), {3: 1.0, 2**26: 0.0}),
    **cycles.EXACT,
}


@pytest.mark.parametrize(("schedule", "expected"), EXACT.values(), ids=EXACT)
def test_exact_at_the_boundaries(schedule, expected):
    steps, values = np.resize([*expected], 9).astype(np.int32), np.resize([*expected.values()], 9).astype(np.float32)
    np.testing.assert_array_equal(schedule(steps), values)
    np.testing.assert_array_equal(evaluate(schedule, steps), values, err_msg="with numbers that are traced")


def test_a_boundary_that_float32_cannot_hold_is_exact():
    odd = 2**24 + 1
    assert [float(fs.piecewise_constant_schedule(1.0, {odd: 0.5})(t)) for t in (odd - 1, odd)] == [1.0, 0.5]
    assert [float(fs.linear_schedule(1.0, 0.0, 2, odd)(t)) for t in (odd, odd + 1, odd + 2)] == [1.0, 0.5, 0.0]
    assert [float(fs.join_schedules([1.0, 0.0], [odd])(t)) for t in (odd - 1, odd)] == [1.0, 0.0]
    length = fs.linear_schedule(1.0, 0.0, odd)
    assert float(length(odd - 1)) > 0 == float(length(odd))


def test_a_long_warmup_from_zero_keeps_its_digits():
    length = 2**25
    for schedule in (fs.warmup_constant_schedule(0.0, 1.0, length), fs.linear_schedule(0.0, 1.0, length)):
        assert float(schedule(1)) == float(evaluate(schedule, 1)) == 1 / length
    assert float(fs.cosine_decay_schedule(1.0, length)(length - 1)) == pytest.approx(
        (np.pi / 2 / length) ** 2, rel=1e-5
    )


def test_power_0_cosine_keeps_its_value_until_the_end():
    schedule = fs.cosine_decay_schedule(1.0, 4, exponent=0.0)
    np.testing.assert_array_equal(schedule(np.arange(6)), [1, 1, 1, 1, 0, 0])


EDGE_STEPS = np.array([0, 1, 2, 3, 4, 5, 2**24 + 1, 2**30, LAST], np.int32)


@jax.jit
def edge_gradient(schedule):
    return jax.value_and_grad(lambda s: s(EDGE_STEPS).sum())(schedule)  # one NaN among the steps is enough


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in EXACT.values()], ids=EXACT)
def test_values_and_derivatives_are_finite_at_every_edge(schedule):
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(edge_gradient(schedule)))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: fs.polynomial_schedule(1.0, 0.5, 2.0, n),
        lambda n: fs.linear_schedule(1.0, 0.5, n, n),
        lambda n: fs.exponential_decay(1.0, n, 0.5, n),
        lambda n: fs.exponential_decay(1.0, n, 0.5, n, staircase=True),
        lambda n: fs.cosine_decay_schedule(1.0, n),
        lambda n: fs.warmup_constant_schedule(0.0, 1.0, n),
        lambda n: fs.warmup_cosine_decay_schedule(0.0, 1.0, n, 4),
        lambda n: fs.piecewise_constant_schedule(1.0, ([n, n], [0.5, 0.5])),
        lambda n: fs.piecewise_interpolate_schedule("cosine", 1.0, ([n, n], [0.5, 0.5])),
        lambda n: fs.triangular2_schedule(0.0, 1.0, n),
        lambda n: fs.exp_range_schedule(0.0, 1.0, n, 0.5),
        lambda n: fs.cosine_onecycle_schedule(n, 1.0),
        lambda n: fs.cosine_decay_restarts_schedule(1.0, n),
        lambda n: fs.warmup_stable_decay_schedule(0.0, 1.0, n, n, n, decay_type="1-sqrt"),
        lambda n: fs.inverse_sqrt_schedule(0.0, 1.0, n, n),
    ],
)
def test_traced_numbers_out_of_range_give_finite_values(make):
    """Nothing is validated where it is traced: zero, negative and infinite lengths, more warmup than total."""
    lengths = jnp.array([0.0, -3.0, 9.0, 2.0**31, jnp.inf, 2.0**100])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda n: make(n)(EDGE_STEPS).sum())))(lengths)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(slopes))


# --- steps and dtypes ---------------------------------------------------------------------------------------------


@every
def test_any_kind_of_step(schedule):
    expected = np.asarray(schedule(7))
    for step in (np.int64(7), np.uint8(7), jnp.int16(7), jnp.uint32(7), 7.0, jnp.float32(7.9)):
        assert schedule(step) == expected, type(step)
    assert expected.shape == ()
    assert expected.dtype == np.float32
    assert schedule(-5) == schedule(0) == schedule(jnp.int8(-5))
    assert schedule(2**40) == schedule(LAST) == schedule(np.float32(2**40)) == schedule(jnp.uint32(2**32 - 1))
    np.testing.assert_allclose(schedule(STEPS)[7], expected, rtol=1e-6)


def test_float64_where_it_is_enabled():
    with float64_mode():
        for schedule in ALL.values():
            assert jax.eval_shape(schedule, 3).dtype == np.float64
            traced = jax.eval_shape(lambda s: s(3), jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), schedule))
            assert traced.dtype == np.float64
        for schedule, oracle in SMOOTH.values():
            expected = oracle(STEPS.astype(np.float64), **arguments(schedule))
            np.testing.assert_allclose(jax.jit(schedule)(STEPS), expected, rtol=1e-13, atol=1e-15)


def test_low_precision_numbers_are_widened():
    schedule = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), ALL["warmup cosine"])
    assert schedule(3).dtype == np.float32


# --- values -------------------------------------------------------------------------------------------------------


@every
def test_repr_is_code(schedule):
    assert eval(repr(schedule), dict(NAMES)) == schedule
    through_jit = jax.jit(lambda s: s)(schedule)
    assert through_jit == schedule
    assert hash(through_jit) == hash(schedule)
    assert eval(repr(through_jit), dict(NAMES)) == schedule


@every
def test_copies_are_equal(schedule):
    for other in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), dataclasses.replace(schedule)):
        assert other == schedule
        assert float(other(7)) == float(schedule(7))
    name = next(iter(name for name, x in numbers(schedule).items() if isinstance(x, float)), None)
    if name is not None:
        assert dataclasses.replace(schedule, **{name: 0.123}) != schedule


@every
def test_another_number_does_not_compile_again(schedule):
    traces = []

    @jax.jit
    def run(s):
        traces.append(1)
        return s(3)

    run(schedule)
    run(jax.tree.map(lambda x: x * 2 + 1, schedule))
    assert len(traces) == 1


@every
def test_vmap_over_every_number(schedule):
    """A population that differs in lengths and boundaries gives what its members give."""
    members = [jax.tree.map(lambda x, k=k: x + k, schedule) for k in (0, 1, 3)]
    population = core.stack(members)
    assert all(np.shape(x)[0] == 3 for x in jax.tree.leaves(population))
    together = jax.jit(jax.vmap(lambda s: s(STEPS)))(population)
    for got, member in zip(together, members, strict=True):
        np.testing.assert_allclose(got, evaluate(member, STEPS), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "piecewise", "join", "constant"])
def test_a_population_outside_vmap_is_an_error(name):
    with pytest.raises(ValueError, match=r"fg\.stack"):
        core.stack([ALL[name], ALL[name]])(3)


def test_leaves_are_all_the_numbers():
    assert jax.tree.leaves(fs.piecewise_constant_schedule(1.0, {8: 0.1, 5: 0.5}))[1].tolist() == [5, 8]
    assert len(jax.tree.leaves(ALL["warmup cosine"])) == 6
    assert len(jax.tree.leaves(ALL["exponential"])) == 4


def test_inside_a_traced_function_all_numbers_may_be_traced():
    @jax.jit
    def run(x, n):
        return (
            fs.piecewise_constant_schedule(x, {4: x, 8: 0.5})(9)
            + fs.piecewise_constant_schedule(x, (jnp.stack([n, n + 1]), [x, x]))(9)
            + fs.join_schedules([x, fs.linear_schedule(x, 0.0, n)], [n])(5)
            + fs.warmup_cosine_decay_schedule(0.0, x, n, 2 * n)(4)
        )

    assert float(run(0.5, 4.0)) == pytest.approx(0.125 + 0.125 + 0.375 + 0.5)
    assert np.isfinite(jax.grad(run)(0.5, 4.0))


def test_a_traced_schedule_prints():
    seen = []
    jax.jit(lambda s: seen.append(repr(s)))(ALL["piecewise"])
    assert seen[0].startswith("piecewise_constant_schedule(init_value=<")


def test_scheduled_hyperparameters_resolve():
    assert float(core.resolve(ALL["piecewise"], 5)) == 0.5


def test_all_is_sorted():
    assert fs.__all__ == sorted(fs.__all__)
