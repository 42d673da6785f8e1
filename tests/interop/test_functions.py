"""Functions of the same name as in Optax: assignments, perturbed functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")


@pytest.mark.parametrize("name", ["hungarian_algorithm", "base_hungarian_algorithm"])
@pytest.mark.parametrize("shape", [(6, 6), (4, 7), (7, 4)])
def test_same_assignments(name, shape):
    costs = jax.random.normal(jax.random.key(0), (10, *shape))
    ours = jax.jit(jax.vmap(getattr(fg.assignment, name)))(costs)
    theirs = jax.jit(jax.vmap(getattr(optax.assignment, name)))(costs)
    pairs = [{tuple(map(int, pair)) for pair in zip(a, b, strict=True)} for a, b in zip(*ours, strict=True)]
    assert pairs == [{tuple(map(int, pair)) for pair in zip(a, b, strict=True)} for a, b in zip(*theirs, strict=True)]


@pytest.mark.parametrize("noise", ["Gumbel", "Normal"])
def test_same_perturbed_means_and_derivatives(noise):
    """Draws differ; their means agree within five standard errors."""
    x = jnp.array([0.3, -0.5, 1.0])

    def draws(library):
        drawn = getattr(library.perturbations, noise)()
        f = library.perturbations.make_perturbed_fun(lambda x: jax.nn.one_hot(jnp.argmax(x), 3), 200, 0.5, drawn)
        keys = jax.random.split(jax.random.key(0), 100)
        return np.asarray(jax.jit(jax.vmap(lambda key: jnp.vstack([f(key, x), jax.jacobian(f, 1)(key, x)])))(keys))

    ours, theirs = draws(fg), draws(optax)
    error = np.sqrt(ours.var(0) / 100 + theirs.var(0) / 100)
    assert np.all(abs(ours.mean(0) - theirs.mean(0)) < 5 * error)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.5)
    assert np.all(error < 0.05)
