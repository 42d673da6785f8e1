"""Squared errors against NumPy, their gradients, dtypes and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd import losses

RNG = np.random.default_rng(0)
P, Y = RNG.normal(size=(2, 5, 3))
E = P - Y
CASES = {  # value, gradient with respect to the predictions of the sum
    "squared_error": (E**2, 2 * E),
    "l2_loss": (E**2 / 2, E),
    "mean_squared_error": (sum(e * e for e in E.ravel()) / 15, 2 * E / 15),
    "sum_of_squares": (sum(e @ e for e in E) / (2 * 5), E / 5),
}
cases = pytest.mark.parametrize(("name", "value", "gradient"), [(k, *v) for k, v in CASES.items()], ids=CASES)
names = pytest.mark.parametrize("name", CASES)


@cases
def test_formula_and_gradient(name, value, gradient):
    loss, p, y = getattr(losses, name), jnp.float32(P), jnp.float32(Y)
    np.testing.assert_allclose(loss(p, y), value, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(lambda p: loss(p, y).sum())(p), gradient, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(lambda y: loss(p, y).sum())(y), -gradient, rtol=1e-5)


@names
def test_zero_error_has_zero_loss_and_gradient(name):
    loss = getattr(losses, name)
    assert float(loss(2.0, 2.0)) == float(jax.grad(loss)(2.0, 2.0)) == 0


@names
def test_low_precision_is_computed_in_float32(name):
    loss = getattr(losses, name)
    p, y = jnp.full((3, 2), 300, jnp.float16), jnp.zeros((3, 2), jnp.bfloat16)
    assert loss(p, y).dtype == jnp.float32
    assert np.all(np.isfinite(loss(p, y)))  # 300² is not a float16
    assert loss(np.arange(6).reshape(3, 2), np.ones((3, 2), bool)).dtype == jnp.float32
    assert jax.grad(lambda p: loss(p, y).sum())(p).dtype == jnp.float16


@names
def test_shapes_are_never_broadcast(name):
    loss = getattr(losses, name)
    for p, y in (((5,), (5, 1)), ((5, 1), (5,)), ((5,), (1,)), ((5,), ()), ((), (5,))):
        with pytest.raises(ValueError, match=name) as error:
            loss(jnp.zeros(p), jnp.zeros(y))
        assert str(error.value) == f"{name}: `targets` must have the shape of `predictions`, {p}, got {y}."
    with pytest.raises(ValueError, match="`targets` must have the shape"):
        jax.eval_shape(loss, jnp.zeros(5), jnp.zeros((5, 1)))


@names
def test_what_is_no_number_is_an_error(name):
    with pytest.raises(TypeError, match=f"{name}: `predictions` must be an array of numbers, got 'abc'"):
        getattr(losses, name)("abc", 0.0)
    with pytest.raises(TypeError, match=f"{name}: `targets` must be an array of numbers, got dtype key"):
        getattr(losses, name)(0.0, jax.random.key(0))


def test_without_targets_they_are_zero():
    assert losses.squared_error(jnp.array([3.0, -2.0])).tolist() == [9, 4]
    assert losses.l2_loss(-2.0).tolist() == 2


def test_complex_errors_are_squared_in_modulus():
    assert losses.squared_error(jnp.array([1 + 2j]), jnp.array([0.5])).tolist() == [4.25]
    assert losses.squared_error(jnp.array([1 + 2j])).dtype == jnp.float32
    assert float(losses.mean_squared_error(jnp.array([1 + 2j, 0j]), jnp.zeros(2))) == 2.5


def test_sum_of_squares_counts_examples_and_the_mean_counts_entries():
    p, y = np.ones((4, 3), np.float32), np.zeros((4, 3), np.float32)
    assert float(losses.sum_of_squares(p, y)) == 1.5
    assert float(losses.mean_squared_error(p, y)) == 1
    assert float(losses.sum_of_squares(np.float32(3), np.float32(0))) == 4.5


@pytest.mark.parametrize("name", ["mean_squared_error", "sum_of_squares"])
def test_no_entry_is_an_error(name):
    with pytest.raises(ValueError, match=rf"{name}: `predictions` must have at least one entry, got shape \(0, 3\)"):
        getattr(losses, name)(jnp.zeros((0, 3)), jnp.zeros((0, 3)))
    assert losses.squared_error(jnp.zeros((0, 3))).shape == (0, 3)


def test_all_is_sorted():
    assert losses.__all__ == sorted(losses.__all__)
