"""Schedules count the steps of what they are in: the first update is that of schedule(0), in any wrapper."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

INNER = fg.sgd(fg.exponential_decay(0.5, 1, 0.5))
RATES = [0.5, 0.25, 0.125]
GROUPS = {"a": fg.sgd(0.0), "w": INNER}

WRAPPERS = {
    "alone": (INNER, RATES),
    "chain": (fg.chain(fg.clip(10.0), INNER), RATES),
    "named_chain": (fg.named_chain(("step", INNER)), RATES),
    "skip_nonfinite": (fg.skip_nonfinite(INNER), RATES),
    "skip_spikes": (fg.skip_spikes(INNER), RATES),
    "apply_if_finite": (fg.apply_if_finite(INNER, 2), RATES),
    "flatten": (fg.flatten(INNER), RATES),
    "masked": (fg.masked(INNER, {"w": True, "a": False}, "zero"), RATES),
    "partition": (fg.partition(GROUPS, {"w": "w", "a": "a"}), RATES),
    "conditionally_transform": (fg.conditionally_transform(INNER, lambda step: step >= 0), RATES),
    "conditionally_mask": (fg.conditionally_mask(INNER, lambda step: step != 1), [0.5, 0, 0.25]),
    "MultiSteps": (fg.MultiSteps(INNER, 2), [0, 0.5, 0, 0.25, 0, 0.125]),
    "MultiSteps of one": (fg.MultiSteps(INNER, 1), RATES),
    "before a plateau": (fg.chain(INNER, fg.reduce_on_plateau(0.5, 10)), RATES),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_first_update_is_that_of_step_zero(name):
    tx, rates = WRAPPERS[name]
    params = {"w": jnp.zeros(2), "a": jnp.zeros(())}
    state, found = tx.init(params), []
    for _ in rates:
        updates, state = tx.update({"w": jnp.ones(2), "a": jnp.ones(())}, state, params, value=jnp.float32(1))
        found.append(float(updates["w"][0]))
    np.testing.assert_allclose(found, [-rate for rate in rates])


def test_a_skipped_step_does_not_count():
    tx = fg.skip_nonfinite(INNER)
    state, found = tx.init(0.0), []
    for g in (1.0, np.nan, 1.0):
        u, state = tx.update(g, state)
        found.append(float(u))
    assert found == [-0.5, 0.0, -0.25]
