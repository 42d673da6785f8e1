"""Lifting a rule for one leaf: precision, slots, structure."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg

H = SimpleNamespace(rate=0.5)


def test_without_slots():
    grads = {"a": jnp.full(2, 3.0), "b": (jnp.float32(1), None), "empty": jnp.ones((0, 4))}
    out = fg.lift(lambda h, g: -h.rate * g, H, grads)
    assert out["a"].tolist() == [-1.5, -1.5]
    assert out["b"] == (-0.5, None)
    assert out["empty"].shape == (0, 4)
    assert fg.lift(lambda h, g: g, H, {}) == {}


def test_slots_and_what_is_only_read():
    def rule(h, g, m, v, p):
        return g + p, m + g, v * 2

    grads, m, v, p = (2.0,), (jnp.float32(10),), (jnp.float32(100),), (jnp.float32(1000),)
    assert fg.lift(rule, H, grads, m, v, read=(p,)) == ((1002.0,), (12.0,), (200.0,))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_rules_see_at_least_float32_and_slots_keep_their_dtype(dtype):
    seen = []

    def rule(h, g, m, p):
        seen.append((g.dtype, m.dtype, p.dtype, h.rate if isinstance(h.rate, float) else h.rate.dtype))
        return g, m + g

    x = jnp.ones(2, dtype)
    for rate in (0.5, jnp.bfloat16(0.5)):
        u, m = fg.lift(rule, SimpleNamespace(rate=rate), x, x, read=(x,))
        assert u.dtype == jnp.float32
        assert m.dtype == dtype
    assert seen == [(jnp.float32,) * 3 + (0.5,), (jnp.float32,) * 4]


def test_half_precision_slots_are_rounded_once():
    """1 + 2⁻⁹ is no bfloat16: the update carries it, the slot stores its rounding."""
    u, m = fg.lift(lambda h, g, m: (m + g, m + g), H, jnp.float32(2**-9), jnp.bfloat16(1))
    assert u == 1 + 2**-9
    assert m == 1


def test_slots_are_never_weak():
    _, m = fg.lift(lambda h, g, m: (g, 0.5), H, 1.0, jnp.float32(1))
    assert (m.dtype, m.weak_type) == (jnp.float32, False)


def test_each_leaf_in_its_own_precision(x64):
    grads = {"d": jnp.ones(1), "s": jnp.ones(1, jnp.float32), "p": jnp.ones(1, jnp.float32), "c": jnp.ones(1, complex)}
    read = {"d": jnp.ones(1), "s": jnp.ones(1, jnp.float32), "p": jnp.ones(1), "c": jnp.ones(1, complex)}
    seen = {}

    def rule(h, g, p):
        seen[len(seen)] = (g.dtype, p.dtype, h.rate.dtype)
        return h.rate * g

    out = fg.lift(rule, SimpleNamespace(rate=jnp.float32(0.5)), grads, read=(read,))
    assert {name: x.dtype for name, x in out.items()} == {
        "c": jnp.complex128,
        "d": jnp.float64,
        "p": jnp.float64,  # a float32 gradient of a float64 parameter
        "s": jnp.float32,
    }
    assert [rate for _, _, rate in seen.values()] == [jnp.float64, jnp.float64, jnp.float64, jnp.float32]


def test_complex_leaves_meet_real_numbers_and_real_slots():
    """Strict promotion, which is on in these tests, would refuse complex64 · float32."""

    def rule(h, g, v):
        return h.rate * g / v, v + jnp.abs(g)

    u, v = fg.lift(rule, SimpleNamespace(rate=jnp.float32(0.5)), jnp.array([3 + 4j]), jnp.array([2.0]))
    assert u.tolist() == [0.75 + 1j]
    assert v.tolist() == [7]
    assert v.dtype == jnp.float32


def test_numbers_in_other_precisions_are_cast(x64):
    u = fg.lift(lambda h, g: h.rate * g, SimpleNamespace(rate=jnp.float64(0.5)), jnp.ones(2, jnp.bfloat16))
    assert u.dtype == jnp.float32


def test_under_jit_and_grad():
    f = jax.jit(lambda h, g: fg.lift(lambda h, g: h.rate * g, SimpleNamespace(rate=h), g))
    assert f(0.5, {"w": jnp.float32(4)})["w"] == 2
    assert jax.grad(lambda h: f(h, {"w": jnp.float32(4)})["w"])(0.5) == 4


def test_trees_that_differ_are_refused():
    with pytest.raises(ValueError, match="b"):
        fg.lift(lambda h, g, m: (g, m), H, {"a": 1.0, "b": 1.0}, {"a": jnp.ones(())})
