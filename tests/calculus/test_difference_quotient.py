"""Difference quotients: their orders, their steps in each dtype, and what they promise at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

ORDERS = {"forward": 1, "central": 2, "complex": 2}


def test_row_09_the_secant_of_a_parabola():
    """(f(x + h) − f(x)) / h = 2x + h for f = x²; the central quotient is 2x whatever h is."""
    for x, h in [(1.0, 0.5), (-3.0, 0.25), (0.0, 2.0)]:
        assert fg.difference_quotient(lambda x: x**2, x, 1.0, scheme="forward", step=h).item() == 2 * x + h
        assert fg.difference_quotient(lambda x: x**2, x, -1.0, scheme="forward", step=h).item() == -2 * x + h
        assert fg.difference_quotient(lambda x: x**2, x, 1.0, step=h).item() == 2 * x


@pytest.mark.parametrize("scheme", ORDERS)
def test_the_order_in_h(scheme, x64):
    def f(x):
        return jnp.exp(x[0]) * jnp.sin(x[1])

    x, p, (a, b) = jnp.array([0.5, 1.0]), jnp.array([0.6, 0.8]), (0.5, 1.0)
    exact = np.exp(a) * (0.6 * np.sin(b) + 0.8 * np.cos(b))
    quotient = jax.jit(jax.vmap(lambda h: fg.difference_quotient(f, x, p, scheme=scheme, step=h)))
    errors = quotient(jnp.array([4e-3, 2e-3, 1e-3])) - exact
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), ORDERS[scheme], atol=0.01)
    # the step chosen: √ε, ε^⅔, ε in relative error, with a factor to spare
    eps = np.finfo(np.float64).eps
    best = {"forward": eps ** (1 / 2), "central": eps ** (2 / 3), "complex": eps}[scheme]
    chosen = jax.jit(lambda x: fg.difference_quotient(f, x, p, scheme=scheme))(x)
    np.testing.assert_allclose(chosen, exact, rtol=10 * best)


@pytest.mark.parametrize("scheme", ORDERS)
def test_the_step_suits_dtype_and_size(scheme):
    """Relative errors of about √ε, ε^⅔ and ε, also far from 0."""
    eps = np.finfo(np.float32).eps
    best = {"forward": eps ** (1 / 2), "central": eps ** (2 / 3), "complex": eps}[scheme]
    quotient = jax.jit(lambda x: fg.difference_quotient(lambda x: x * x * x, x, 1.0, scheme=scheme))
    for x in (1.0, 1e4, 1e-3):
        scale = max(1, x) ** 2  # what x³ is like within the step from x
        np.testing.assert_allclose(quotient(x), 3 * x**2, atol=10 * best * scale)


def test_a_value_of_low_precision_gets_a_larger_step():
    def f(x):
        return jnp.asarray(x**2, jnp.bfloat16)

    found = fg.difference_quotient(f, jnp.array(3.0), 1.0)
    np.testing.assert_allclose(found, 6, rtol=0.1)
    assert found.dtype == jnp.float32
    low = fg.difference_quotient(lambda x: x**2, jnp.array(3.0, jnp.bfloat16), 1.0)  # reaches fun as float32
    np.testing.assert_allclose(low, 6, rtol=1e-4)


@pytest.mark.parametrize("scheme", ORDERS)
def test_whole_gradients_of_trees(scheme):
    """In many entries, more than one chunk of them, against the derivative by hand; constants stay real."""
    w = np.linspace(-1, 2, 67, dtype=np.float32)
    x = {"w": jnp.asarray(w), "b": jnp.array(0.5, jnp.bfloat16), "frozen": None}
    c = np.linspace(0, 1, 67, dtype=np.float32)
    found = jax.jit(
        lambda x, c: fg.difference_gradient(
            lambda x, c: (jnp.sum(c * jnp.sin(x["w"])) * x["b"], "beside"), x, c, scheme=scheme
        )
    )(x, c)
    tolerance = {"forward": 3e-2, "central": 3e-3, "complex": 1e-5}[scheme]
    np.testing.assert_allclose(found["w"], 0.5 * c * np.cos(w), atol=tolerance)
    np.testing.assert_allclose(found["b"], c @ np.sin(w), rtol=tolerance)
    assert found["frozen"] is None
    assert found["b"].dtype == jnp.float32


def test_entries_of_complex_arrays():
    z = jnp.array([3 + 4j, 1j])
    found = jax.jit(lambda z: fg.difference_gradient(lambda z: jnp.sum(jnp.abs(z) ** 2), z))(z)
    np.testing.assert_allclose(found, 2 * z, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(fg.difference_quotient(lambda z: jnp.abs(z[0]), z, jnp.array([0, 1j])), 0, atol=1e-6)


def test_slopes_at_a_kink():
    assert fg.difference_quotient(jnp.abs, 0.0, 1.0, scheme="forward").item() == pytest.approx(1)
    assert fg.difference_quotient(jnp.abs, 0.0, -1.0, scheme="forward").item() == pytest.approx(1)
    assert fg.difference_quotient(jnp.abs, 0.0, 1.0).item() == 0
    assert fg.difference_gradient(jax.nn.relu, 0.0).item() == 0.5


def test_a_step_that_rounding_swallows_is_no_slope():
    for scheme in ("forward", "central"):
        assert np.isnan(fg.difference_quotient(lambda x: x**2, 1.0, 1.0, scheme=scheme, step=1e-12))
    assert fg.difference_quotient(lambda x: x**2, 1.0, 1.0, scheme="complex", step=1e-12).item() == 2


@pytest.mark.parametrize("take", [lambda *a, **k: fg.difference_quotient(*a, 1.0, **k), fg.difference_gradient])
def test_errors(take):
    with pytest.raises(ValueError, match=r"`scheme` must be one of 'forward', 'central', 'complex', got 'backward'"):
        take(jnp.sin, 1.0, scheme="backward")
    for step in (0.0, -1.0, float("nan"), "small"):
        with pytest.raises(ValueError, match=r"`step` must be a positive number, got"):
            take(jnp.sin, 1.0, step=step)
    with pytest.raises(TypeError, match=r"`fun` must return one complex number, got shape \(\) and dtype float32"):
        take(jnp.abs, 1.0, scheme="complex")
    with pytest.raises(TypeError, match=r"`x` must be real, got complex64"):
        take(jnp.sin, 1j, scheme="complex")
