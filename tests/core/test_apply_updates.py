"""params + updates: precision, structure, what is refused."""

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg


def test_adds():
    params = {"a": jnp.array([1.0, 2.0]), "b": [jnp.float32(3), None], "empty": jnp.ones((0, 4))}
    updates = {"a": jnp.array([0.5, -1.0]), "b": [jnp.float32(-3), None], "empty": jnp.ones((0, 4))}
    new = fg.apply_updates(params, updates)
    assert new["a"].tolist() == [1.5, 1]
    assert new["b"] == [0.0, None]
    assert new["empty"].shape == (0, 4)
    assert fg.apply_updates({}, {}) == {}
    assert fg.apply_updates(2.0, -0.5) == 1.5


def test_none_leaves_its_parameter_as_it_is():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    new = fg.apply_updates(params, {"a": None, "b": jnp.ones(2)})
    assert new["a"] is params["a"]
    assert new["b"].tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("update_dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_parameters_keep_their_dtype(dtype, update_dtype):
    new = fg.apply_updates(jnp.ones(2, dtype), jnp.full(2, -0.5, update_dtype))
    assert (new.dtype, new.weak_type) == (dtype, False)
    assert new.tolist() == [0.5, 0.5]


def test_rounds_once():
    """Half of the spacing above 1, and a little more: the sum rounds up, unless the little is rounded off first."""
    p, half = jnp.bfloat16(1), 2**-8
    update = jnp.float32(half * (1 + 2**-12))
    assert float(update.astype(jnp.bfloat16)) == half
    assert float(p + update.astype(jnp.bfloat16)) == 1  # a tie, which goes to the even neighbour
    assert float(fg.apply_updates(p, update)) == 1 + 2 * half


def test_double_precision(x64):
    assert fg.apply_updates(jnp.float64(1), jnp.float32(0.5)).dtype == jnp.float64
    assert fg.apply_updates(jnp.float32(1), jnp.float64(0.5)).dtype == jnp.float32
    assert fg.apply_updates(jnp.float64(1), jnp.float64(1e-12)) == 1 + 1e-12
    assert fg.apply_updates(jnp.complex128(1), jnp.float32(0.5)).dtype == jnp.complex128


def test_complex_parameters():
    assert fg.apply_updates(jnp.array([1 + 2j]), jnp.array([1j])).tolist() == [1 + 3j]
    assert fg.apply_updates(jnp.array([1 + 2j]), jnp.array([1.0])).tolist() == [2 + 2j]


def test_under_jit_and_grad():
    assert jax.jit(fg.apply_updates)({"w": 1.0}, {"w": 2.0})["w"] == 3
    assert jax.grad(lambda u: fg.apply_updates(jnp.bfloat16(1), u).astype(jnp.float32))(0.5) == 1


A = jnp.ones(2)


@pytest.mark.parametrize(
    ("params", "updates", "error", "message"),
    [
        ({"a": A, "b": A}, {"a": A}, ValueError, "`updates['b']` must be present, as in params; got nothing there."),
        ({"a": A}, {"a": A, "b": A}, ValueError, "`updates['b']` must be absent, as in params; got "),
        ((A,), [A], ValueError, "`updates` must be of type tuple, as in params; got type list."),
        (
            {"a": A},
            {"a": jnp.ones(3)},
            ValueError,
            "`updates['a']` must be of shape (2,), as in params; got shape (3,).",
        ),
        (
            {"a": A},
            {"a": jnp.ones(())},
            ValueError,
            "`updates['a']` must be of shape (2,), as in params; got shape ().",
        ),
        ({"a": A}, {"a": [1.0, 1.0]}, ValueError, "`updates['a']` must be an array, as in params; got type list."),
        ({"a": {"b": A}}, {"a": A}, ValueError, "`updates['a']` must be of type dict, as in params; got an array."),
        ({"a": None}, {"a": A}, ValueError, "`updates['a']` must be None, as in params; got an array."),
        ({"a": A}, {"a": A * 1j}, TypeError, "`updates['a']` must be real, as in params; got complex64."),
        ({"a": jnp.arange(2)}, {"a": A}, TypeError, "`params['a']` must be a floating or complex array, got int32."),
        ({"a": 3}, {"a": 0.5}, TypeError, "`params['a']` must be a floating or complex array, got int."),
    ],
)
def test_what_does_not_fit_is_refused(params, updates, error, message):
    with pytest.raises(error) as raised:
        fg.apply_updates(params, updates)
    assert str(raised.value).startswith(f"apply_updates: {message}")
