"""What is measured of updates inside a chain."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform

PARAMS = {"w": jnp.ones((2, 2)), "low": jnp.ones(2, jnp.bfloat16)}
GRADS = {"w": jnp.full((2, 2), 3.0), "low": jnp.full(2, 4.0, jnp.bfloat16)}


def largest(updates):
    return {"per_leaf": jax.tree.map(lambda u: jnp.max(jnp.abs(u)), updates)}


@pytest.mark.parametrize(
    "tx",
    [
        fg.snapshot("norm", fg.tree.norm),
        fg.monitor({"norm": fg.tree.norm}),
        fg.monitor({"norm": fg.measure_with_ema(fg.tree.norm, 0.9)}),
    ],
    ids=["snapshot", "monitor", "averages"],
)
def test_contract(tx):
    """They hand on what they get, so low-precision updates stay as they are; names of measures are not top-level."""
    check_transform(tx, dtypes=("float32",), code=False)


def test_updates_pass_and_norms_are_seen_before_and_after():
    seen = {"norm": fg.tree.norm}
    tx = fg.named_chain(
        ("before", fg.monitor(seen)), ("clip", fg.clip_by_global_norm(1.0)), ("after", fg.monitor(seen))
    )
    state = tx.init(PARAMS)
    assert float(state["before"].measurements["norm"]) == 0
    updates, state = jax.jit(tx.update)(GRADS, state)
    expected = np.sqrt(4 * 9 + 2 * 16)
    np.testing.assert_allclose(state["before"].measurements["norm"], expected, rtol=1e-6)
    np.testing.assert_allclose(state["after"].measurements["norm"], 1, rtol=1e-6)
    np.testing.assert_allclose(updates["w"], 3 / expected, rtol=1e-6)


def test_measures_may_be_trees_of_low_precision():
    tx = fg.snapshot("largest", largest)
    state = tx.init(PARAMS)
    for grads in (GRADS, jax.tree.map(lambda g: g.astype(jnp.float32), GRADS)):
        updates, state = tx.update(grads, state)
        assert updates is grads
        found = state.measurement["largest"]["per_leaf"]
        assert {name: float(x) for name, x in found.items()} == {"w": 3, "low": 4}
        assert found["low"].dtype == jnp.bfloat16  # the state is a fixed point


@pytest.mark.parametrize("debias", [True, False])
def test_averages_of_measures(debias):
    g = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    tx = fg.monitor({"norm": fg.tree.norm, "mean": fg.measure_with_ema(fg.tree.norm, 0.8, debias)})

    def step(state, g):
        return tx.update(g, state)[1], state.measurements

    state, seen = jax.jit(lambda state: jax.lax.scan(step, state, jnp.asarray(g)))(tx.init(jnp.zeros(3)))
    assert {name: float(x[0]) for name, x in seen.items()} == {"norm": 0, "mean": 0}  # before the first update
    norms, weights = np.linalg.norm(np.float64(g), axis=1), 0.8 ** np.arange(20)[::-1]
    for t in (1, 2, 19):
        w = weights[-t:]
        expected = w @ norms[:t] / (w.sum() if debias else 1 / 0.2)
        np.testing.assert_allclose(seen["mean"][t], expected, rtol=1e-5)
    np.testing.assert_allclose(state.measurements["norm"], norms[-1], rtol=1e-6)
    assert int(state.count) == 20


def test_averages_of_trees_and_booleans_in_their_dtypes():
    def large(updates):
        return jax.tree.map(lambda u: jnp.max(jnp.abs(u)) > 3.5, updates)

    tx = fg.monitor(
        {
            "often": fg.measure_with_ema(large, 1 - 1e-7),
            "low": fg.measure_with_ema(largest, 0.5, accumulator_dtype=jnp.bfloat16),
        }
    )
    state = tx.init(PARAMS)
    for _ in range(3):
        _, state = tx.update(GRADS, state)
    assert {name: float(x) for name, x in state.measurements["often"].items()} == {"w": 0.0, "low": 1.0}
    assert {x.dtype.name for x in jax.tree.leaves(state.measurements["often"])} == {"float32"}
    assert {x.dtype.name for x in jax.tree.leaves(state.measurements["low"])} == {"bfloat16"}
    assert fg.monitor({"norm": fg.tree.norm}).init(PARAMS).count is None
    with pytest.raises(ValueError, match=r"^measure_with_ema: `decay` must be in \[0, 1\), got 1\.0"):
        fg.measure_with_ema(largest, 1.0)


def test_measures_are_functions_by_name():
    assert fg.monitor({"n": largest}) == fg.monitor({"n": largest})
    with pytest.raises(
        TypeError, match=r"^monitor: `measures`: expected a mapping name → function of the updates, got 3"
    ):
        fg.monitor(3)
    with pytest.raises(TypeError, match=r"^with_extra_args_support: expected a transform"):
        fg.with_extra_args_support(3)
    foreign = fg.with_extra_args_support((lambda params: (), lambda grads, state, params=None: (grads, state)))
    assert foreign.update(cast(Any, 1.0), foreign.init(1.0), value=2.0) == (1.0, ())
