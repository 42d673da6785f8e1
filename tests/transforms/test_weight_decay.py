"""Weight decay and the masks that choose where it acts."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

PARAMS = {"layer": {"w": jnp.full((2, 2), 4.0), "b": jnp.full(2, 4.0)}, "head": (jnp.float32(4), None)}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)


def matrices(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


def decayed(mask=None, weight_decay=0.5, params=PARAMS, grads=GRADS):
    """Which leaves became g + λθ = 3, the others staying 1."""
    tx = fg.add_decayed_weights(weight_decay, mask)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    (w, b, head) = updates["layer"]["w"], updates["layer"]["b"], updates["head"][0]
    assert {*np.unique(w), *np.unique(b), float(head)} <= {1.0, 3.0}
    return bool(w[0, 0] == 3), bool(b[0] == 3), bool(head == 3)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, (True, True, True)),
        (True, (True, True, True)),
        (False, (False, False, False)),
        ({"layer": {"w": True, "b": False}, "head": (True, None)}, (True, False, True)),
        ({"layer": {"w": True, "b": False}, "head": (False, None)}, (True, False, False)),
        ({"layer": True, "head": False}, (True, True, False)),  # a prefix
        ({"layer": False, "head": (True, True)}, (False, False, True)),  # True where there is nothing
        (matrices, (True, False, False)),
        (lambda params: {"layer": False, "head": True}, (False, False, True)),
    ],
)
def test_masks(mask, expected):
    assert decayed(mask) == expected
    assert decayed(mask, weight_decay=lambda step: 0.5) == expected


@pytest.mark.parametrize("mask", [{"layer": True}, {"layer": {"w": True}, "head": True}, (True, False), [True]])
def test_masks_that_do_not_fit(mask):
    for chosen in (mask, lambda params: mask):
        with pytest.raises(ValueError, match=r"^add_decayed_weights: `mask` must be a prefix of the parameters' tree"):
            decayed(chosen)


@pytest.mark.parametrize(
    "mask", [1, {"layer": "all", "head": "all"}, {"layer": 1.0, "head": True}, jnp.ones(2, bool), np.True_], ids=repr
)
def test_masks_of_anything_but_booleans(mask):
    with pytest.raises(TypeError, match=r"^add_decayed_weights: `mask`: expected a pytree of True and False"):
        fg.add_decayed_weights(0.5, mask)
    with pytest.raises(TypeError, match=r"^add_decayed_weights: `mask`: expected a pytree of True and False"):
        decayed(lambda params: mask)


def test_params_are_needed():
    tx = fg.add_decayed_weights(0.5)
    with pytest.raises(ValueError, match=r"^add_decayed_weights\.update: needs `params`"):
        tx.update(GRADS, tx.init(PARAMS))


def test_decay_in_low_precision_is_exact_in_float32():
    """1 + 1e-3·3 = 1.003 is no bfloat16, whose spacing there is 2⁻⁷; leaves without decay become float32 too."""
    params = {"w": jnp.full(2, 3, jnp.bfloat16), "b": jnp.full(2, 3, jnp.bfloat16)}
    grads = {"w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.bfloat16)}
    tx = fg.add_decayed_weights(1e-3, mask={"w": True, "b": False})
    updates, _ = tx.update(grads, tx.init(params), params)
    np.testing.assert_allclose(updates["w"], 1.003, rtol=1e-7)
    assert updates["b"].tolist() == [1, 1]
    assert updates["w"].dtype == updates["b"].dtype == jnp.float32


def test_precision_of_leaves_without_decay(x64):
    """A float32 gradient of a float64 parameter leaves as float64, with decay or without."""
    params, grads = {"w": jnp.ones(1), "b": jnp.ones(1)}, {"w": jnp.ones(1, "float32"), "b": jnp.ones(1, "float32")}
    tx = fg.add_decayed_weights(0.5, mask={"w": True, "b": False})
    updates, _ = tx.update(grads, tx.init(params), params)
    assert updates["w"].dtype == updates["b"].dtype == jnp.float64


def test_complex_parameters():
    tx = fg.add_decayed_weights(0.5)
    updates, _ = tx.update(jnp.array([1j]), tx.init(jnp.array([4 + 2j])), jnp.array([4 + 2j]))
    assert updates.tolist() == [2 + 2j]


def test_scheduled_decay_starts_with_the_schedule_at_zero():
    tx = fg.add_decayed_weights(lambda step: 0.5 ** step.astype(jnp.float32))
    state = tx.init(0.0)
    for k in range(3):
        updates, state = tx.update(jnp.float32(1), state, jnp.float32(8))
        assert updates == 1 + 8 * 0.5**k
    assert state == fg.ScaleByScheduleState(jnp.int32(3))


def test_without_decay_nothing_changes():
    tx = fg.add_decayed_weights()
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    assert jax.tree.all(jax.tree.map(np.array_equal, updates, GRADS))
    with pytest.raises(ValueError, match=r"^add_decayed_weights: `weight_decay` must be in \[0, inf\), got -0\.5\.$"):
        fg.add_decayed_weights(-0.5)


def test_masked_decay_is_a_value():
    mask = {"layer": {"w": True, "b": False}, "head": (True, None)}
    tx = fg.add_decayed_weights(0.5, mask)
    assert tx == fg.add_decayed_weights(0.5, copy.deepcopy(mask))
    assert hash(tx) == hash(fg.add_decayed_weights(0.5, copy.deepcopy(mask)))
    assert tx != fg.add_decayed_weights(0.5, {"layer": {"w": True, "b": True}, "head": (True, None)})
    assert tx != fg.add_decayed_weights(0.5)
    assert repr(tx) == f"add_decayed_weights(weight_decay=0.5, mask={mask!r})"
    assert eval(repr(tx), vars(fg).copy()) == tx
    assert pickle.loads(pickle.dumps(tx)) == copy.deepcopy(tx) == tx
    assert jax.tree.leaves(tx) == [0.5]


def test_order_in_a_chain_decides_between_decay_and_penalty():
    """Decay before the learning rate is scaled by it; before a momentum it passes through it."""
    rate, decay, theta = 0.1, 0.5, jnp.float32(2)
    decoupled = fg.chain(fg.trace(0.9), fg.add_decayed_weights(decay), fg.scale_by_learning_rate(rate))
    penalty = fg.chain(fg.add_decayed_weights(decay), fg.trace(0.9), fg.scale_by_learning_rate(rate))
    found = []
    for tx in (decoupled, penalty):
        state = tx.init(theta)
        for _ in range(2):
            updates, state = tx.update(jnp.float32(1), state, theta)
        found.append(float(updates))
    np.testing.assert_allclose(found, [-0.1 * (1.9 + 1), -0.1 * 1.9 * (1 + 1)], rtol=1e-6)


def test_cautious_decay_leaves_out_what_the_update_takes_away_from_zero():
    theta, g = jnp.array([2.0, -2.0, 2.0, -2.0, 2.0, 0.0]), jnp.array([1.0, -1e-30, -1.0, 1.0, 0.0, 1.0])
    tx = fg.add_decayed_weights(0.5, cautious=True)
    updates, _ = tx.update(g, tx.init(theta), theta)
    np.testing.assert_allclose(updates, [2.0, -1.0, -1.0, 1.0, 1.0, 1.0])
    theta, g = jnp.array([1j, 1j, 1 + 1j]), jnp.array([1 + 1j, 1 - 1j, 1 - 1j])  # by the real inner product
    updates, _ = tx.update(g, tx.init(theta), theta)
    np.testing.assert_allclose(updates - g, [0.5j, 0j, 0.5 + 0.5j])
    masked = fg.add_decayed_weights(0.5, {"w": True, "b": False}, cautious=True)
    params = {"w": jnp.array(2.0), "b": jnp.array(2.0)}
    updates, _ = masked.update(params, masked.init(params), params)
    assert jax.tree.map(float, updates) == {"w": 3.0, "b": 2.0}
    assert repr(tx) == "add_decayed_weights(weight_decay=0.5, cautious=True)"
