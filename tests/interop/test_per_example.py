"""What is made of single examples, as in Optax: private aggregation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")

PARAMS = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
EACH = [{"w": jnp.sin(jnp.arange(24.0) + i).reshape(4, 3, 2), "b": jnp.ones((4, 2)) * i} for i in range(5)]


def same(a, b, rtol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6), a, b)


def run(tx):
    params, state = PARAMS, tx.init(PARAMS)
    for grads in EACH:
        updates, state = tx.update(grads, state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
    return params


@pytest.mark.filterwarnings("ignore:.seed. is deprecated:DeprecationWarning")  # of their own argument
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_same_private_descent_without_noise(options):
    same(run(fg.dpsgd(0.1, 1.5, 0.0, 0, **options)), run(optax.contrib.dpsgd(0.1, 1.5, 0.0, 0, **options)))


def test_same_scale_of_noise():
    zeros = jnp.zeros((4, 20_000))
    ours = fg.differentially_private_aggregate(2.0, 1.5, 0)
    theirs = optax.contrib.differentially_private_aggregate(2.0, 1.5, 0)
    found = [float(jnp.std(tx.update(zeros, tx.init(zeros[0]), zeros[0])[0])) for tx in (ours, theirs)]
    np.testing.assert_allclose(found, 0.75, rtol=5 / 40_000**0.5)
