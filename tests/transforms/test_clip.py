"""Clipping, at the edges of norm and bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

MAX = float(np.finfo(np.float32).max)


def clipped(grads, bound):
    return fg.clip_by_global_norm(bound).update(grads, fg.EmptyState())[0]


def wide_norm(*leaves):
    """‖·‖₂ in float64 NumPy."""
    kinds = [np.complex128 if np.iscomplexobj(x) else np.float64 for x in leaves]
    return np.linalg.norm([np.linalg.norm(np.ravel(x).astype(kind)) for x, kind in zip(leaves, kinds, strict=True)])


# --- by entries ---


def test_clip():
    updates, _ = fg.clip(1.0).update({"w": jnp.array([-3.0, -1, 0.5, 1, 7])}, fg.EmptyState())
    assert updates["w"].tolist() == [-1, -1, 0.5, 1, 1]
    assert fg.clip(0.0).update(jnp.array([2.0, -2]), fg.EmptyState())[0].tolist() == [0, 0]


def test_clip_limits_real_and_imaginary_part():
    assert fg.clip(1.0).update(jnp.array([3 - 0.5j, 0.25 - 4j]), fg.EmptyState())[0].tolist() == [1 - 0.5j, 0.25 - 1j]


def test_clip_of_what_is_not_finite():
    updates, _ = fg.clip(1.0).update(jnp.array([np.inf, -np.inf, np.nan]), fg.EmptyState())
    assert updates[:2].tolist() == [1, -1]
    assert np.isnan(updates[2])


def test_clip_in_half_precision_clips_in_float32():
    """0.1 is no float16; the bound is not rounded to one."""
    updates, _ = fg.clip(0.1).update(jnp.ones(1, jnp.float16), fg.EmptyState())
    assert updates[0] == np.float32(0.1)


def test_scheduled_clip():
    tx = fg.clip(lambda step: 2.0 - step.astype(jnp.float32))
    state = tx.init(0.0)
    for expected in (2, 1, 0):
        updates, state = tx.update(jnp.float32(5), state)
        assert updates == expected


def test_bounds_are_not_negative():
    for make, name in ((fg.clip, "max_delta"), (fg.clip_by_global_norm, "max_norm")):
        with pytest.raises(ValueError, match=rf"^{make.__name__}: `{name}` must be in \[0, inf\), got -1\.0\.$"):
            make(-1)


# --- by the norm of the whole ---


def test_the_direction_is_kept():
    grads = {"a": jnp.array([3.0, 0]), "b": (jnp.float32(-4), None), "empty": jnp.zeros((0, 4))}
    updates = clipped(grads, 1.0)
    np.testing.assert_allclose(updates["a"], [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(updates["b"][0], -0.8, rtol=1e-6)
    assert updates["b"][1] is None
    assert updates["empty"].shape == (0, 4)


def test_within_the_bound_nothing_changes_to_the_last_bit():
    for seed in range(20):
        g = jax.random.normal(jax.random.key(seed), (7,))
        for bound in (fg.tree.norm(g), 2 * fg.tree.norm(g)):  # exactly equal, and larger
            assert np.array_equal(clipped(g, bound), g)
    five = jnp.array([3.0, 4.0])
    assert clipped(five, 5.0).tolist() == [3, 4]
    assert clipped(five, np.nextafter(np.float32(5), np.float32(0))).tolist() != [3, 4]


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1.0, 1e20, 1e30, 3e38])
@pytest.mark.parametrize("ratio", [0.9, 1e-3, 1e-6])
def test_the_result_is_within_the_bound(size, ratio):
    g = size * np.array([0.6, -0.3, 1, 0.25], np.float32)
    bound = max(ratio * size, 1e-36)  # below, entries of the result may be subnormal
    updates = np.asarray(clipped({"g": jnp.asarray(g)}, bound)["g"])
    norm = wide_norm(g)
    assert wide_norm(updates) <= min(bound, norm) * (1 + 4e-7)
    np.testing.assert_allclose(updates, g * min(1, bound / norm), rtol=1e-6)


def test_zero_norm_and_zero_bound():
    zero, one = jnp.zeros(3), jnp.ones(3)
    assert clipped(zero, 1.0).tolist() == [0, 0, 0]
    assert clipped(zero, 0.0).tolist() == [0, 0, 0]
    assert clipped(one, 0.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_makes_every_entry_nan(bad):
    """Such a gradient has no direction: zeros in place of it would hide the failure."""
    updates = clipped({"a": jnp.array([1.0, bad]), "b": jnp.ones(2)}, 1.0)
    assert all(np.isnan(u).all() for u in updates.values())


def test_half_precision_whose_squares_overflow():
    g = jnp.full((300, 4096), 300.0, jnp.float16)
    updates = clipped(g, 1.0)
    assert updates.dtype == jnp.float32
    np.testing.assert_allclose(updates, 1 / np.sqrt(300 * 4096), rtol=1e-6)


def test_norms_beyond_float32():
    """The norm of these four entries, 2·MAX, is no float32, and still they are clipped."""
    np.testing.assert_allclose(clipped(jnp.full(4, MAX), 1.0), [0.5] * 4, rtol=1e-6)


def test_subnormal_gradients_stay_or_vanish():
    updates = np.asarray(clipped(jnp.full(4, 1e-40), 1.0))
    assert (np.isclose(updates, 1e-40, rtol=1e-4, atol=0) | (updates == 0)).all()


def test_complex_gradients():
    updates = clipped({"z": jnp.array([3 + 4j]), "w": jnp.array([12.0])}, 6.5)  # the norm is 13
    np.testing.assert_allclose(updates["z"], [1.5 + 2j], rtol=1e-6)
    np.testing.assert_allclose(updates["w"], [6], rtol=1e-6)
    assert updates["w"].dtype == jnp.float32


def test_the_norm_is_taken_over_mixed_precisions():
    updates = clipped({"a": jnp.full(1, 3, jnp.bfloat16), "b": jnp.full(1, 4, jnp.float16)}, 1.0)
    np.testing.assert_allclose([updates["a"][0], updates["b"][0]], [0.6, 0.8], rtol=1e-6)


def test_tiny_double_gradients_beside_single_ones(x64):
    """The scale 1e-200 of the double leaf is no float32, which must not turn the other leaf into NaN."""
    grads = {"d": jnp.array([3e-200, 4e-200]), "s": jnp.zeros(2, jnp.float32)}
    updates = clipped(grads, 1e-200)
    np.testing.assert_allclose(updates["d"], [6e-201, 8e-201], rtol=1e-12)
    assert updates["s"].tolist() == [0, 0]
    huge = clipped({"d": jnp.array([3e200, 4e200]), "s": jnp.ones(2, jnp.float32)}, 1.0)
    np.testing.assert_allclose(huge["d"], [0.6, 0.8], rtol=1e-12)
    assert huge["s"].tolist() == [0, 0]


def test_derivative_through_the_clip():
    def entry(g, bound):
        return clipped(g, bound)[0]

    assert jax.grad(entry)(jnp.zeros(2), 1.0).tolist() == [1, 0]  # within the bound: the identity
    assert jax.grad(entry)(jnp.zeros(2), 0.0).tolist() == [1, 0]
    assert np.isfinite(jax.grad(entry)(jnp.array([3.0, 4.0]), 0.0)).all()
    # d(g₁/‖g‖)/dg = (g₂², −g₁g₂)/‖g‖³ at (3, 4)
    np.testing.assert_allclose(jax.grad(entry)(jnp.array([3.0, 4.0]), 1.0), [16 / 125, -12 / 125], rtol=1e-5)
    slope = jax.grad(lambda tx: tx.update(jnp.array([3.0, 4.0]), fg.EmptyState())[0].sum())
    np.testing.assert_allclose(slope(fg.clip_by_global_norm(1.0)).max_norm, 7 / 5, rtol=1e-6)


def test_scheduled_bound_and_population():
    tx = fg.clip_by_global_norm(lambda step: 4.0 * 0.5 ** step.astype(jnp.float32))
    state = tx.init(jnp.zeros(1))
    for expected in (4, 2, 1):
        updates, state = tx.update(jnp.array([8.0]), state)
        assert updates[0] == expected
    population = fg.grid(fg.clip_by_global_norm, max_norm=[0.0, 1.0, 20.0])
    norms = jax.vmap(lambda tx: fg.tree.norm(tx.update(jnp.array([6.0, 8.0]), tx.init(jnp.zeros(2)))[0]))(population)
    np.testing.assert_allclose(norms, [0, 1, 10], rtol=1e-6)
