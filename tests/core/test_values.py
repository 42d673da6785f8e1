"""Values: what a field accepts, that they are pytrees, print as code, and compare by content."""

import copy
import dataclasses
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgd as fg
from funcgd.core.fields import numbers


@fg.value
class shrink:
    factor: float = fg.number("(0, 1]", default=0.5)
    offset: float = fg.number(default=0.0)
    limit: float | None = fg.number("[0, inf)", default=None)
    power: int = fg.static(default=2)


@fg.value
class pair:
    first: object
    second: object = None


@fg.value
class steps:
    at: object = fg.vector()


@fg.value
class fixed:
    rate: float = fg.number(default=1.0, schedule=False)
    kind: str = fg.static(default="mean", one_of=("mean", "sum"))


@fg.value
class between:
    low: float
    high: float

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError(f"between: `low` must not exceed `high`, got {self.low!r} and {self.high!r}.")


@fg.value
class between_steps(between):
    step: float = 1


@fg.value
class decays:
    betas: tuple = numbers("[0, 1)", default=(0.9, 0.999))


def half(step):
    return 0.5


NAMES = {cls.__name__: cls for cls in (shrink, pair, steps, fixed, between, between_steps)} | {"half": half}


def through_jit(v):
    return jax.jit(lambda v: v)(v)


# --- what a number field accepts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_value", "stored"),
    [
        (1, 1.0),
        (0.1, 0.1),
        (np.int64(1), 1.0),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.array(0.25), 0.25),
        (np.array(1, np.uint8), 1.0),
    ],
)
def test_concrete_scalars_become_python_floats(given_value, stored):
    factor = shrink(given_value).factor
    assert type(factor) is float
    assert factor == stored


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8"])
def test_scalar_jax_arrays_become_python_floats(dtype):
    factor = shrink(jnp.ones((), dtype)).factor
    assert type(factor) is float
    assert factor == 1.0


def test_float32_arrays_are_stored_by_their_shortest_decimal():
    assert shrink(jnp.float32(0.1)).factor == 0.1


def test_low_precision_scalars_keep_their_value():
    """0.1 in bfloat16 is 0.10009765625, and is not taken for 0.1."""
    assert np.float32(shrink(jnp.bfloat16(0.1)).factor) == np.float32(0.10009765625)
    assert np.float32(shrink(np.float16(0.1)).factor) == np.float32(0.0999755859375)


@pytest.mark.parametrize("wrong", [True, np.bool_(True), "0.5", 1j, np.complex64(1), None, [0.5], {"a": 0.5}], ids=repr)
def test_what_is_no_real_number_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"^shrink: `factor` must be "):
        shrink(wrong)


def test_arrays_of_booleans_complex_numbers_and_keys_are_refused():
    for wrong in (jnp.array(True), np.array(1j), jnp.complex64(1), jax.random.key(0)):
        with pytest.raises(TypeError, match=r"^shrink: `factor` must be"):
            shrink(wrong)


def test_message_for_a_wrong_type():
    with pytest.raises(TypeError) as error:
        shrink("0.5")
    assert str(error.value) == "shrink: `factor` must be a number or a schedule (a function of the step), got '0.5'."
    with pytest.raises(TypeError) as error:
        fixed("0.5")
    assert str(error.value) == "fixed: `rate` must be a number, got '0.5'."
    with pytest.raises(
        TypeError, match=r"^fixed: `rate` must be a number, and cannot be a schedule; got <function half"
    ):
        fixed(half)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"factor": 0}, "shrink: `factor` must be in (0, 1], got 0.0."),
        ({"factor": 1.5}, "shrink: `factor` must be in (0, 1], got 1.5."),
        ({"factor": float("nan")}, "shrink: `factor` must be in (0, 1], got nan."),
        ({"factor": np.float32(1.1)}, "shrink: `factor` must be in (0, 1], got 1.1."),
        ({"offset": float("inf")}, "shrink: `offset` must be in (-inf, inf), got inf."),
        ({"offset": float("nan")}, "shrink: `offset` must be in (-inf, inf), got nan."),
        ({"limit": -1}, "shrink: `limit` must be in [0, inf), got -1.0."),
    ],
)
def test_interval_errors(keywords, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        shrink(**keywords)
    assert str(error.value) == message


def test_ends_of_intervals():
    assert shrink(1).factor == 1.0  # ( , 1]
    assert shrink(limit=0).limit == 0.0  # [0, )
    assert shrink(math.nextafter(0, 1)).factor > 0  # (0,


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((1,)), jnp.ones((2, 2))], ids=["3", "1", "2x2"])
def test_an_array_names_stack_and_grid(wrong):
    with pytest.raises(ValueError, match="must be a scalar, got shape") as error:
        shrink(wrong)
    assert f"got shape {wrong.shape}" in str(error.value)
    assert "fg.stack([shrink(factor=x) for x in xs])" in str(error.value)
    assert "fg.grid(shrink, factor=xs)" in str(error.value)


