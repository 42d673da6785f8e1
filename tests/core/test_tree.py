"""Tree arithmetic: values, dtypes, weak types, aliasing, and finding by name."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


class State(NamedTuple):
    mu: object
    count: object = None


@fg.value
class node:
    mu: object
    rate: float = 0.5


X = {"a": np.array([1.0, -2.0], np.float32), "b": (np.float32(4), None)}
Y = {"a": np.array([3.0, 5.0], np.float32), "b": (np.float32(-2), None)}


def arrays(tree):
    return jax.tree.map(jnp.asarray, tree)


def check(tree, a, b):
    np.testing.assert_array_equal(tree["a"], a)
    np.testing.assert_array_equal(tree["b"][0], b)
    assert tree["b"][1] is None
    assert tree["a"].dtype == tree["b"][0].dtype == jnp.float32


def test_arithmetic():
    x, y = arrays(X), arrays(Y)
    check(fg.tree.add(x, y), [4, 3], 2)
    check(fg.tree.sub(x, y), [-2, -7], 6)
    check(fg.tree.mul(x, y), [3, -10], -8)
    check(fg.tree.div(y, x), [3, -2.5], -0.5)
    check(fg.tree.scale(2, x), [2, -4], 8)
    check(fg.tree.scale(0.5, x), [0.5, -1], 2)
    check(fg.tree.add_scale(x, -0.5, y), [-0.5, -4.5], 5)
    check(jax.jit(fg.tree.add_scale)(x, -0.5, y), [-0.5, -4.5], 5)


def test_a_number_keeps_the_dtype_of_the_leaves():
    x = {"w": jnp.ones(2, jnp.bfloat16)}
    assert fg.tree.scale(0.5, x)["w"].dtype == jnp.bfloat16
    assert fg.tree.add_scale(x, 0.5, x)["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("make", [float, jnp.float32, np.float32], ids=["float", "array", "numpy"])
def test_numbers_of_any_precision_keep_the_dtype_and_are_rounded_once(dtype, make):
    """0.1 is no number of 16 bits: rounded before the product, it puts a fifth of these off by one digit."""
    x = jnp.arange(1, 200, dtype=dtype)
    scaled, moved = fg.tree.scale(make(0.1), x), fg.tree.add_scale(x, make(0.1), x)
    for found, exact in ((scaled, 0.1), (moved, 1.1)):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, (exact * np.arange(1, 200)).astype(np.float32).astype(dtype))
    assert fg.tree.scale(make(0.1), jnp.ones(2, jnp.complex64)).dtype == jnp.complex64
    with jax.numpy_dtype_promotion("standard"):
        assert fg.tree.scale(1j, x).dtype == jnp.complex64


@pytest.mark.parametrize("combine", [fg.tree.add, fg.tree.sub, fg.tree.mul, fg.tree.div, fg.tree.vdot])
def test_trees_that_differ_are_refused(combine):
    with pytest.raises(ValueError, match="b"):
        combine({"a": jnp.ones(2), "b": jnp.ones(2)}, {"a": jnp.ones(2)})
    with pytest.raises((ValueError, TypeError), match="None"):
        combine({"a": jnp.ones(2)}, {"a": None})


def test_vdot():
    assert fg.tree.vdot(arrays(X), arrays(Y)) == 3 - 10 - 8
    z, w = {"z": jnp.array([1 + 2j, 3j])}, {"z": jnp.array([2 - 1j, 1 + 1j])}
    assert fg.tree.vdot(z, w) == np.vdot([1 + 2j, 3j], [2 - 1j, 1 + 1j])
    assert fg.tree.vdot({}, {}) == 0
    mixed = fg.tree.vdot((jnp.array([2j]), jnp.ones(2)), (jnp.array([3j]), jnp.ones(2)))
    assert mixed == 6 + 2
    assert mixed.dtype == jnp.complex64


def test_sums_are_taken_in_at_least_float32():
    """4096 ones in bfloat16 would stop at 256, and 0.1·0.1 would round."""
    ones = {"w": jnp.ones(4096, jnp.bfloat16)}
    assert fg.tree.sum(ones) == 4096
    assert fg.tree.vdot(ones, ones) == 4096
    assert fg.tree.sum(ones).dtype == fg.tree.vdot(ones, ones).dtype == jnp.float32
    assert fg.tree.sum({"a": jnp.ones(2, jnp.bfloat16), "b": jnp.full(2, 1 + 1j), "c": jnp.ones(2)}) == 6 + 2j
    assert fg.tree.sum({"n": jnp.arange(4), "x": 0.5}) == 6.5
    assert fg.tree.sum({}) == 0
    assert fg.tree.sum({}).dtype == jnp.float32


def test_sums_of_mixed_precision_are_double(x64):
    x = {"a": jnp.full(1, 1e200), "b": jnp.ones(1, jnp.float32)}
    assert fg.tree.sum(x).dtype == fg.tree.vdot(x, fg.tree.ones_like(x)).dtype == jnp.float64
    assert fg.tree.sum({"b": jnp.ones(2, jnp.float32)}).dtype == jnp.float32
    assert fg.tree.sum(x) == 1e200


@pytest.mark.parametrize(
    ("like", "fill"),
    [
        (fg.tree.zeros_like, 0),
        (fg.tree.ones_like, 1),
        (lambda x, dtype=None: fg.tree.full_like(x, 7, dtype), 7),
    ],
    ids=["zeros", "ones", "full"],
)
def test_filled_trees(like, fill):
    x = {"b": jnp.ones((2, 3), jnp.bfloat16), "n": jnp.arange(2), "p": 2.0, "none": None, "empty": jnp.ones((0, 4))}
    out = like(x)
    assert [out[name].dtype for name in ("b", "n", "p", "empty")] == [jnp.bfloat16, jnp.int32, jnp.float32, jnp.float32]
    assert out["b"].shape == (2, 3)
    assert out["p"].shape == ()
    assert out["none"] is None
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(out))
    assert all((np.asarray(leaf, np.float32) == fill).all() for leaf in jax.tree.leaves(out))
    for dtype in ("float16", jnp.float16, np.dtype(np.float16)):
        assert {leaf.dtype for leaf in jax.tree.leaves(like(x, dtype))} == {np.dtype(np.float16)}
    abstract = jax.eval_shape(like, x)
    assert [a.dtype for a in jax.tree.leaves(abstract)] == [a.dtype for a in jax.tree.leaves(out)]


def test_filled_trees_do_not_alias():
    x = {"w": jnp.zeros(2)}
    zeros = fg.tree.zeros_like(x)
    assert zeros["w"] is not x["w"]
    assert zeros["w"].unsafe_buffer_pointer() != x["w"].unsafe_buffer_pointer()


def test_full_like_takes_a_traced_number_of_another_dtype():
    out = jax.jit(lambda v: fg.tree.full_like({"w": jnp.ones(2, jnp.bfloat16)}, v))(0.5)
    assert out["w"].dtype == jnp.bfloat16
    assert out["w"].tolist() == [0.5, 0.5]


def test_cast():
    x = {"f": jnp.ones(2), "n": jnp.arange(2), "c": jnp.ones(2, jnp.complex64), "p": 1.0, "none": None}
    out = fg.tree.cast(x, jnp.bfloat16)
    assert (out["f"].dtype, out["n"].dtype, out["c"].dtype) == (jnp.bfloat16, jnp.int32, jnp.complex64)
    assert out["p"].dtype == jnp.bfloat16
    assert out["none"] is None
    assert fg.tree.cast(x, None) is x


def test_size():
    assert fg.tree.size({"w": jnp.ones((2, 3)), "b": 1.0, "none": None, "empty": jnp.ones((0, 4))}) == 7
    assert fg.tree.size({}) == 0
    assert fg.tree.size({"w": jax.ShapeDtypeStruct((5, 7), jnp.float32)}) == 35


def test_get_finds_fields_attributes_and_keys():
    state = (State({"w": 1.0}, 3), {"inner": [State(2.0)], "rate": 0.25})
    assert fg.tree.get(state, "inner") == [State(2.0)]
    assert fg.tree.get(state, "rate") == 0.25
    assert fg.tree.get(state[0], "mu") == {"w": 1.0}
    assert fg.tree.get(node({"w": 1.0}), "rate") == 0.5
    assert fg.tree.get(State(1.0), "count", default=7) is None  # it is there, and it is None


def test_get_all_with_path_is_in_order_and_outermost_first():
    state = (State({"mu": 1.0}, 3), {"z": [State(2.0)], "mu": 4.0})
    assert fg.tree.get_all_with_path(state, "mu") == [
        ("[0].mu", {"mu": 1.0}),  # what is inside of a hit belongs to it
        ("[1]['mu']", 4.0),
        ("[1]['z'][0].mu", 2.0),
    ]
    assert fg.tree.get_all_with_path(node((node(1.0), 2.0)), "rate") == [(".mu[0].rate", 0.5), (".rate", 0.5)]
    assert fg.tree.get_all_with_path(state, "absent") == []
    assert fg.tree.get_all_with_path(3.0, "mu") == []


def test_get_errors_list_the_paths():
    state = (State(1.0), {"a": State(2.0)})
    with pytest.raises(KeyError) as error:
        fg.tree.get(state, "mu")
    assert error.value.args[0] == (
        "tree.get: `mu` must be in the tree exactly once, but it stands at [0].mu, [1]['a'].mu."
    )
    with pytest.raises(KeyError) as error:
        fg.tree.get(state, "nu")
    assert error.value.args[0] == "tree.get: `nu` must be in the tree exactly once, but it is not there."
    assert fg.tree.get(state, "nu", default=None) is None
    with pytest.raises(KeyError, match="stands at"):
        fg.tree.get(state, "mu", default=None)  # a default does not decide between two


@pytest.mark.parametrize("value", [0.0, 1e-200, 1e200])
def test_norms_of_constants_known_to_the_compiler(x64, value):
    found = jax.jit(lambda x: fg.tree.norm({"a": jnp.full_like(x, value)}))(jnp.ones(4))
    np.testing.assert_allclose(found, 2 * value, rtol=1e-12)
