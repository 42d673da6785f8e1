"""How methods along lines end without a stopping rule, and where nothing can begin."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

METHODS = [fg.LBFGS(), fg.BFGS(), fg.Newton(), fg.NewtonCG(), fg.NonlinearCG(), fg.TrustRegion()]
LEVELS = jnp.linspace(1.0, 4.0, 3)


def bowl(x):
    return jnp.sum(jnp.cosh(LEVELS * (x - 0.3)))


def root(x):
    return jnp.sum(jnp.sqrt(x))  # 0 at 0, where its slope is infinite


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_without_a_rule_the_precision_is_the_end(method):
    run = fg.minimize(bowl, jnp.array([1.0, -0.5, 0.0]), method, max_steps=5000)
    assert run.reason is fg.StopReason.NO_DECREASE
    assert run.evaluations < 300
    np.testing.assert_allclose(run.params, 0.3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_gradient_that_is_not_finite_at_the_start_ends_at_once(method):
    run = fg.minimize(root, jnp.zeros(3), method, max_steps=100)
    assert run.reason is fg.StopReason.NON_FINITE
    assert run.evaluations == 1
