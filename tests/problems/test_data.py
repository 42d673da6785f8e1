"""Bundled data, and splits that lose and repeat nothing."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.problems import breast_cancer, digits, split

KEY = jax.random.key(0)


def test_digits():
    data = digits()
    assert data["x"].shape == (1797, 64)
    assert (data["x"].dtype, data["y"].dtype) == (np.float32, np.int32)
    assert (data["x"].min(), data["x"].max()) == (0, 1)
    np.testing.assert_array_equal(np.unique(data["y"]), np.arange(10))


def test_breast_cancer():
    data = breast_cancer()
    assert data["x"].shape == (569, 30)
    assert (data["x"].dtype, data["y"].dtype) == (np.float32, np.int32)
    x = data["x"].astype(np.float64)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-6)
    np.testing.assert_array_equal(np.bincount(data["y"]), [212, 357])
    assert np.corrcoef(x[:, 0], data["y"])[0, 1] < -0.7  # benign tumours are small


@pytest.mark.parametrize("load", [digits, breast_cancer])
def test_without_scikit_learn(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=rf"{load.__name__}: needs scikit-learn; .*pip install funcgd\[examples\]"):
        load()


DATA = {"x": np.arange(22.0, dtype=np.float32).reshape(11, 2), "y": (np.arange(11, dtype=np.int32), None)}


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ((0.6, 0.2, 0.2), [7, 2, 2]),
        ([5, 6], [5, 6]),
        ([11], [11]),
        ([0.5, 0.5], [6, 5]),
        (np.array([1, 2, 3, 5]), [1, 2, 3, 5]),
    ],
)
def test_an_exact_partition(sizes, counts):
    parts = split(DATA, KEY, sizes)
    assert [len(part["y"][0]) for part in parts] == counts
    y = np.concatenate([part["y"][0] for part in parts])
    np.testing.assert_array_equal(np.sort(y), np.arange(11))
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in parts]), DATA["x"][y])
    assert parts[0]["x"].dtype == np.float32
    assert parts[0]["y"][1] is None
    assert len(counts) == 1 or not np.array_equal(y, np.arange(11))


def test_keys_differ_and_repeat():
    first, again, other = (np.asarray(split(DATA, jax.random.key(k))[0]["y"][0]) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_may_vmap_over_keys_and_jit():
    keys = jax.random.split(KEY, 3)
    parts = jax.jit(jax.vmap(lambda key: split(DATA, key)))(keys)
    assert [part["y"][0].shape for part in parts] == [(3, 7), (3, 2), (3, 2)]
    for i in range(3):
        for part, alone in zip(parts, split(DATA, keys[i]), strict=True):
            np.testing.assert_array_equal(part["x"][i], alone["x"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DATA, 0), r"split: `key` must be one random key"),
        ((DATA, KEY, [5, 5]), r"split: `sizes` must sum to 11, the number of examples, got 10"),
        ((DATA, KEY, [0.5, 0.4]), r"split: `sizes` must sum to 1, got 0.9"),
        ((DATA, KEY, [5, 0.5]), r"split: `sizes` must be all whole numbers or all fractions"),
        ((DATA, KEY, [11, 0]), r"split: `sizes` must give every part at least one of the 11 examples"),
        ((DATA, KEY, [0.99, 0.01]), r"split: `sizes` must give every part at least one"),
        ((DATA, KEY, [12, -1]), r"split: `sizes` must give every part at least one"),
        ((DATA, KEY, ["all"]), r"split: `sizes` must be a list of numbers"),
        ((DATA, KEY, []), r"split: `sizes` must be a list of numbers"),
        (({"x": jnp.ones(3), "y": jnp.ones(4)}, KEY), r"split: .*`data\['x'\]` has 3 and `data\['y'\]` has 4"),
        (({"x": 1.0}, KEY), r"split: `data\['x'\]` must have a leading axis over the examples, got a scalar"),
        (({}, KEY), r"split: `data` must hold at least one array"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        split(*arguments)
