"""Shampoo and SOAP where statistics are zero, of low rank, complex or old."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from funcgd.transforms import kronecker

RNG = np.random.default_rng(0)
GRADS = RNG.standard_normal((6, 3, 4))
BOTH = pytest.mark.parametrize(
    "tx", [fg.scale_by_shampoo(), fg.scale_by_soap(precondition_frequency=2)], ids=["shampoo", "soap"]
)


@jax.jit
def directions(tx, grads):
    """All updates for gradients along the leading axis, and the last state."""
    first = jax.tree.map(lambda g: g[0], grads)
    state, updates = jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(first), grads)
    return updates, state


@BOTH
def test_rotated_gradients_give_rotated_steps(tx, x64):
    """Neither knows of coordinates, but for ε inside of SOAP's basis."""
    left, right = (np.linalg.qr(RNG.standard_normal((n, n)))[0] for n in (3, 4))
    found, _ = directions(tx, jnp.asarray(left @ GRADS @ right))
    straight, _ = directions(tx, jnp.asarray(GRADS))
    np.testing.assert_allclose(found, left @ np.asarray(straight) @ right, atol=1e-6)


@BOTH
def test_edge_24_phases_of_complex_gradients_are_those_of_the_steps(tx):
    """Without conjugation at its place, a side would turn the wrong way."""
    left, right = (np.exp(1j * RNG.uniform(0, 6, n)) for n in (3, 4))
    with precision("float64"):
        found, state = directions(tx, jnp.asarray(left[:, None] * GRADS * right))
        straight, _ = directions(tx, jnp.asarray(GRADS))
    np.testing.assert_allclose(found, left[:, None] * np.asarray(straight) * right, atol=1e-6)
    assert all(np.isrealobj(x) for x in jax.tree.leaves(fg.tree.get(state, "nu", 0.0)))


@BOTH
def test_edge_30_zero_statistics_then_gradients(tx):
    grads = jnp.asarray(GRADS, jnp.float32).at[:3].set(0)
    updates, state = directions(tx, grads)
    assert (updates[:3] == 0).all()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((updates, state)))
    assert np.linalg.norm(updates[-1]) > 0.1


@BOTH
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_edge_30_statistics_of_low_rank_move_nothing_else(tx, scale):
    """Gradients of rank one within two rows: rounding errors elsewhere must not become steps."""
    tall = np.zeros((6, 3, 1))
    tall[:, :2] = GRADS[:, :2, :1]
    grads = jnp.asarray(scale * tall * GRADS[:1, :1], jnp.float32)
    updates, _ = directions(tx, grads)
    assert np.isfinite(updates).all()
    assert np.max(np.abs(updates[:, 2])) < 1e-6
    across = np.linalg.svd(GRADS[0, :1])[2][1:]  # orthogonal to the rows of all gradients
    assert np.max(np.abs(updates @ across.T)) < 1e-4
    assert np.max(np.abs(updates)) > 0.1


def test_vectors_are_those_of_adam_and_of_adagrad():
    flat = jnp.asarray(GRADS[:, 0], jnp.float32)
    grads = [flat.reshape(6, *shape) for shape in ((4,), (1, 4), (4, 1))]
    grads += [flat[:, 0], jnp.zeros((6, 0, 4))]
    for tx, other in (
        (fg.scale_by_soap(0.9, 0.99), fg.scale_by_adam(0.9, 0.99)),
        (fg.scale_by_shampoo(eps=1e-3), fg.scale_by_rss(0.0, eps=1e-3)),
    ):
        for found, expected in zip(directions(tx, grads)[0], directions(other, grads)[0], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("tx", "name", "expected"),
    [
        (fg.scale_by_soap(precondition_frequency=2), "bases", [False, True, False, True, False]),  # after steps 3 and 5
        (fg.scale_by_shampoo(precondition_frequency=3), "roots", [False, False, True, False, False]),  # in step 4
    ],
    ids=["soap", "shampoo"],
)
def test_what_is_dear_changes_every_few_steps(tx, name, expected):
    def step(state, g):
        state = tx.update(g, state)[1]
        return state, getattr(state, name)[0]

    grads = jnp.asarray(GRADS, jnp.float32)
    seen = jax.jit(lambda: jax.lax.scan(step, tx.init(grads[0]), grads)[1])()
    assert [bool((a != b).any()) for a, b in itertools.pairwise(seen)] == expected
    if name == "bases":
        np.testing.assert_allclose(seen.swapaxes(1, 2) @ seen, np.broadcast_to(np.eye(3), (6, 3, 3)), atol=1e-5)


def test_powers_of_matrices_and_their_derivatives(x64):
    """Also where eigenvalues are equal, nearly equal, or zero."""
    q = jnp.asarray(np.linalg.qr(RNG.standard_normal((4, 4)))[0])
    for values in ([4.0, 3.0, 2.0, 1.0], [2.0, 2.0, 2.0, 1.0], [2.0, 2.0 + 1e-9, 1.0, 1.01]):
        h = (q * jnp.asarray(values)) @ q.T
        root = kronecker.power(h, -0.25)
        np.testing.assert_allclose(jnp.linalg.matrix_power(root, 4) @ h, np.eye(4), atol=1e-12)
        weights = jnp.asarray(GRADS[0, :3, :3] @ GRADS[1, :3, :3])
        weights = jnp.pad(weights, (0, 1))

        def f(h, weights=weights):
            return jnp.sum(weights * kronecker.power((h + h.T) / 2, -0.25))

        direction = jnp.asarray(RNG.standard_normal((4, 4)))
        slope = jnp.vdot(jax.grad(f)(h), direction)
        step = 1e-5
        numeric = (f(h + step * direction) - f(h - step * direction)) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-5)
    low = (q * jnp.asarray([1.0, 16.0, 0.0, 0.0])) @ q.T
    np.testing.assert_allclose(kronecker.power(low, -0.25), (q * jnp.asarray([1.0, 0.5, 0.0, 0.0])) @ q.T, atol=1e-12)
    assert np.isfinite(jax.grad(lambda h: jnp.sum(kronecker.power(h, -0.25)))(low)).all()


def test_factors_are_not_like_parameters():
    """They have no sharding of their own among those of the parameters."""
    params, names = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, {"w": "row", "b": "none"}
    for tx in (fg.scale_by_soap(), fg.scale_by_shampoo()):
        state = tx.init(params)
        found = fg.tree.map_params(tx, lambda m, name: name, state, names, transform_non_params=lambda x: x.shape)
        assert getattr(found, "mu", names) == names
        assert found.count == ()
        assert found.factors["w"] == ((2, 2), (3, 3))


def test_gradients_beyond_the_range_of_squares():
    for tx in (fg.scale_by_shampoo(), fg.scale_by_soap()):
        grads = jnp.asarray(GRADS, jnp.float32).at[0].multiply(1e38)
        updates, state = directions(tx, grads)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves((updates, state)))
