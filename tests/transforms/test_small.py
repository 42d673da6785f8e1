"""Noise, averages, means taken out, NaN put out, parameters kept from being negative."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def run(tx, grads, params=None):
    """Updates of all steps along the leading axis of `grads`, and the last state."""

    def step(state, g):
        updates, state = tx.update(g, state, params)
        return state, updates

    start = jax.tree.map(lambda g: g[0], grads) if params is None else params
    state, updates = jax.jit(lambda state: jax.lax.scan(step, state, grads))(tx.init(start))
    return updates, state


# --- noise ---


def test_noise_has_the_stated_variance():
    steps, n = 4, 20000
    noise = np.asarray(run(fg.add_noise(0.04, 1.0, 3), jnp.ones((steps, n)))[0]) - 1
    deviation = np.sqrt(0.04 / np.arange(1, steps + 1))
    np.testing.assert_allclose(noise.std(1), deviation, rtol=5 / np.sqrt(2 * n))  # five standard errors
    assert np.all(np.abs(noise.mean(1)) < 5 * deviation / np.sqrt(n))
    correlations = np.corrcoef(noise)[np.triu_indices(steps, 1)]
    assert np.all(np.abs(correlations) < 5 / np.sqrt(n))  # no key is used twice


def test_noise_of_leaves_seeds_and_complex_numbers():
    g = {"a": jnp.zeros((2, 5000)), "b": jnp.zeros((2, 5000)), "z": jnp.zeros((2, 5000), jnp.complex64)}
    updates, state = run(fg.add_noise(1.0, 0.0, 0), g)
    again, _ = run(fg.add_noise(1.0, 0.0, 0), g)
    other, _ = run(fg.add_noise(1.0, 0.0, 1), g)
    assert np.array_equal(updates["a"], again["a"])
    for x, y in ((updates["a"][0], updates["b"][0]), (updates["a"][0], other["a"][0])):
        assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(5000)
    np.testing.assert_allclose(np.mean(np.abs(updates["z"]) ** 2), 1, rtol=0.06)
    assert state.count == 2
    assert (
        fg.add_noise(1.0, 0.5, 0)
        .update(jnp.ones(2, jnp.bfloat16), fg.add_noise(1.0, 0.5, 0).init(jnp.ones(2)))[0]
        .dtype
        == jnp.float32
    )


def test_a_seed_is_an_integer():
    with pytest.raises(TypeError, match=r"^add_noise: `key`: expected an integer, got "):
        fg.add_noise(0.1, 0.5, cast(Any, jax.random.key(0)))


# --- average ---


@pytest.mark.parametrize("debias", [True, False])
def test_average(debias):
    g = np.random.default_rng(0).standard_normal((20, 3))
    weights = 0.8 ** np.arange(20)[::-1]
    updates, state = run(fg.ema(0.8, debias), jnp.asarray(g, jnp.float32))
    for t in (1, 2, 20):
        w = weights[-t:]
        expected = (w @ g[:t]) / (w.sum() if debias else 1 / 0.2)
        np.testing.assert_allclose(updates[t - 1], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.ema, 0.2 * weights @ g, rtol=1e-5, atol=1e-6)


def test_average_of_a_constant():
    for decay in (0.0, 0.9, 1 - 1e-7):
        updates, _ = run(fg.ema(decay), jnp.full((5, 2), 3.0))
        np.testing.assert_allclose(updates, np.full((5, 2), 3.0), rtol=2e-6)
    low = fg.ema(0.9).init(jnp.ones(2, jnp.bfloat16)).ema
    assert low.dtype == jnp.float32
    assert fg.ema(0.9, accumulator_dtype=jnp.bfloat16).init(jnp.ones(2)).ema.dtype == jnp.bfloat16


# --- means ---


def test_means_of_units():
    g = {"k": np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32), "b": np.ones(3, np.float32)}
    for axis, others in ((0, (1, 2)), (-1, (0, 1))):
        updates, _ = fg.centralize(axis).update(g, fg.EmptyState())
        np.testing.assert_allclose(
            updates["k"], g["k"] - g["k"].astype(np.float64).mean(others, keepdims=True), atol=1e-6
        )
        np.testing.assert_allclose(np.mean(updates["k"], others), 0, atol=1e-6)
        assert np.array_equal(updates["b"], g["b"])
    with pytest.raises(ValueError, match=r"^centralize: `unit_axis` must be one of 0, -1, got 1\."):
        fg.centralize(1)


# --- NaN ---


def test_nan_becomes_zero():
    tx, g = (
        fg.zero_nans(),
        {"a": jnp.array([np.nan, np.inf, -2.0]), "b": jnp.ones(2), "z": jnp.array([complex(0, np.nan)])},
    )
    updates, state = tx.update(g, tx.init(g))
    assert updates["a"].tolist() == [0, np.inf, -2]
    assert updates["z"].tolist() == [0]
    assert {k: bool(x) for k, x in state.found_nan.items()} == {"a": True, "b": False, "z": True}
    _, state = tx.update(jax.tree.map(jnp.ones_like, g), state)
    assert not any(jax.tree.leaves(state))


# --- not negative ---


def test_parameters_do_not_become_negative():
    params = {"a": jnp.array([1.0, 0.5, 0.0, -1.0]), "low": jnp.array([0.3], jnp.bfloat16)}
    tx = fg.chain(fg.sgd(1.0), fg.keep_params_nonnegative())
    updates, _ = tx.update({"a": jnp.array([0.25, 2.0, 1.0, 0.0]), "low": jnp.array([0.5])}, tx.init(params), params)
    new = fg.apply_updates(params, updates)
    assert new["a"].tolist() == [0.75, 0, 0, 0]
    assert new["low"].tolist() == [0]
    with pytest.raises(TypeError, match=r"^keep_params_nonnegative\.init: `params\['z'\]` must be real, got complex64"):
        fg.keep_params_nonnegative().init({"z": jnp.ones(2, jnp.complex64)})


def test_least_squares_with_nonnegative_parameters():
    """The solution meets the conditions of Karush, Kuhn and Tucker."""
    rng = np.random.default_rng(1)
    A, b = rng.standard_normal((8, 3)), rng.standard_normal(8)

    def f(x):
        return 0.5 * jnp.sum((jnp.asarray(A, jnp.float32) @ x - jnp.asarray(b, jnp.float32)) ** 2)

    rate = float(1 / np.linalg.norm(A, 2) ** 2)
    x = fg.minimize(f, jnp.ones(3), fg.chain(fg.sgd(rate), fg.keep_params_nonnegative()), max_steps=300).params
    g = A.T @ (A @ np.asarray(x, np.float64) - b)
    assert np.all(np.asarray(x) >= 0)
    assert np.any(np.asarray(x) == 0)
    assert np.all(g[np.asarray(x) == 0] > 0)
    np.testing.assert_allclose(g[np.asarray(x) > 0], 0, atol=1e-4)
