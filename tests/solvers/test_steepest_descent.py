"""The descent loop on the lectures' Φ = 9x₁² + x₂²: how far to go along the negative gradient."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

START = np.array([1.0, 2.0])
SLOPE = np.array([18.0, 4.0])  # ∇Φ there


def phi(x):
    return 9 * x[0] ** 2 + x[1] ** 2


def path(search, steps):
    """The start and the points after it."""
    run = fg.minimize(phi, jnp.asarray(START), fg.SteepestDescent(search), max_steps=steps, record=True)
    return np.asarray(run.history["params"])


@pytest.mark.parametrize(("h", "n", "arrives"), [(0.05, 60, True), (0.05, 5, False), (0.2 / 18, 60, False)])
def test_row_24_a_fixed_step_needs_the_right_length_and_number(h, n, arrives, x64):
    found = path(fg.FixedStep(h), n)
    factors = (1 - 2 * h * np.array([9.0, 1.0])) ** np.arange(n + 1)[:, None]
    np.testing.assert_allclose(found, START * factors, rtol=1e-9)
    assert (phi(found[-1]) < 1e-4) == arrives


def test_row_24_the_exact_step_on_a_quadratic(x64):
    """α = gᵀg / gᵀHg = 340/5864, and each gradient is perpendicular to the one before."""
    found = path(fg.ExactQuadratic(), 4)
    np.testing.assert_allclose(found[1], START - 340 / 5864 * SLOPE, rtol=1e-12)
    slopes = found * [18.0, 2.0]
    np.testing.assert_allclose(np.sum(slopes[1:] * slopes[:-1], axis=1), 0, atol=1e-10)
    assert np.all(np.diff([phi(x) for x in found]) < 0)


@pytest.mark.parametrize("c1", [1e-4, 0.5, 0.9])
def test_row_24_backtracking_halves_until_the_decrease_suffices(c1, x64):
    """Armijo: Φ(x − αg) ≤ Φ(x) − c₁α‖g‖², from α = 1/‖g‖ on."""
    alpha = 1 / np.sqrt(340)
    while phi(START - alpha * SLOPE) > 13 - c1 * alpha * 340:
        alpha /= 2
    found = path(fg.Backtracking(c1=c1, shrink=0.5), 12)
    np.testing.assert_allclose(found[1], START - alpha * SLOPE, rtol=1e-12)
    assert np.all(np.diff([phi(x) for x in found]) < 0)