def test_none_is_an_absent_option():
    assert shrink(limit=None).limit is None
    assert len(jax.tree.leaves(shrink())) == 2
    assert len(jax.tree.leaves(shrink(limit=1))) == 3
    assert jax.tree.structure(shrink()) != jax.tree.structure(shrink(limit=1))


def test_required_fields_are_required():
    with pytest.raises(TypeError, match="first"):
        pair()


# --- tracers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "float16", "bfloat16", "uint8", "float32"])
def test_traced_numbers_become_float32(dtype):
    seen = []

    def f(x):
        seen.append(shrink(x).factor.dtype)
        return x

    jax.eval_shape(f, jax.ShapeDtypeStruct((), dtype))
    assert seen == [jnp.float32]


def test_traced_float64_keeps_its_precision(x64):
    seen = []

    def f(x, n):
        seen.append((shrink(x).factor.dtype, shrink(n).factor.dtype))
        return x

    jax.eval_shape(f, jax.ShapeDtypeStruct((), "float64"), jax.ShapeDtypeStruct((), "int64"))
    assert seen == [(jnp.float64, jnp.float32)]


def test_traced_complex_boolean_and_shaped_are_refused():
    for dtype, shape, message in (
        ("complex64", (), "must be real"),
        ("bool", (), "must be real"),
        ("float32", (2,), "fg.stack"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            jax.eval_shape(lambda x: shrink(x).factor, jax.ShapeDtypeStruct(shape, dtype))


def test_traced_numbers_are_not_range_checked():
    assert jax.jit(lambda x: shrink(x).factor)(7.0) == 7.0


def test_printing_while_tracing():
    texts = []

    def f(v):
        texts.append(repr(v))
        return v.factor

    jax.eval_shape(f, shrink(0.25))
    assert texts == ["shrink(factor=<float32[]>, offset=<float32[]>)"]


# --- fields without a specifier --------------------------------------------------------------------------------------


def test_plain_fields_take_numbers_values_tuples_functions_none():
    v = pair((1, (np.float32(0.1), None)), shrink(1))
    assert v.first == (1.0, (0.1, None))
    assert jax.tree.leaves(v) == [1.0, 0.1, 1.0, 0.0]
    assert pair([1, 2]).first == (1.0, 2.0)
    assert pair(half).first is half


@pytest.mark.parametrize("wrong", [True, np.bool_(False), "text", 1j, ("text",), (1, (True,))], ids=repr)
def test_plain_fields_point_to_static(wrong):
    with pytest.raises(TypeError, match=r"^pair: `first.*fg\.static\(\)"):
        pair(wrong)


def test_plain_fields_name_the_entry():
    with pytest.raises(TypeError, match=r"`first\[1\]\[0\]` is True"):
        pair((1, (True,)))
    with pytest.raises(ValueError, match=r"`first\[1\]` must be in \(-inf, inf\), got nan"):
        pair((1, float("nan")))
    with pytest.raises(TypeError, match=r"^pair: `first` must be real"):
        pair(np.complex64(1))


def test_named_tuples_are_pytrees_not_tuples_of_numbers():
    state = fg.ScaleByScheduleState(jnp.int32(3))
    assert pair(state).first is state
    assert type(jax.tree.map(lambda x: x, pair(state)).first) is fg.ScaleByScheduleState


# --- tuples of numbers -----------------------------------------------------------------------------------------------


def test_tuples_of_numbers_are_leaves_each():
    assert decays([0, half]).betas == (0.0, half)
    assert repr(decays((0.5, 0.75))) == "decays(betas=(0.5, 0.75))"
    assert eval(repr(decays()), globals()) == decays()
    assert jax.grad(lambda v: v.betas[0] * v.betas[1])(decays((0.5, 0.75))) == decays((0.75, 0.5))
    stack = fg.stack([decays(), decays((0.5, 0.75))])
    np.testing.assert_array_equal(jax.vmap(lambda v: v.betas[1])(stack), np.float32([0.999, 0.75]))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ((0.9, 1.0), ValueError, r"decays: `betas\[1\]` must be in \[0, 1\), got 1.0"),
        ((0.9,), TypeError, r"decays: `betas` must be 2 numbers, as \(0.9, 0.999\), got \(0.9,\)"),
        (0.9, TypeError, "`betas` must be 2 numbers"),
        ((0.9, None), TypeError, r"`betas\[1\]` must be a number or a schedule"),
    ],
)
def test_tuples_of_numbers_refuse(wrong, error, message):
    with pytest.raises(error, match=message):
        decays(wrong)


