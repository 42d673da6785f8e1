"""The checks of trees: where they differ, what was expected, what came."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core import validate


class Point(NamedTuple):
    x: object
    y: object


@fg.value
class line:
    slope: object
    kind: str = fg.static(default="solid")


A, B = np.ones(2, np.float32), np.ones((2, 3), np.float32)


def test_one_level():
    def names(x):
        return [str(key) for key, _ in validate.one_level(x)]

    assert names({"b": A, "a": {"c": A}}) == ["['a']", "['b']"]
    assert names([A, None, ()]) == ["[0]", "[1]", "[2]"]
    assert names(Point(A, None)) == [".x", ".y"]
    assert names(line(1.0)) == [".slope"]
    assert names(A) == names(None) == names({}) == names(()) == names(3.0) == []
    assert dict(validate.one_level({1: None}))[jax.tree_util.DictKey(1)] is None


@pytest.mark.parametrize(
    ("x", "inexact"),
    [
        (1.0, True),
        (1j, True),
        (np.float16(1), True),
        (A, True),
        (jnp.ones(2, jnp.bfloat16), True),
        (jnp.ones(2, jnp.complex64), True),
        (jax.ShapeDtypeStruct((2,), jnp.float32), True),
        (1, False),
        (True, False),
        (np.bool_(True), False),
        (jnp.arange(2), False),
        (jax.ShapeDtypeStruct((2,), jnp.int32), False),
        ("text", False),
        (np.array(["text"]), False),
        (np.array([None]), False),
        (None, False),
    ],
    ids=str,
)
def test_is_inexact(x, inexact):
    assert validate.is_inexact(x) is inexact


def test_random_keys_are_not_inexact():
    assert not validate.is_inexact(jax.random.key(0))
    assert not validate.is_inexact(jax.random.PRNGKey(0))


def test_check_leaves_names_the_first_leaf():
    validate.check_leaves("f", "x", {"a": A, "b": (None, 1.0), "c": ()})
    with pytest.raises(
        TypeError, match=r"^f: `x\['b'\]\[1\]` must be a floating or complex array, got int32\. Put None"
    ):
        validate.check_leaves("f", "x", {"a": A, "b": (A, jnp.arange(2)), "c": 1})


SAME = [
    ({"a": A, "b": [B, None]}, {"a": jnp.zeros(2, jnp.int32), "b": [jax.ShapeDtypeStruct((2, 3), jnp.float16), None]}),
    (1.0, jnp.float32(2)),
    (None, None),
    ({}, {}),
    (line(1.0), line(jnp.ones(()))),
]


@pytest.mark.parametrize(("x", "expected"), SAME)
def test_same_structure_and_shapes_pass(x, expected):
    validate.check_structure("f", "x", x, "as in y", expected)


DIFFERENT = [
    # x, expected, where, wanted, got
    ({"a": A}, {"a": A, "b": A}, "['b']", "present", "nothing there"),
    ({"a": A, "b": A}, {"a": A}, "['b']", "absent", "a leaf or node there"),
    ({"a": A, "b": None}, {"a": A}, "['b']", "absent", "a leaf or node there"),
    ({"a": A, "c": A}, {"a": A, "b": A}, "['b']", "present", "nothing there"),
    ([A, B], (A, B), "", "of type tuple", "type list"),
    ({"a": [A]}, {"a": (A,)}, "['a']", "of type tuple", "type list"),
    ((A, B), Point(A, B), "", "of type Point", "type tuple"),
    ((A,), (A, B), "[1]", "present", "nothing there"),
    ((A, A, B), (A, A), "[2]", "absent", "a leaf or node there"),
    ({"a": None}, {"a": A}, "['a']", "an array", "None"),
    ({"a": A}, {"a": None}, "['a']", "None", "an array"),
    (None, {"a": A}, "", "of type dict", "None"),
    ({"a": A}, None, "", "None", "type dict"),
    ({"a": A}, A, "", "an array", "type dict"),
    ({"a": {"b": A}}, {"a": A}, "['a']", "an array", "type dict"),
    ({}, (), "", "of type tuple", "type dict"),
    (A, B, "", "of shape (2, 3)", "shape (2,)"),
    ({"a": A, "b": (A, A)}, {"a": A, "b": (A, B)}, "['b'][1]", "of shape (2, 3)", "shape (2,)"),
    (1.0, A, "", "of shape (2,)", "shape ()"),
    ({"a": Point(A, {"k": A})}, {"a": Point(A, {"k": B})}, "['a'].y['k']", "of shape (2, 3)", "shape (2,)"),
    ({1: A}, {1: B}, "[1]", "of shape (2, 3)", "shape (2,)"),
    (line(1.0), {"slope": 1.0}, "", "of type dict", "type line"),
]


@pytest.mark.parametrize(("x", "expected", "where", "wanted", "got"), DIFFERENT)
def test_the_first_difference_is_named(x, expected, where, wanted, got):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        validate.check_structure("f", "x", x, "as in y", expected)
    assert str(error.value) == f"f: `x{where}` must be {wanted}, as in y; got {got}."


def test_static_parts_count_as_structure():
    with pytest.raises(ValueError, match=r"^f: `x\['v'\]` must be .*solid.*, as in y; got .*dotted.*\.$"):
        validate.check_structure("f", "x", {"v": line(1.0, "dotted")}, "as in y", {"v": line(1.0)})


def test_deep_trees_are_walked():
    x, y = A, B
    for _ in range(50):
        x, y = {"k": x}, {"k": y}
    with pytest.raises(ValueError, match=r"shape \(2, 3\), as in y; got shape \(2,\)") as error:
        validate.check_structure("f", "x", x, "as in y", y)
    assert str(error.value).count("['k']") == 50


def test_check_like_tells_complex_from_real():
    validate.check_like("f", "x", {"a": A}, "as in y", {"a": np.ones(2, np.float16)})
    with pytest.raises(TypeError, match=r"^f: `x\['a'\]` must be real, as in y; got complex64\.$"):
        validate.check_like("f", "x", {"a": jnp.ones(2, jnp.complex64)}, "as in y", {"a": A})
    with pytest.raises(TypeError, match=r"^f: `x\['a'\]` must be complex, as in y; got float32\.$"):
        validate.check_like("f", "x", {"a": A}, "as in y", {"a": jax.ShapeDtypeStruct((2,), jnp.complex64)})
