"""GaLore: what is projected, what is kept, and what the transform inside sees."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision

RNG = np.random.default_rng(0)
PARAMS = {
    "w": jnp.ones((4, 6)),
    "b": jnp.ones(3),
    "heads": jnp.ones((2, 6, 5)),
    "none": None,
    "empty": jnp.ones((0, 4)),
}
NUMBERS = {"w": True, "b": None, "heads": fg.GaLoreDimensionNumbers(1, 2), "none": None, "empty": True}


def gradient(seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), p.dtype), PARAMS)


def test_the_state_is_small():
    state = fg.scale_by_galore(2, weight_dimension_numbers=NUMBERS).init(PARAMS)
    shapes = {name: x.shape for name, x in state.base_optimizer_state.mu.items() if name != "none"}
    assert shapes == {"w": (2, 6), "b": (3,), "heads": (2, 6, 2), "empty": (0, 4)}
    assert state.projector["heads"].shape == (2, 5, 2)
    assert state.projector["b"] is state.projector["none"] is state.projector["empty"] is None
    whole = fg.scale_by_galore(9).init({"w": jnp.ones((4, 6))})
    assert whole.projector["w"].shape == (4, 4)


def test_heads_are_projected_one_by_one():
    tx = fg.scale_by_galore(2, weight_dimension_numbers=fg.GaLoreDimensionNumbers(1, 2))
    one, g = fg.scale_by_galore(2), gradient(0)["heads"]
    found, _ = tx.update(g, tx.init(g))
    for head, alone in zip(found, g, strict=True):
        np.testing.assert_allclose(head, one.update(alone, one.init(alone))[0], atol=1e-5)


def test_axes_taken_together():
    g = gradient(0)["heads"]
    tx, flat = fg.scale_by_galore(2, weight_dimension_numbers=fg.GaLoreDimensionNumbers(0, (1, 2))), g.reshape(2, 30)
    other = fg.scale_by_galore(2)
    found, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(found.reshape(2, 30), other.update(flat, other.init(flat))[0], atol=1e-5)


def test_projectors_change_every_few_steps_and_steps_stay_within():
    tx = fg.scale_by_galore(2, update_proj_gap=3)
    state, seen = tx.init({"w": PARAMS["w"]}), []
    for k in range(7):
        updates, state = tx.update({"w": gradient(k)["w"]}, state)
        seen.append(np.asarray(state.projector["w"]))
        np.testing.assert_allclose(seen[-1] @ seen[-1].T @ updates["w"], updates["w"], atol=1e-5)
        assert np.linalg.matrix_rank(updates["w"]) == 2
    assert [bool((a != b).any()) for a, b in itertools.pairwise(seen)] == [k in (2, 5) for k in range(6)]


def test_signs_of_singular_vectors_mean_nothing():
    """Another sign of a vector, and of its momentum, is the same state: the next projector must not tell them apart."""
    tx = fg.scale_by_galore(2, update_proj_gap=1, base_optimizer=fg.trace(0.9))
    _, state = tx.update(gradient(0)["w"], tx.init(PARAMS["w"]))
    signs = jnp.array([-1.0, 1.0])
    momentum = jax.tree.map(lambda v: signs[:, None] * v, state.base_optimizer_state)
    other = state._replace(projector=state.projector * signs, base_optimizer_state=momentum)
    one, two = (tx.update(gradient(1)["w"], s)[0] for s in (state, other))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_directions_that_a_gradient_of_low_rank_lacks_are_no_steps():
    """Adam would make steps of full length of the rounding errors there."""
    g = jnp.asarray(np.outer(RNG.standard_normal(4), RNG.standard_normal(6)), jnp.float32)
    tx = fg.scale_by_galore(3)
    u, _ = tx.update(g, tx.init(g))
    assert np.linalg.matrix_rank(u, tol=1e-4) == 1
    u, state = tx.update(jnp.zeros((4, 6)), tx.init(g))
    assert (u == 0).all()
    assert np.isfinite(state.projector).all()


def test_other_leaves_are_those_of_the_base():
    tx, base = fg.scale_by_galore(2), fg.scale_by_adam()
    state, other = tx.init(PARAMS), base.init(PARAMS)
    for k in range(3):
        updates, state = tx.update(gradient(k), state, PARAMS)
        expected, other = base.update(gradient(k), other)
        for name in ("b", "heads", "empty"):
            np.testing.assert_allclose(updates[name], expected[name], rtol=1e-6)


def test_complex_matrices_keep_their_phases():
    left, right = (np.exp(1j * RNG.uniform(0, 6, n)) for n in (4, 6))
    real = np.asarray(gradient(0)["w"], np.float64)
    base = fg.chain(fg.trace(0.9))  # linear: phases of singular vectors are arbitrary, Adam's moments are not
    with precision("float64"):
        for g in (real, real.T):
            turn = left[:, None] * right if g is real else right[:, None] * left
            tx = fg.scale_by_galore(2, base_optimizer=base)
            found, _ = tx.update(jnp.asarray(turn * g), tx.init(jnp.asarray(turn * g)))
            straight, _ = tx.update(jnp.asarray(g), tx.init(jnp.asarray(g)))
            np.testing.assert_allclose(found, turn * np.asarray(straight), atol=1e-10)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fg.galore(0.1, base_optimizer=fg.adamw(0.1)), "`base_optimizer` must be a direction .* needs params"),
        (lambda: fg.galore(0.1, base_optimizer=3), "expected a transform"),
        (lambda: fg.galore(0.1, rank=0), "galore: `rank`: expected at least 1"),
        (
            lambda: fg.galore(0.1, weight_dimension_numbers=fg.GaLoreDimensionNumbers(0, 0)).init(PARAMS),
            "scale_by_galore: `weight_dimension_numbers` of 'b'",
        ),
    ],
)
def test_errors(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()