# --- vectors ---------------------------------------------------------------------------------------------------------


def test_vectors_are_read_only_float64():
    v = steps([1, np.float32(0.1), jnp.int32(3)])
    assert v.at.dtype == np.float64
    assert v.at.tolist() == [1.0, 0.1, 3.0]
    with pytest.raises(ValueError, match="read-only"):
        v.at[0] = 2
    assert steps([]).at.shape == (0,)
    assert steps(jnp.arange(3)) == steps([0, 1, 2]) != steps([0, 1])
    assert hash(steps(jnp.arange(3))) == hash(steps([0, 1, 2]))


def test_vectors_do_not_alias_what_they_are_made_of():
    numbers = np.array([1.0, 2.0])
    v = steps(numbers)
    numbers[0] = 9
    assert v.at.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "wrong",
    [3.0, None, "12", ["1"], [True, False], [1j], [np.nan], np.ones((2, 2)), np.ones((2, 1)), np.array([1j])],
    ids=str,
)
def test_vectors_refuse(wrong):
    with pytest.raises((TypeError, ValueError), match=r"^steps: `at` must be a sequence of real numbers without NaN"):
        steps(wrong)


def test_traced_vectors():
    def f(x, n):
        mixed, whole = steps([0.5, x, 2]), steps(n)
        return mixed.at, whole.at

    mixed, whole = jax.jit(f)(1.0, jnp.arange(3))
    assert mixed.tolist() == [0.5, 1.0, 2.0]
    assert mixed.dtype == whole.dtype == jnp.float32  # an integer leaf would break jax.grad
    with pytest.raises(ValueError, match=r"must have one dimension, got shape \(2, 2\)"):
        jax.eval_shape(lambda x: steps(x).at, jnp.ones((2, 2)))


def test_vectors_print_and_compare_after_jit():
    v = steps([0.1, 1e-8, 3])
    assert repr(v) == repr(through_jit(v)) == "steps(at=[0.1, 1e-08, 3.0])"
    assert v == through_jit(v)
    assert hash(v) == hash(through_jit(v))
    assert eval(repr(through_jit(v)), dict(NAMES)) == v


# --- printing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v", "text"),
    [
        (shrink(), "shrink(factor=0.5, offset=0.0)"),
        (shrink(0.1, -3, 1e-8, 3), "shrink(factor=0.1, offset=-3.0, limit=1e-08, power=3)"),
        (shrink(half), "shrink(factor=half, offset=0.0)"),
        (pair((1,), (shrink(), None)), "pair(first=(1.0,), second=(shrink(factor=0.5, offset=0.0), None))"),
        (pair(()), "pair(first=())"),
        (fixed(2, "sum"), "fixed(rate=2.0, kind='sum')"),
        (steps([float("inf"), 1]), "steps(at=[float('inf'), 1.0])"),
    ],
)
def test_repr_is_code(v, text):
    assert repr(v) == text
    assert eval(text, dict(NAMES)) == v
    assert repr(through_jit(v)) == text
    assert eval(repr(through_jit(v)), dict(NAMES)) == v


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_repr_of_any_float_evals_to_the_same_float(x):
    assert eval(repr(pair(x)), dict(NAMES)).first == x


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_repr_of_any_float32_evals_to_the_same_float32(x):
    kept = jax.tree.map(np.float32, pair(x))  # as jit returns it, without a compilation each
    again = eval(repr(kept), dict(NAMES)).first
    assert np.float32(again) == np.float32(x)
    assert len(repr(again)) <= len(repr(float(np.float32(x))))  # 0.1, not 0.10000000149


# --- equality and hash -----------------------------------------------------------------------------------------------


