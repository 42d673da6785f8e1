"""Losses of labels: 0–1, perceptron and hinge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.losses import hinge_loss, perceptron_loss, zero_one_loss

A, Y = np.float32([3, 0.5, 0, 0, -0.5, -3, 1, np.nan]), np.array([1, -1, 1, -1, 1, -1, 1, 1])


def test_row_29_the_zero_one_loss_counts_mistakes_and_has_no_gradient():
    a = np.float32([2, 0.1, -0.1, -3])
    labels = np.float32([1, -1, 1, -1])
    assert float(zero_one_loss(np.sign(a), labels).sum()) == 2
    assert jax.grad(lambda a: zero_one_loss(jnp.sign(a), labels).sum())(a).tolist() == [0, 0, 0, 0]
    assert jax.grad(lambda a: zero_one_loss(a, labels).sum())(labels).tolist() == [0, 0, 0, 0]


def test_zero_one_loss_of_every_kind_of_label():
    classes = np.array([[0, 7], [2**24 + 1, 3]])
    assert zero_one_loss(classes, np.array([[0, 8], [2**24, 3]])).tolist() == [[0, 1], [1, 0]]
    assert zero_one_loss(classes > 1, np.array([[False, False], [True, True]])).tolist() == [[0, 1], [0, 0]]
    assert zero_one_loss(np.float32([1, -1]), np.array([1, 1])).tolist() == [0, 1]
    assert zero_one_loss([1.0, 2.0], [np.nan, 2.0]).tolist() == [1, 0]
    assert zero_one_loss(True, False).dtype == jnp.float32


def test_row_30_the_perceptron_loss_is_zero_on_the_right_side():
    expected = [max(0, -a * y) if a == a else np.nan for a, y in zip(A.tolist(), Y.tolist(), strict=True)]
    loss = perceptron_loss(A, Y)
    np.testing.assert_array_equal(loss, expected)
    assert not np.any(np.signbit(loss[:-1]))
    slope = jax.grad(lambda a: perceptron_loss(a, Y)[:-1].sum())(A)
    assert slope[:-1].tolist() == [0, 1, -1, 1, -1, 0, 0]


def test_the_hinge_asks_for_a_margin():
    expected = [max(0, 1 - a * y) if a == a else np.nan for a, y in zip(A.tolist(), Y.tolist(), strict=True)]
    np.testing.assert_array_equal(hinge_loss(A, Y), expected)
    slope = jax.grad(lambda a: hinge_loss(a, Y)[:-1].sum())(A)
    assert slope[:-1].tolist() == [0, 1, -1, 1, -1, 0, 0]


@pytest.mark.parametrize("loss", [perceptron_loss, hinge_loss, zero_one_loss], ids=lambda f: f.__name__)
def test_what_all_share(loss):
    assert loss(jnp.float16([1, -1]), np.array([1, 1], np.int8)).dtype == jnp.float32
    assert float(jax.jit(loss)(np.float32(-1), 1)) == float(loss(-1.0, 1))
    with pytest.raises(ValueError, match=rf"{loss.__name__}: `targets` must .* \(5,\), got \(5, 1\)"):
        loss(jnp.ones(5), jnp.ones((5, 1)))
    with pytest.raises(TypeError, match=rf"{loss.__name__}: `.*` must be real"):
        loss(1j, 1)


@pytest.mark.parametrize("loss", [perceptron_loss, hinge_loss], ids=lambda f: f.__name__)
def test_labels_are_signs(loss):
    with pytest.raises(ValueError, match=rf"{loss.__name__}: `targets` must be in {{-1, 1}}, got `targets\[1\]` = 0"):
        loss(jnp.ones(2), np.array([1, 0]))
