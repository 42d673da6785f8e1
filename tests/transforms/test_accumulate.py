"""Several gradients, one step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform

GRADS = jnp.asarray(np.random.default_rng(0).standard_normal((12, 3)), jnp.float32)


def run(tx, grads, start=None):
    """Updates of all steps, states after each."""
    theta = jnp.ones(grads.shape[1], grads.dtype) if start is None else start

    def step(state, g):
        updates, state = tx.update(g, state, theta)
        return state, (updates, state)

    _, (updates, states) = jax.jit(lambda: jax.lax.scan(step, tx.init(theta), grads))()
    return np.asarray(updates), states


@pytest.mark.parametrize("tx", [fg.MultiSteps(fg.adam(0.1), 2), fg.apply_every(2)], ids=lambda tx: type(tx).__name__)
def test_contract(tx):
    check_transform(tx, dtypes=("float32", "bfloat16"))


def test_k_batches_are_one_large_batch(x64):
    rng = np.random.default_rng(1)
    A, b = jnp.asarray(rng.standard_normal((12, 4, 3))), jnp.asarray(rng.standard_normal((12, 4)))

    def loss(x, A, b):
        return jnp.mean((A @ x - b) ** 2)

    def fit(tx, A, b):
        def step(carry, batch):
            x, state = carry
            updates, state = tx.update(jax.grad(loss)(x, *batch), state, x)
            return (fg.apply_updates(x, updates), state), None

        start = jnp.ones(3)
        return jax.jit(lambda: jax.lax.scan(step, (start, tx.init(start)), (A, b))[0])()

    inner = fg.adamw(fg.linear_schedule(0.1, 0.0, 5), weight_decay=0.1)
    x, state = fit(fg.MultiSteps(inner, 3), A, b)
    large, large_state = fit(inner, A.reshape(4, 12, 3), b.reshape(4, 12))
    np.testing.assert_allclose(x, large, rtol=1e-13)
    for mine, theirs in zip(jax.tree.leaves(state.inner_opt_state), jax.tree.leaves(large_state), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    counts = [int(count) for _, count in fg.tree.get_all_with_path(state, "count")]
    assert counts == [4, 4]  # steps, not batches: of moments, and of the schedule


def test_one_gradient_a_step_changes_nothing():
    inner = fg.sgd(0.1, momentum=0.9)
    np.testing.assert_array_equal(run(fg.MultiSteps(inner, 1), GRADS)[0], run(inner, GRADS)[0])


def test_sum_and_scheduled_length():
    tx = fg.MultiSteps(fg.sgd(1.0), lambda step: step + 1, use_grad_mean=False)
    updates, states = run(tx, GRADS)
    g = np.asarray(GRADS, np.float64)
    for at, window in ((0, g[:1]), (2, g[1:3]), (5, g[3:6]), (9, g[6:10])):
        np.testing.assert_allclose(updates[at], -window.sum(0), rtol=1e-5)
    assert not updates[[1, 3, 4, 6, 7, 8, 10, 11]].any()
    assert states.gradient_step.tolist() == [1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4]
    assert tx.has_updated(states).tolist() == [i in (0, 2, 5, 9) for i in range(12)]


def test_a_bad_gradient_spoils_its_own_sum_only():
    bad = GRADS.at[4, 0].set(np.nan)
    updates, _ = run(fg.MultiSteps(fg.sgd(0.1), 3), bad)
    clean, _ = run(fg.MultiSteps(fg.sgd(0.1), 3), GRADS)
    assert np.isnan(updates[5, 0])
    np.testing.assert_array_equal(updates[6:], clean[6:])
    guarded, states = run(fg.MultiSteps(fg.skip_nonfinite(fg.adam(0.1)), 3), bad)
    without, _ = run(fg.MultiSteps(fg.adam(0.1), 3), jnp.delete(GRADS, jnp.arange(3, 6), axis=0))
    np.testing.assert_allclose(np.delete(guarded, range(3, 6), 0), without, rtol=1e-6)
    assert states.inner_opt_state.skipped[-1] == 1
    last, _ = run(fg.apply_every(3), bad)
    np.testing.assert_array_equal(last[6:], run(fg.apply_every(3), GRADS)[0][6:])


def test_gradients_left_out_do_not_count():
    bad = GRADS.at[1].set(np.inf)
    tx = fg.MultiSteps(fg.sgd(1.0), 2, should_skip_update_fn=fg.skip_not_finite)
    updates, states = run(tx, bad)
    np.testing.assert_allclose(updates[2], -np.asarray(GRADS, np.float64)[[0, 2]].mean(0), rtol=1e-5, atol=1e-7)
    assert states.skip_state["should_skip"].tolist() == [i == 1 for i in range(12)]
    assert states.skip_state["num_not_finite"][1] == 3
    assert states.gradient_step[-1] == 5
    bound = functools.partial(fg.skip_large_updates, max_squared_norm=100.0)
    same = run(fg.MultiSteps(fg.sgd(1.0), 2, should_skip_update_fn=bound), bad)[0]
    np.testing.assert_array_equal(same, updates)


def test_predicates():
    skip, info = fg.skip_not_finite({"a": jnp.array([1.0, np.inf]), "b": jnp.array([np.nan])}, 0, None)
    assert skip
    assert info["num_not_finite"] == 2
    for g, expected in ((4.0, False), (5.0, True), (np.nan, True), (1e30, True)):
        skip, info = fg.skip_large_updates({"a": jnp.array([g, 0.0]), "b": jnp.float32(0)}, 0, None, 25.0)
        assert bool(skip) == expected


def test_accumulators_keep_small_gradients_of_low_precision():
    """In bfloat16 the sum of 256 ones and more would stay at 256."""
    g = jnp.ones((512, 1), jnp.bfloat16)
    updates, states = run(fg.MultiSteps(fg.sgd(1.0), 512, use_grad_mean=False), g)
    assert updates[-1].tolist() == [-512]
    assert states.acc_grads.dtype == jnp.float32


def test_every_k_updates_their_sum():
    updates, states = run(fg.chain(fg.sgd(0.1, momentum=0.9), fg.apply_every(3)), GRADS)
    single, _ = run(fg.sgd(0.1, momentum=0.9), GRADS)
    np.testing.assert_allclose(updates[2::3], single.astype(np.float64).reshape(4, 3, 3).sum(1), rtol=1e-5, atol=1e-7)
    assert not np.delete(updates, range(2, 12, 3), 0).any()
    assert states[1].count.tolist() == [1, 2, 0] * 4


def test_the_rate_of_what_is_inside():
    tx = fg.MultiSteps(fg.sgd(fg.linear_schedule(0.1, 0.0, 10)), 2)
    state = tx.init(jnp.ones(3))
    for g in GRADS[:6]:
        _, state = tx.update(g, state)
    assert float(fg.hyperparameters(tx, state)["opt"]["learning_rate"]) == pytest.approx(0.08)
    with pytest.raises(ValueError, match=r"^MultiSteps: `every_k_schedule` must be in \[1, inf\), got 0"):
        fg.MultiSteps(fg.sgd(0.1), 0)
