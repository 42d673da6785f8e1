"""Updates of a given length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def normalized(grads, *args):
    return fg.normalize_by_update_norm(*args).update(grads, fg.EmptyState())[0]


def test_norm_and_direction():
    updates = normalized({"a": jnp.array([3.0, 0]), "b": (jnp.float32(-4), None)})
    np.testing.assert_allclose(updates["a"], [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(updates["b"][0], -0.8, rtol=1e-6)
    np.testing.assert_allclose(normalized(jnp.array([3.0, 4.0]), -10.0), [-6, -8], rtol=1e-6)


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1.0, 1e20, 3e38])
def test_every_size_gives_the_same_direction(size):
    updates = normalized(size * jnp.array([0.6, -0.8]))
    np.testing.assert_allclose(updates, [0.6, -0.8], rtol=1e-6)


def test_eps_is_added_to_the_norm():
    np.testing.assert_allclose(normalized(jnp.array([3.0, 4.0]), 1.0, 5.0), [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(normalized(jnp.array([3e-30, 4e-30]), 1.0, 1e-8), [3e-22, 4e-22], rtol=1e-6)
    np.testing.assert_allclose(normalized(jnp.array([3e30, 4e30]), 1.0, 1e-8), [0.6, 0.8], rtol=1e-6)


def test_zero_stays_zero_and_its_derivative_is_finite():
    for eps in (0.0, 1e-8):
        assert normalized(jnp.zeros(3), 1.0, eps).tolist() == [0, 0, 0]
        assert np.isfinite(jax.jacobian(normalized)(jnp.zeros(2), 1.0, eps)).all()
    assert normalized({"a": jnp.zeros(2), "b": jnp.ones(1)})["b"] == 1


def test_half_precision_whose_squares_overflow():
    updates = normalized(jnp.full((300, 4096), 300.0, jnp.float16))
    np.testing.assert_allclose(updates, 1 / np.sqrt(300 * 4096), rtol=1e-6)


def test_nan_and_infinity_do_not_pass_for_a_direction():
    for bad in (np.nan, np.inf):
        assert not np.isfinite(normalized(jnp.array([1.0, bad]))).all()


def test_complex_gradients():
    updates = normalized({"z": jnp.array([3 + 4j]), "w": jnp.array([12.0])}, 13.0)
    np.testing.assert_allclose(updates["z"], [3 + 4j], rtol=1e-6)
    np.testing.assert_allclose(updates["w"], [12], rtol=1e-6)


def test_tiny_double_gradients_beside_single_ones(x64):
    grads = {"d": jnp.array([3e-200, 4e-200]), "s": jnp.zeros(2, jnp.float32)}
    for eps in (0.0, 1e-300):
        updates = normalized(grads, 1.0, eps)
        np.testing.assert_allclose(updates["d"], [0.6, 0.8], rtol=1e-12)
        assert updates["s"].tolist() == [0, 0]


def test_scheduled_length():
    tx = fg.normalize_by_update_norm(lambda step: 1.0 + step.astype(jnp.float32), eps=lambda step: 0.0)
    state = tx.init(jnp.zeros(2))
    for expected in (1, 2, 3):
        updates, state = tx.update(jnp.array([3.0, 4.0]), state)
        np.testing.assert_allclose(updates, [0.6 * expected, 0.8 * expected], rtol=1e-6)
    with pytest.raises(ValueError, match=r"^normalize_by_update_norm: `eps` must be in \[0, inf\), got -1\.0"):
        fg.normalize_by_update_norm(eps=-1)