def test_equality():
    assert shrink(0.1) == shrink(0.1)
    assert shrink(0.1) != shrink(0.2)
    assert shrink() != shrink(power=3)
    assert shrink() != shrink(limit=1)
    assert shrink(1) != pair(1)
    assert shrink(1) != 1
    assert (shrink(1) == "text") is False
    assert pair(shrink(1)) == pair(shrink(1)) != pair(shrink(0.5))
    assert shrink(half) == shrink(half)
    assert shrink(lambda s: 0.5) != shrink(lambda s: 0.5)


def test_equality_is_exact_between_floats_and_in_the_narrower_dtype_otherwise():
    close = 0.1 + 1e-12  # the same float32
    assert shrink(0.1) != shrink(close)
    assert through_jit(shrink(0.1)) == shrink(0.1)
    assert through_jit(shrink(0.1)) == shrink(close)
    assert through_jit(shrink(0.1)) != shrink(0.1000001)
    assert shrink(0.1) == through_jit(shrink(0.1))


def test_identity_comes_first():
    nan = jax.tree.map(lambda x: float("nan"), pair(1.0))
    assert nan == nan
    assert nan != jax.tree.map(lambda x: -float("nan"), pair(1.0))


def test_signed_zeros_are_equal_and_hash_alike():
    assert pair(0.0) == pair(-0.0)
    assert hash(pair(0.0)) == hash(pair(-0.0))


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([np.float64, np.float32, float]))
def test_hash_agrees_with_equality(x, kind):
    with np.errstate(over="ignore"):
        a, b = pair(x), jax.tree.map(kind, pair(x))
    assert a == b
    assert b == a
    assert hash(a) == hash(b)


def test_values_as_keys():
    table = {shrink(0.1): "a", shrink(0.1, power=3): "b", shrink(half): "c"}
    assert table[through_jit(shrink(0.1))] == "a"
    assert table[shrink(0.1, power=3)] == "b"
    assert table[shrink(half)] == "c"
    assert shrink(0.2) not in table


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        shrink().factor = 1.0


# --- JAX -------------------------------------------------------------------------------------------------------------


def counted(f):
    """f, and the list that grows with every trace of it."""
    traces = []

    @jax.jit
    def g(*args):
        traces.append(None)
        return f(*args)

    return g, traces


def test_numbers_do_not_recompile_and_structure_does():
    f, traces = counted(lambda v: v.factor + v.offset)
    for factor in (0.1, 0.2, 1, np.float32(0.3), jnp.float32(0.4)):
        assert f(shrink(factor)) == np.float32(factor)
    assert len(traces) == 1  # weak or strong, int or float: one compilation
    f(through_jit(shrink(0.5)))
    assert len(traces) == 1
    f(shrink(power=3))
    assert len(traces) == 2
    f(shrink(0.9, power=3))
    f(shrink(0.9, power=3))
    assert len(traces) == 2
    f(shrink(limit=1))
    assert len(traces) == 3


def test_functions_are_part_of_the_structure_by_identity():
    f, traces = counted(lambda v: v.offset)
    first, second = (lambda s: 0.1), (lambda s: 0.1)
    assert jax.tree.structure(shrink(first)) == jax.tree.structure(shrink(first))
    assert jax.tree.structure(shrink(first)) != jax.tree.structure(shrink(second))
    assert hash(jax.tree.structure(shrink(first))) == hash(jax.tree.structure(shrink(first)))
    for function in (first, second, first, second):
        f(shrink(function))
    assert len(traces) == 2
    assert through_jit(pair((first, (1, second)))).first == (first, (1.0, second))


def test_bound_methods_compare_by_their_owner():
    class Owner:
        def schedule(self, step):
            return 0.1

    owner, other = Owner(), Owner()
    assert shrink(owner.schedule) == shrink(owner.schedule)  # each access makes a new method object
    assert jax.tree.structure(shrink(owner.schedule)) == jax.tree.structure(shrink(owner.schedule))
    assert shrink(owner.schedule) != shrink(other.schedule)


def test_callable_pytrees_are_data():
    schedule = jax.tree_util.Partial(lambda rate, step: rate, 0.25)
    assert jax.tree.leaves(shrink(schedule, 1)) == [0.25, 1.0]


def test_grad_and_vmap_over_fields():
    gradient = jax.grad(lambda v: v.factor**2 + 3 * v.offset)(shrink(0.5, 2))
    assert type(gradient) is shrink
    assert (float(gradient.factor), float(gradient.offset)) == (1.0, 3.0)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), shrink(0.25, 1), shrink(0.5, 2))
    assert jax.vmap(lambda v: v.factor * v.offset)(stacked).tolist() == [0.25, 1.0]


