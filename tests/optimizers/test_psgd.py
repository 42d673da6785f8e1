"""Kronecker PSGD: its rule with the probes that it draws, what it converges to, and what does not move it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.along import follow
from tests.optimizers.oracles import matrices

STEPS = 20
RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((STEPS, 3, 4))
VECTOR, TENSOR = RNG.standard_normal((STEPS, 5)), RNG.standard_normal((STEPS, 3, 4, 2))
COMPLEX = MATRIX + 1j * RNG.standard_normal((STEPS, 3, 4))


def kron(**options):
    """The direction that learns in every step."""
    return fg.scale_by_kron(**{"preconditioner_update_probability": 1.0, **options})


@jax.jit
def directions(tx, grads):
    """All updates for gradients along the leading axis, and the last state."""
    first = jax.tree.map(lambda g: g[0], grads)
    state, updates = jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(first), grads)
    return updates, state


def drawn(seed, shape, dtype):
    """What each step draws for the first leaf: a number in [0, 1), and V."""

    def step(key, _):
        coin, probe, key = jax.random.split(key, 3)
        return key, (
            jax.random.uniform(coin, (), jnp.float32),
            jax.random.normal(jax.random.fold_in(probe, 0), shape, dtype),
        )

    return map(np.asarray, jax.jit(lambda key: jax.lax.scan(step, key, length=STEPS)[1])(jax.random.key(seed)))


ALL = {"precond_lr": 0.3, "precond_init_scale": 0.5, "weight_decay": 0.3, "seed": 7}
THESE = {"mu": 0.3, "scale": 0.5, "decay": 0.3}
CASES = {
    "vector": (VECTOR, {}, {}),
    "vector, triangular": (VECTOR, {"min_ndim_triangular": 1}, {"triangular": (0,)}),
    "matrix": (MATRIX, {}, {"triangular": (0, 1)}),
    "matrix, diagonal": (MATRIX, {"min_ndim_triangular": 3}, {}),
    "matrix, all": (MATRIX, {"max_size_triangular": 3, **ALL}, {"triangular": (0,), **THESE}),
    "tensor": (TENSOR, {"max_size_triangular": 3}, {"triangular": (0, 2)}),
    "complex": (COMPLEX, {}, {"triangular": (0, 1)}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_rule_is_that_of_the_papers(case, dtype):
    grads, options, args = CASES[case]
    p = fg.linear_schedule(1.0, 0.0, 15)
    tx = fg.psgd_kron(0.1, 0.8, preconditioner_update_probability=p, **options)
    with precision(dtype):
        kind = np.result_type(dtype, *([np.complex64] if "complex" in case else []))
        found = follow(tx, jnp.asarray(grads[0], kind), jnp.asarray(grads, kind))
        coins, probes = drawn(tx.seed, grads.shape[1:], kind)
    due = coins < 1 - np.arange(STEPS) / 15
    assert 3 < due.sum() < 17
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    expected = matrices.psgd_kron(grads[0], grads, 0.1, probes, due, 0.8, **args)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_it_converges_to_the_whitening_preconditioner():
    """P = E[ggᵀ]^(−1/2) of normal gradients: for a vector in general, for a matrix LZRᵀ its Kronecker form."""
    rate, steps = fg.exponential_decay(0.2, 1000, 0.5, end_value=0.004), 10000
    left, right = (RNG.standard_normal((n, n)) + 2 * np.diag(np.arange(1, n + 1)) for n in (3, 4))
    z = RNG.standard_normal((steps, 3, 4))
    grads = {"vector": z[:, :, 0] @ left.T, "matrix": left @ z @ right.T}
    tx = kron(b1=0.0, precond_lr=rate, min_ndim_triangular=1)
    _, state = directions(tx, jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads))
    q = jax.tree.map(np.float64, state.factors)
    for name, roots in (("vector", [left]), ("matrix", [left, right])):
        expected, found = np.ones((1, 1)), np.ones((1, 1))
        for root, factor in zip(roots, q[name], strict=True):
            values, vectors = np.linalg.eigh(root @ root.T)
            expected, found = np.kron(expected, (vectors / np.sqrt(values)) @ vectors.T), np.kron(found, factor)
        inverse_root = np.linalg.inv(expected)
        error = np.linalg.norm(found.T @ found @ inverse_root - np.eye(len(found)), 2)
        assert error < 0.2
        assert np.linalg.norm(inverse_root - np.eye(len(found)), 2) > 5  # what it was at first


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("grads", [VECTOR, COMPLEX], ids=["vector", "complex matrix"])
def test_units_a_scaled_loss_from_a_scaled_start_changes_no_step(grads, scale, x64):
    found, _ = directions(kron(precond_init_scale=scale**-0.5), jnp.asarray(scale * grads))
    np.testing.assert_allclose(found, directions(kron(), jnp.asarray(grads))[0], rtol=1e-9)


def test_phases_of_entries_with_diagonal_factors_are_those_of_the_steps(x64):
    phases = np.exp(1j * RNG.uniform(0, 6, (3, 4)))
    tx = kron(min_ndim_triangular=3)
    straight, _ = directions(tx, jnp.asarray(MATRIX + 0j))
    found, _ = directions(tx, jnp.asarray(phases * MATRIX))
    np.testing.assert_allclose(found, phases * np.asarray(straight), rtol=1e-9)


def test_axes_of_length_one_do_not_count():
    flat = jnp.asarray(VECTOR, jnp.float32)
    found, state = directions(kron(), flat[:, None])
    assert [q.shape for q in state.factors] == [(5,)]
    np.testing.assert_array_equal(found[:, 0], directions(kron(), flat)[0])


def test_scalars_empty_arrays_and_none():
    grads = {"a": jnp.ones(STEPS), "b": jnp.zeros((STEPS, 0, 4)), "c": None, "d": jnp.ones((STEPS, 1, 1))}
    updates, state = directions(kron(), grads)
    assert (updates["b"].shape, updates["c"]) == ((STEPS, 0, 4), None)
    assert [q.shape for q in state.factors["a"] + state.factors["d"]] == [(1,), (1,)]
    assert state.factors["b"] == ()
    assert (updates["a"] > 0).all()
    assert kron().update({}, kron().init({}))[0] == {}


def test_what_is_stored_in_low_precision():
    grads = jnp.asarray(MATRIX, jnp.float32)
    exact, _ = directions(kron(), grads)
    rough, state = directions(kron(precond_dtype="bfloat16", mu_dtype="bfloat16"), grads)
    assert {x.dtype for x in (*state.factors, state.mu)} == {jnp.dtype("bfloat16")}
    assert 1e-3 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.1


def test_edge_30_zero_gradients_teach_nothing_then_gradients():
    grads = jnp.asarray(MATRIX, jnp.float32)
    updates, _ = directions(kron(), grads.at[:10].set(0))
    assert (updates[:10] == 0).all()
    still = directions(kron(), jnp.zeros((STEPS, 3, 4)))[1]
    np.testing.assert_array_equal(still.factors[1], np.eye(4))
    assert np.isfinite(updates).all()
    assert np.linalg.norm(updates[-1]) > 0.1


def test_edge_30_rows_without_gradient_hardly_move():
    grads = jnp.asarray(RNG.standard_normal((2000, 8, 6)), jnp.float32).at[:, 1].set(0)
    updates, state = directions(kron(), {"triangular": grads, "diagonal": grads[:, :, 0]})
    for name, bound in (("triangular", 0.3), ("diagonal", 0.0)):
        sizes = np.sqrt(np.mean(np.square(updates[name][1000:]).reshape(1000, 8, -1), axis=(0, 2)))
        assert sizes[1] <= bound
        assert np.delete(sizes, 1).min() > 0.7
    assert max(np.max(np.abs(q)) for q in jax.tree.leaves(state.factors)) < 30  # as √t, not as 1.1ᵗ


def test_factors_stay_invertible_and_of_one_size():
    """Gradients of rank one and of growing size, at nearly the largest rate."""
    grads = jnp.asarray(MATRIX[:, :, :1] * MATRIX[:, :1] * np.logspace(-9, 9, STEPS)[:, None, None], jnp.float32)
    _, state = directions(kron(precond_lr=0.99), grads)
    for q in state.factors:
        assert (np.diag(q) > 0).all()
        np.testing.assert_array_equal(q, np.triu(q))
    largest = [np.max(np.abs(q)) for q in state.factors]
    np.testing.assert_allclose(largest[0], largest[1], rtol=1e-5)


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 3e38])
def test_gradients_beyond_the_range_of_squares(size):
    grads = jnp.asarray(np.tile(MATRIX, (40, 1, 1)), jnp.float32).at[:600].multiply(size)
    updates, state = directions(kron(), jnp.clip(grads, -3e38, 3e38))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((updates, state.mu, state.factors)))
    assert np.max(np.sqrt(np.mean(updates**2, axis=(1, 2)))) < 1.1001


def test_probability_says_how_often_factors_move():
    def moved(p, steps):
        tx = fg.scale_by_kron(preconditioner_update_probability=p)
        grads = jnp.ones((steps, 3)) * jnp.arange(1.0, 4.0)

        def step(state, g):
            new = tx.update(g, state)[1]
            return new, (new.factors[0] != state.factors[0]).any()

        return jax.jit(lambda: jax.lax.scan(step, tx.init(grads[0]), grads)[1])()

    assert moved(1.0, 50).all()
    assert not moved(0.0, 50).any()
    assert 60 < moved(0.25, 400).sum() < 140
    usual: Any = fg.scale_by_kron().preconditioner_update_probability
    np.testing.assert_allclose([usual(t) for t in (0, 500, 1500, 9999)], [1, 1, np.exp(-1), 0.03], rtol=1e-5)


def test_factors_are_not_like_parameters():
    """They have no sharding of their own among those of the parameters."""
    params, names = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, {"w": "row", "b": "none"}
    tx = fg.scale_by_kron()
    found = fg.tree.map_params(tx, lambda m, name: name, tx.init(params), names, transform_non_params=jnp.shape)
    assert found.mu == names
    assert found.factors["w"] == ((2, 2), (3, 3))
