"""Entries of trees, random trees, norms of other orders, and replacing by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

X = {"a": jnp.float32([1, -2]), "b": (jnp.float32(4), None)}


def test_entries():
    assert fg.tree.clip(X, -1, 3)["a"].tolist() == [1, -1]
    assert float(fg.tree.clip(X, max_value=jnp.float64(3) if jax.config.jax_enable_x64 else 3.0)["b"][0]) == 3
    assert fg.tree.clip({"w": jnp.bfloat16([5])}, max_value=jnp.float32(2))["w"].dtype == jnp.bfloat16
    z = {"z": jnp.complex64([1 + 2j]), "x": jnp.ones(1)}
    assert fg.tree.conj(z)["z"].tolist() == [1 - 2j]
    assert fg.tree.real(z)["z"].tolist() == fg.tree.conj(z)["x"].tolist() == [1]
    assert fg.tree.cast_like(X, {"a": jnp.zeros(2, jnp.float16), "b": (jnp.int32(0), None)})["b"][0].dtype == jnp.int32


def test_extremes():
    assert (float(fg.tree.max(X)), float(fg.tree.min(X))) == (4, -2)
    assert (float(fg.tree.max({})), float(fg.tree.min({"w": jnp.zeros((0, 2))}))) == (-np.inf, np.inf)
    assert np.isnan(fg.tree.max({"w": jnp.float32([1, np.nan]), "b": jnp.float16(3)}))


def test_closeness():
    near = jax.tree.map(lambda a: a * (1 + 1e-6), X)
    assert bool(fg.tree.allclose(X, near))
    assert not bool(fg.tree.allclose(X, near, rtol=1e-8))
    nan = {"w": jnp.float32(np.nan)}
    assert not bool(fg.tree.allclose(nan, nan))
    assert bool(fg.tree.allclose(nan, nan, equal_nan=True))
    assert bool(fg.tree.allclose({}, {}))


def test_sums_and_norms():
    assert fg.tree.add(X, X, X)["a"].tolist() == [3, -6]
    assert (float(fg.tree.norm(X, 1)), float(fg.tree.norm(X, "inf")), float(fg.tree.norm(X, np.inf))) == (7, 4, 4)
    np.testing.assert_allclose(fg.tree.norm(X, squared=True), 21, rtol=1e-6)
    assert float(fg.tree.norm(X, 1, squared=True)) == 49
    assert fg.tree.norm({"w": jnp.ones(2048, jnp.float16)}, 1) == 2048
    with pytest.raises(ValueError, match=r"tree\.norm: `ord` must be None, 1, 2 or ∞, got 3"):
        fg.tree.norm(X, 3)


def test_random_trees():
    key = jax.random.key(0)
    x = {"a": jnp.zeros(500), "b": (jnp.zeros(500, jnp.float16), None)}
    noise = fg.tree.random_like(key, x)
    assert noise["b"][0].dtype == jnp.float16
    a, b = np.float64(noise["a"]), np.float64(noise["b"][0])
    assert abs(a.mean()) < 0.2 > abs(np.corrcoef(a, b)[0, 1])
    signs = fg.tree.random_like(key, x, jax.random.rademacher, jnp.int8)
    assert set(np.unique(signs["a"])) == {-1, 1}
    keys = fg.tree.split_key_like(key, x)
    assert len({tuple(np.asarray(k)) for k in jax.tree.leaves(fg.tree.unwrap_random_key_data(keys))}) == 2
    assert fg.tree.random_like(key, {}) == {}
    for function in (fg.tree.random_like, fg.tree.split_key_like):
        with pytest.raises(TypeError, match=f"{function.__name__}: `key` must be one random key"):
            function(0, x)


def test_replacing_by_name():
    state = fg.chain(fg.adam(0.1), fg.clip(1.0)).init({"mu": jnp.ones(2), "w": jnp.ones(2)})
    found = fg.tree.set(state, count=jnp.int32(7), nu=None)
    assert int(fg.tree.get(found, "count")) == 7
    assert fg.tree.get(found, "nu") is None
    assert type(found) is type(state)
    assert jax.tree.structure(fg.tree.set(state, count=jnp.int32(7))) == jax.tree.structure(state)
    tx = fg.tree.set(fg.sgd(0.1), learning_rate=0.5)
    assert tx == fg.sgd(0.5)
    assert fg.tree.set({"a": [{"a": 1}, {"b": 2}]}, b=3) == {"a": [{"a": 1}, {"b": 3}]}
    with pytest.raises(KeyError, match=r"tree\.set: `momentun` must be in the tree"):
        fg.tree.set(state, momentun=1)