def test_constructing_under_vmap():
    rates = jnp.array([0.25, 0.5])
    population = jax.vmap(shrink)(rates)
    assert type(population) is shrink
    assert population.factor.tolist() == [0.25, 0.5]
    assert population.power == 2


def test_key_paths_print_field_names():
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(pair((1, shrink()), 2))]
    assert paths == [".first[0]", ".first[1].factor", ".first[1].offset", ".second"]


def test_nested_values_keep_their_types():
    v = through_jit(pair((shrink(0.1, power=3), pair(half)), steps([1])))
    assert v == pair((shrink(0.1, power=3), pair(half)), steps([1]))
    assert v.first[0].power == 3
    assert v.first[1].first is half
    assert type(v.second) is steps


def test_value_in_double_precision(x64):
    v = through_jit(shrink(0.1))
    assert v.factor.dtype == jnp.float64
    assert v == shrink(0.1)
    assert v != shrink(0.1 + 1e-12)
    assert repr(v) == repr(shrink(0.1))
    assert hash(v) == hash(shrink(0.1))


# --- static fields ---------------------------------------------------------------------------------------------------


def test_static_fields():
    assert jax.tree.leaves(fixed()) == [1.0]
    assert fixed(kind="sum").kind == "sum"
    with pytest.raises(ValueError, match=r"^fixed: `kind` must be one of 'mean', 'sum', got 'max'\.$"):
        fixed(kind="max")
    with pytest.raises(TypeError, match=r"^shrink: `power` is static, so it must be hashable; got \[1\]\.$"):
        shrink(power=[1])


def test_static_convert_runs_once_and_its_errors_name_the_field():
    @fg.value
    class grouped:
        names: tuple = fg.static(default=(), convert=tuple)
        count: int = fg.static(default=0, convert=int)

    assert grouped(["a", "b"]).names == ("a", "b")
    assert grouped(["a"]) == grouped(("a",))
    with pytest.raises(ValueError, match=r"^grouped: `count`: invalid literal"):
        grouped(count="x")
    with pytest.raises(TypeError, match=r"^grouped: `names`: 'int' object is not iterable"):
        grouped(3)


# --- pickle, copy, replace -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "v", [shrink(0.1, power=3), pair((1, shrink()), half), steps([0.1, 2]), shrink(limit=2)], ids=repr
)
def test_pickle_and_copies(v):
    for again in (pickle.loads(pickle.dumps(v)), copy.deepcopy(v), copy.copy(v)):
        assert again == v
        assert hash(again) == hash(v)
        assert jax.tree.structure(again) == jax.tree.structure(v)
    again = pickle.loads(pickle.dumps(through_jit(v)))
    assert again == v


def test_replace_validates():
    v = dataclasses.replace(shrink(0.1, power=3), factor=1)
    assert v == shrink(1.0, power=3)
    with pytest.raises(ValueError, match=r"`factor` must be in \(0, 1\], got 2\.0"):
        dataclasses.replace(v, factor=2)
    assert dataclasses.replace(through_jit(v), offset=1) == shrink(1, 1, power=3)


# --- classes ---------------------------------------------------------------------------------------------------------


def test_own_post_init_sees_converted_fields():
    assert between(1, 2).low == 1.0
    with pytest.raises(ValueError, match=r"`low` must not exceed `high`, got 2\.0 and 1\.0\."):
        between(np.int32(2), 1)
    with pytest.raises(ValueError, match="must not exceed"):
        dataclasses.replace(between(1, 2), high=0)


def test_subclasses_keep_the_checks_of_their_base():
    assert between_steps(1, 2, 3).step == 3.0
    assert jax.tree.leaves(between_steps(1, 2, 3)) == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="must not exceed"):
        between_steps(2, 1)
    assert between_steps(1, 2, 3) != between(1, 2)


def test_own_methods_win():
    @fg.value
    class named:
        x: float

        def __repr__(self):
            return "mine"

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

    assert repr(named(1)) == "mine"
    assert named(1) == named(2)
    assert hash(named(1)) == 7


def test_unflattening_converts_nothing():
    """JAX unflattens with placeholders; no conversion or check may run."""
    structure = jax.tree.structure(shrink())
    marker = object()
    assert structure.unflatten([marker, None]).factor is marker
    assert jax.tree.map(lambda x: x > 0, shrink()).factor is True
