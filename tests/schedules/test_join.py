"""Schedules one after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd import schedules as fs

STEPS = np.arange(40, dtype=np.int32)


def test_each_joined_schedule_counts_from_its_boundary():
    def count(step):
        return step

    schedule = fs.join_schedules([count, lambda t: 100 + t, 7, fs.linear_schedule(1.0, 0.0, 2)], [3, 5, 6])
    assert jax.jit(schedule)(np.arange(10)).tolist() == [0, 1, 2, 100, 101, 7, 1, 0.5, 0, 0]
    assert schedule.schedules[2] == fs.constant_schedule(7)
    assert schedule(4).dtype == np.float32


def test_equal_boundaries_leave_a_schedule_out():
    schedule = fs.join_schedules([1.0, 2.0, 3.0], [4, 4])
    assert schedule(np.arange(3, 6)).tolist() == [1, 3, 3]
    assert fs.join_schedules([1.0, 2.0], [0])(0) == 2


def test_a_joined_schedule_is_never_asked_outside_its_segment():
    def falling(step):
        return jnp.sqrt(4 - jnp.float32(step))  # NaN from 5 on

    def rising(step):
        return jnp.log(1 + jnp.float32(step))  # −∞ at −1

    schedule = fs.join_schedules([falling, rising], [4])
    slope = jax.jit(jax.grad(lambda x: x * fs.join_schedules([lambda t: x * falling(t), rising], [4])(20)))(2.0)
    assert float(slope) == pytest.approx(np.log(17))
    assert np.all(np.isfinite(jax.jit(schedule)(STEPS)))
    assert float(schedule(3)) == 1


def test_joining_is_associative():
    parts = [fs.linear_schedule(0.0, 1.0, 3), fs.cosine_decay_schedule(1.0, 5), fs.exponential_decay(1.0, 2, 0.5)]
    flat = fs.join_schedules(parts, [4, 9])
    nested = fs.join_schedules([parts[0], fs.join_schedules(parts[1:], [5])], [4])
    np.testing.assert_allclose(jax.jit(flat)(STEPS), jax.jit(nested)(STEPS), rtol=1e-6)


def test_warmup_cosine_is_a_join():
    whole = fs.warmup_cosine_decay_schedule(0.1, 1.0, 6, 20, 0.25)
    parts = fs.join_schedules([fs.linear_schedule(0.1, 1.0, 6), fs.cosine_decay_schedule(1.0, 14, 0.25)], [6])
    np.testing.assert_allclose(jax.jit(whole)(STEPS), jax.jit(parts)(STEPS), rtol=1e-6)
