"""Functions of the same name as in Optax: assignments, perturbed functions."""

import jax
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
