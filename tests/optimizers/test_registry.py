"""What holds for every optimizer, beside the contract: in a guard, with many leaves, with another seed."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.optimizers.registry import CHAPTERS, ROWS
from funcgd.testing import common

PARAMS = {"w": jnp.array([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]]), "a": jnp.array([1.0, -0.5, 0.3])}
GRADS = [jax.tree.map(lambda p, t=t: jnp.cos(3 * p + t), PARAMS) for t in range(4)]
each_row = pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)


def update(tx, g, state):
    return common.update(tx, g, state, PARAMS, {})


def run(tx, grads):
    """All updates and the last state: operation by operation, but for what has loops inside."""
    step = jax.jit(functools.partial(update, tx)) if "value_fn" in common.needs(tx) else functools.partial(update, tx)
    state, updates = tx.init(PARAMS), []
    for g in grads:
        u, state = step(g, state)
        updates.append(u)
    return updates, state


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(jax.tree.map(_raw, tree))]


def _raw(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@each_row
def test_a_skipped_step_leaves_no_trace(row):
    """Bitwise: the state after a bad step, and all updates after it, are those of a run without it."""
    tx = fg.skip_nonfinite(row.example)
    spoilt = [{**g, "a": g["a"].at[1].set(bad)} for g, bad in zip(GRADS, (np.nan, np.inf), strict=False)]
    updates, state = run(tx, [GRADS[0], spoilt[0], GRADS[1], spoilt[1], GRADS[2]])
    clean, clean_state = run(tx, GRADS[:3])
    assert bits(updates[::2]) == bits(clean)
    assert not any(np.asarray(u).any() for u in jax.tree.leaves(updates[1::2]))
    assert bits(state.inner_state) == bits(clean_state.inner_state)
    assert (int(state.skipped), int(state.consecutive), int(clean_state.skipped)) == (2, 0, 0)
    unguarded = run(row.example, GRADS[:3])[0]  # a guard without bad steps changes nothing
    if "value_fn" in common.needs(tx):  # though what is compiled together may round otherwise
        chex.assert_trees_all_close(clean, unguarded, rtol=1e-5)
    else:
        assert bits(clean) == bits(unguarded)


@pytest.mark.parametrize("row", [rows[0] for rows in CHAPTERS.values()], ids=lambda row: row.name)
def test_a_thousand_leaves(row):
    """One row of each chapter; the contract traces all of them with a hundred leaves."""
    params = [jax.ShapeDtypeStruct((2, 2), jnp.float32)] * 1000

    def once(grads, params):
        return common.update(row.example, grads, row.example.init(params), params, {})[0]

    assert jax.tree.map(lambda u: (u.shape, u.dtype), jax.eval_shape(once, params, params)) == [
        ((2, 2), jnp.float32)
    ] * len(params)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.stochastic], ids=lambda row: row.name)
def test_noise_is_that_of_the_seed(row):
    """The same seed, the same noise; another one, another."""
    name = "seed" if hasattr(row.example, "seed") else "key"
    same, again = (run(row.example, GRADS)[0] for _ in range(2))
    other, _ = run(dataclasses.replace(row.example, **{name: getattr(row.example, name) + 1}), GRADS)
    assert bits(same) == bits(again)
    assert bits(same) != bits(other)
