"""Clipping by parts: leaves, units and examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

MAX = float(np.finfo(np.float32).max)


def draw(*shape, seed=0, size=1.0):
    return (size * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def apply(tx, grads, params=None):
    return tx.update(grads, tx.init(grads), params)[0]


# --- by the root mean square of a leaf ---


def test_each_leaf_has_its_own_root_mean_square():
    grads = {"a": draw(4, 3, size=5), "b": (draw(7, size=0.1, seed=1), None), "c": jnp.float32(-9), "d": draw(0, 2)}
    updates = apply(fg.clip_by_block_rms(2.0), grads)
    for u, g in zip(jax.tree.leaves(updates), jax.tree.leaves(grads), strict=True):
        g = np.asarray(g, np.float64)
        rms = np.sqrt(np.mean(g**2)) if g.size else 0.0
        np.testing.assert_allclose(u, g / max(1.0, rms / 2), rtol=1e-6)
    assert np.array_equal(updates["b"][0], grads["b"][0])  # within the bound, to the last bit


@pytest.mark.parametrize("size", [1e-36, 1e-30, 1e20, MAX])
def test_mean_squares_stay_in_range(size):
    g = size * np.array([1, -0.5, 0.25, 1], np.float32)
    rms = np.sqrt(np.mean(g.astype(np.float64) ** 2))
    np.testing.assert_allclose(apply(fg.clip_by_block_rms(rms / 4), jnp.asarray(g)), g / 4, rtol=2e-6)


def test_edges_of_the_root_mean_square():
    assert apply(fg.clip_by_block_rms(0.0), jnp.array([0.0, 2.0])).tolist() == [0, 0]
    assert apply(fg.clip_by_block_rms(0.0), jnp.zeros(2)).tolist() == [0, 0]
    for bad in (np.nan, np.inf):
        updates = apply(fg.clip_by_block_rms(1.0), {"a": jnp.array([bad, 1.0]), "b": jnp.ones(2)})
        assert np.isnan(updates["a"]).all()
        assert updates["b"].tolist() == [1, 1]
    z = apply(fg.clip_by_block_rms(2.5), jnp.array([6 + 8j, 0]))
    np.testing.assert_allclose(z, np.array([6 + 8j, 0]) * 2.5 / np.sqrt(50), rtol=1e-6)
    assert jax.grad(lambda g: apply(fg.clip_by_block_rms(0.0), g)[0])(jnp.zeros(2)).tolist() == [1, 0]
    # u₁ = d√2·g₁/‖g‖ at g = (3, 4): its derivative is d√2·(g₂², −g₁g₂)/‖g‖³
    slope = jax.grad(lambda g: apply(fg.clip_by_block_rms(1.0), g)[0])(jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(slope, np.sqrt(2) * np.array([16, -12]) / 125, rtol=1e-5)


# --- by units ---


def adaptive(g, p, clipping, eps, axes):
    """Formula (3) of Brock et al. (2021)."""
    g, p = np.asarray(g, np.float64), np.asarray(p, np.float64)
    longest = clipping * np.maximum(np.sqrt((p**2).sum(axes, keepdims=True)), eps)
    norm = np.sqrt((g**2).sum(axes, keepdims=True))
    return np.where(norm > longest, g * longest / np.where(norm == 0, 1, norm), g)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((), ()), ((5,), (0,)), ((1, 5), (0, 1)), ((4, 3), (0,)), ((4, 3, 2), (0,)), ((2, 2, 3, 4), (0, 1, 2))],
)
def test_units_are_what_feeds_one_output(shape, axes):
    p, g = draw(*shape), draw(*shape, seed=1, size=0.3)
    updates = apply(fg.adaptive_grad_clip(0.3), g, p)
    np.testing.assert_allclose(updates, adaptive(g, p, 0.3, 1e-3, axes), rtol=1e-6)


def test_units_by_axis():
    p, g = draw(4, 3), draw(4, 3, seed=1)
    for axis, axes in ((1, (1,)), ((0, 1), (0, 1)), (-1, (1,)), (1.0, None)):
        if axes is None:
            with pytest.raises(TypeError, match=r"adaptive_grad_clip: `axis`: expected an integer"):
                fg.adaptive_grad_clip(0.1, axis=axis)
        else:
            updates = apply(fg.adaptive_grad_clip(0.1, axis=axis), g, p)
            np.testing.assert_allclose(updates, adaptive(g, p, 0.1, 1e-3, axes), rtol=1e-6)
    with pytest.raises(ValueError, match=r"^adaptive_grad_clip: `axis` must be axes of every leaf, got \(2,\)"):
        apply(fg.adaptive_grad_clip(0.1, axis=2), g, p)


def test_zero_units_begin_to_train_and_bad_ones_stay_alone():
    p = jnp.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    g = jnp.array([[3.0, np.inf, 0.0], [4.0, 1.0, 0.0]])
    updates = np.asarray(apply(fg.adaptive_grad_clip(0.5, eps=0.01), g, p))
    np.testing.assert_allclose(updates[:, 0], [0.003, 0.004], rtol=1e-6)
    assert np.isnan(updates[:, 1]).all()
    assert updates[:, 2].tolist() == [0, 0]
    huge = apply(fg.adaptive_grad_clip(0.5), jnp.full((2, 2), MAX), jnp.full((2, 2), 1e30))
    np.testing.assert_allclose(huge, np.full((2, 2), 0.5e30), rtol=1e-6)
    assert np.isfinite(
        jax.grad(lambda p: apply(fg.adaptive_grad_clip(0.5), g[:, :1], p).sum())(jnp.zeros((2, 1)))
    ).all()


# --- by examples ---


def examples():
    return {"w": draw(6, 3, 2, size=2), "b": (draw(6, seed=1), draw(6, 0)), "z": draw(6, 2, seed=2) * (1 + 2j)}


def one_by_one(grads, bound):
    """Sum of shortened examples in float64, and how many were longer."""
    total, longer = [0.0 for _ in grads], 0
    for n in range(len(grads[0])):
        norm = np.sqrt(sum((np.abs(g[n].astype(np.complex128)) ** 2).sum() for g in grads))
        longer += norm > bound
        total = [t + g[n] * min(1, bound / norm) for t, g in zip(total, grads, strict=True)]
    return total, longer


def test_examples_by_their_global_norm():
    grads = examples()
    total, longer = jax.jit(fg.per_example_global_norm_clip)(grads, 4.0)
    expected, count = one_by_one(jax.tree.leaves(grads), 4.0)
    assert 0 < count < 6
    assert longer == count
    assert longer.dtype == jnp.int32
    for t, e in zip(jax.tree.leaves(total), expected, strict=True):
        np.testing.assert_allclose(t, e, rtol=1e-5)
    assert total["z"].dtype == jnp.complex64
    assert total["w"].dtype == total["b"][0].dtype == jnp.float32


@pytest.mark.parametrize("uniform", [True, False])
def test_examples_by_the_norms_of_leaves(uniform):
    grads = examples()
    total, longer = fg.per_example_layer_norm_clip(grads, 3.0, uniform)
    leaves = jax.tree.leaves(grads)
    entries = [x[0].size for x in leaves]
    bounds = [3 / 2 if uniform else 3 * np.sqrt(n / sum(entries)) for n in entries]  # of four leaves
    for t, n, g, bound in zip(jax.tree.leaves(total), jax.tree.leaves(longer), leaves, bounds, strict=True):
        expected, count = one_by_one([g], bound) if g.size else ([np.zeros(0)], 0)
        np.testing.assert_allclose(t, expected[0], rtol=1e-5)
        assert n == count


def test_examples_in_low_precision_beyond_range_and_bad():
    low = jnp.full((3, 4), 300, jnp.float16)  # the square is no float16
    for clip in (fg.per_example_global_norm_clip, fg.per_example_layer_norm_clip):
        total, _ = clip(low, 1.0)
        assert total.dtype == jnp.float32
        np.testing.assert_allclose(total, np.full(4, 1.5), rtol=1e-6)
        np.testing.assert_allclose(clip(jnp.full((2, 4), MAX), 1.0)[0], np.ones(4), rtol=1e-6)
        total, longer = clip(jnp.array([[np.inf, 1.0], [1.0, 1.0]]), 9.0)
        assert np.isnan(total).all()
        assert longer == 1
        with pytest.raises(ValueError, match=r"leading ax"):
            clip({"a": jnp.ones((2, 1)), "b": jnp.ones(3)}, 1.0)
        with pytest.raises(ValueError, match=rf"^{clip.__name__}: `\w+` must be in \[0, inf\), got -1"):
            clip(low, -1.0)


# --- the two halves of it ---


def test_norms_of_units_stand_in_place_of_their_entries():
    """Columns of matrices, filters of convolutions, vectors as wholes; or along the axes given."""
    k = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    for x, axis, axes in (
        (k, None, (0, 1, 2)),
        (k[0, 0], None, (0,)),
        (k[0], None, (0,)),
        (k[0, 0, 0], None, (0,)),
        (k[0], (-1, 0), (0, 2)),
        (k[0], 1, (1,)),
    ):
        expected = np.sqrt(np.sum(np.square(np.float64(x)), axis=axes, keepdims=True))
        np.testing.assert_allclose(fg.unitwise_norm(x, axis), np.broadcast_to(expected, x.shape), rtol=1e-6)
    with pytest.raises(ValueError, match=r"^unitwise_norm: `axis` must be axes of every leaf, got \(2,\) for \(4, 5\)"):
        fg.unitwise_norm(k[0, 0], 2)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_clipping_by_given_norms(size):
    g = size * jnp.array([[3.0, 0.3], [4.0, 0.4]])
    found = fg.unitwise_clip(fg.unitwise_norm(g), size, g)
    np.testing.assert_allclose(found / size, [[0.6, 0.3], [0.8, 0.4]], rtol=1e-6)
    assert found[:, 1].tolist() == g[:, 1].tolist()
    assert fg.unitwise_clip(jnp.zeros(2), 0.0, jnp.zeros(2)).tolist() == [0.0, 0.0]
    assert fg.unitwise_clip(4.0, 1.0, jnp.array([4.0]), div_eps=8.0).tolist() == [0.5]
