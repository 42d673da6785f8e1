"""Transforms that act at some steps only, and one that fails when too many are bad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform


def odd(step):
    return step % 2 == 1


def run(tx, grads, **extra):
    def step(state, g):
        updates, state = tx.update(g, state, jnp.ones(2), **extra)
        return state, updates

    state, updates = jax.jit(lambda: jax.lax.scan(step, tx.init(jnp.ones(2)), grads))()
    return np.asarray(updates), state


GRADS = jnp.asarray(np.random.default_rng(0).standard_normal((6, 2)), jnp.float32)
INNER = fg.sgd(fg.linear_schedule(0.5, 0.1, 4), momentum=0.9)


@pytest.mark.parametrize(
    "tx",
    [
        fg.conditionally_mask(fg.adam(0.1), odd),
        fg.conditionally_transform(fg.trace(0.9), odd),
        fg.apply_if_finite(fg.adam(0.1), 2),
    ],
    ids=lambda tx: type(tx).__name__,
)
def test_contract(tx):
    finite = isinstance(tx, fg.apply_if_finite)
    dtype = "bfloat16" if finite else "float32"
    check_transform(tx, dtypes=(dtype,), elementwise=not finite, leafwise=not finite, code=finite)


def test_the_inner_knows_of_its_own_steps_only():
    """Moments and schedule are those of a run over the gradients at which it acted."""
    alone, alone_state = run(INNER, GRADS[1::2])
    for tx, between in (
        (fg.conditionally_mask(INNER, odd), 0 * GRADS),
        (fg.conditionally_transform(INNER, odd), GRADS),
    ):
        updates, state = run(tx, GRADS)
        np.testing.assert_array_equal(updates[1::2], alone)
        np.testing.assert_array_equal(updates[::2], between[::2])
        assert state.step == 6
        jax.tree.map(np.testing.assert_array_equal, state.inner_state, alone_state)


def test_conditions_on_extras():
    def large(step, *, value, **extra):
        return value > 1

    tx = fg.conditionally_mask(fg.sgd(1.0), large, forward_extra_args=True)
    for loss, expected in ((2.0, -1.0), (0.5, 0.0)):
        assert tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=jnp.float32(loss))[0].tolist() == [expected] * 2
    with pytest.raises(
        ValueError, match=r"^conditionally_mask: `should_transform_fn` must return one boolean, got shape"
    ):
        run(fg.conditionally_mask(fg.sgd(1.0), lambda step: jnp.ones(2, bool)), GRADS)


def test_what_is_not_due_is_not_computed():
    calls = []

    def update(grads, state, params=None):
        jax.debug.callback(lambda: calls.append(1))
        return grads, state

    run(fg.conditionally_mask(fg.GradientTransformation(lambda params: (), update), odd), GRADS)
    jax.effects_barrier()
    assert len(calls) == 3


def test_too_many_bad_gradients_in_a_row_show_and_spoil_no_state():
    bad = GRADS.at[jnp.array([1, 2, 3]), 0].set(jnp.array([np.nan, np.inf, np.nan]))
    updates, state = run(fg.apply_if_finite(INNER, 2), bad)
    good, good_state = run(INNER, jnp.delete(GRADS, jnp.array([1, 2, 3]), axis=0))
    np.testing.assert_array_equal(updates[[0, 4, 5]], good)
    np.testing.assert_array_equal(updates[[1, 2]], np.zeros((2, 2)))
    assert np.isnan(updates[3]).all()
    jax.tree.map(np.testing.assert_array_equal, state.inner_state, good_state)
    assert (int(state.notfinite_count), bool(state.last_finite), int(state.total_notfinite)) == (0, True, 3)
    with pytest.raises(ValueError, match=r"^apply_if_finite: `max_consecutive_errors`: expected at least 0, got -1"):
        fg.apply_if_finite(INNER, -1)
