"""Multiplying updates by a number or a schedule, and what all transforms share: dtypes, trees, counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def falling(step):
    """1, 1/2, 1/4, … by the step."""
    return 0.5 ** step.astype(jnp.float32)


def close_to_schedule(step):
    """A schedule that stays in [0, 1) also at the first step."""
    return 0.5 / (1 + step.astype(jnp.float32))


# Every transform of this folder, with a number and with a schedule in its place.
CONSTANT = [
    fg.scale(-0.5),
    fg.scale_by_learning_rate(0.5),
    fg.clip(0.5),
    fg.clip_by_global_norm(0.5),
    fg.normalize_by_update_norm(0.5),
    fg.trace(0.5),
    fg.trace(0.5, nesterov=True),
    fg.add_decayed_weights(0.5),
    fg.add_decayed_weights(0.5, mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params)),
]
SCHEDULED = [
    fg.scale(close_to_schedule),
    fg.scale_by_learning_rate(close_to_schedule),
    fg.clip(close_to_schedule),
    fg.clip_by_global_norm(close_to_schedule),
    fg.normalize_by_update_norm(close_to_schedule),
    fg.trace(close_to_schedule),
    fg.add_decayed_weights(close_to_schedule),
]
EVERY = CONSTANT + SCHEDULED


def tree(dtype):
    return {
        "w": jnp.full((2, 3), -2, dtype),
        "b": (jnp.ones((), dtype), None),
        "empty": jnp.zeros((0, 4), dtype),
    }


def avals(x):
    return jax.tree.map(lambda a: (a.shape, a.dtype, a.weak_type), x)


# --- scale ---


def test_scale():
    tx = fg.scale(-0.5)
    assert tx.init(tree("float32")) == fg.EmptyState()
    updates, state = tx.update({"w": jnp.array([4.0, -2.0])}, fg.EmptyState())
    assert updates["w"].tolist() == [-2, 1]
    assert state == fg.EmptyState()
    assert fg.scale(0).update(3.0, fg.EmptyState())[0] == 0


def test_scale_by_schedule_is_scale():
    assert fg.scale_by_schedule(falling) == fg.scale(falling)


def test_scale_by_learning_rate_descends():
    assert fg.scale_by_learning_rate(0.5).update(4.0, fg.EmptyState())[0] == -2
    assert fg.scale_by_learning_rate(0.5, flip_sign=False).update(4.0, fg.EmptyState())[0] == 2
    assert repr(fg.scale_by_learning_rate(0.5)) == "scale_by_learning_rate(learning_rate=0.5)"
    with pytest.raises(ValueError, match=r"^scale_by_learning_rate: `learning_rate` must be in \[0, inf\), got -0\.1"):
        fg.scale_by_learning_rate(-0.1)


@pytest.mark.parametrize("make", [fg.scale, fg.scale_by_learning_rate])
def test_the_first_update_uses_the_schedule_at_zero(make):
    tx, sign = make(falling), 1 if make is fg.scale else -1
    state = tx.init(0.0)
    assert state == fg.ScaleByScheduleState(jnp.int32(0))
    for k in range(4):
        updates, state = tx.update(jnp.float32(8), state)
        assert updates == sign * 8 * 0.5**k
        assert state.count == k + 1


def test_the_schedule_sees_the_count_exactly_beyond_float32():
    tx = fg.scale(lambda step: (step - 2**24).astype(jnp.float32))
    updates, state = tx.update(1.0, fg.ScaleByScheduleState(jnp.int32(2**24 + 1)))
    assert updates == 1
    assert state.count == 2**24 + 2
    _, state = tx.update(1.0, fg.ScaleByScheduleState(jnp.int32(2**31 - 1)))
    assert state.count == 2**31 - 1


def test_hyperparameters_do_not_recompile():
    traces = []

    @jax.jit
    def update(tx, grads):
        traces.append(None)
        return tx.update(grads, tx.init(grads))[0]

    assert [update(fg.scale(s), 2.0) for s in (0.5, jnp.float32(3), 2)] == [1, 6, 4]
    assert len(traces) == 1


# --- what all transforms share ---


@pytest.mark.parametrize("tx", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_updates_are_float32_and_states_are_fixed_points(tx, dtype):
    params = tree(dtype)
    state = tx.init(params)
    updates, new = jax.eval_shape(tx.update, params, state, params)
    assert avals(new) == avals(jax.eval_shape(tx.init, params)) == avals(state)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert [(u.shape, u.dtype) for u in jax.tree.leaves(updates)] == [
        (p.shape, jnp.float32) for p in jax.tree.leaves(params)
    ]


@pytest.mark.parametrize("tx", EVERY, ids=repr)
def test_double_precision_stays_double(x64, tx):
    for dtype, wide in (("float64", "float64"), ("float32", "float32"), ("complex128", "complex128")):
        params = tree(dtype)
        state = tx.init(params)
        updates, new = jax.eval_shape(tx.update, params, state, params)
        assert {u.dtype for u in jax.tree.leaves(updates)} == {np.dtype(wide)}
        assert avals(new) == avals(state)


@pytest.mark.parametrize("tx", EVERY, ids=repr)
def test_leaves_of_different_precision_do_not_mix(x64, tx):
    params = {"s": jnp.ones((1, 1), jnp.float32), "d": jnp.ones((1, 1)), "z": jnp.ones((1, 1), jnp.complex64)}
    updates, _ = jax.eval_shape(tx.update, params, tx.init(params), params)
    assert {name: u.dtype for name, u in updates.items()} == {"s": "float32", "d": "float64", "z": "complex64"}


@pytest.mark.parametrize("tx", CONSTANT, ids=repr)
def test_zero_gradients_at_zero_parameters_give_exactly_zero(tx):
    for dtype in ("float32", "float16"):
        zero = fg.tree.zeros_like(tree(dtype))
        updates, _ = tx.update(zero, tx.init(zero), zero)
        assert all((np.asarray(u) == 0).all() for u in jax.tree.leaves(updates))


@pytest.mark.parametrize("tx", CONSTANT, ids=repr)
def test_trees_without_leaves(tx):
    for nothing in ({}, (), {"a": None}):
        updates, _ = tx.update(nothing, tx.init(nothing), nothing)
        assert updates == nothing


def test_states_do_not_alias_the_parameters():
    for tx in EVERY:
        params = tree("float32")
        theirs = {p.unsafe_buffer_pointer() for p in jax.tree.leaves(params) if p.size}
        mine = {s.unsafe_buffer_pointer() for s in jax.tree.leaves(tx.init(params)) if s.size}
        assert not theirs & mine, tx


@pytest.mark.parametrize("tx", EVERY, ids=repr)
def test_numbers_may_be_traced_with_complex_leaves(tx):
    """As under vmap over a population; strict promotion, on in these tests, forbids complex64 · float32."""
    params = {"z": jnp.array([[3 + 4j]]), "w": jnp.ones(2)}
    updates, _ = jax.eval_shape(lambda tx: tx.update(params, tx.init(params), params), tx)
    assert {name: u.dtype for name, u in updates.items()} == {"z": "complex64", "w": "float32"}
