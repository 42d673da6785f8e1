"""Running moments of trees, their dtypes, and the parts of states that are like the parameters."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS

G = {"w": jnp.array([3.0, -4.0]), "z": jnp.array(3 + 4j), "low": jnp.full(2, 0.5, jnp.bfloat16), "frozen": None}
M = {"w": jnp.ones(2), "z": jnp.array(1 + 0j), "low": jnp.ones(2), "frozen": None}


def test_moments():
    found = fg.tree.update_moment(G, M, 0.75, 2)
    np.testing.assert_allclose(found["w"], 0.75 + 0.25 * np.array([9.0, 16.0]))
    np.testing.assert_allclose(found["z"], 0.75 + 0.25 * (3 + 4j) ** 2)
    np.testing.assert_allclose(found["low"], 0.75 + 0.25 * 0.25)
    assert found["low"].dtype == jnp.float32
    assert found["frozen"] is None
    for order, expected in ((1, 5.0), (2, 25.0), (3, 125.0)):
        found = fg.tree.update_moment_per_elem_norm(G, {**M, "z": jnp.float32(1.0)}, 0.75, order)
        np.testing.assert_allclose(found["z"], 0.75 + 0.25 * expected, rtol=1e-6)
    found = fg.tree.update_infinity_moment(G, {**M, "w": jnp.array([1.0, 8.0]), "z": jnp.float32(1.0)}, 0.75, 0.5)
    assert found["w"].tolist() == [3.5, 6.0]
    assert found["z"] == 5.5


def test_bias_correction_keeps_digits_and_dtypes():
    rate = 1e-7
    decay = 1 - rate
    for t in (1, 10, 10**6):
        m = {"w": jnp.float32(-np.expm1(t * np.log1p(-rate)))}
        np.testing.assert_allclose(fg.tree.bias_correction(m, decay, t)["w"], 1, rtol=1e-6)
    assert fg.tree.bias_correction({"w": jnp.zeros(2)}, 0.9, jnp.int32(0))["w"].tolist() == [0.0, 0.0]
    assert fg.bias_correction(G["low"], 0.5, 1).tolist() == [1.0, 1.0]
    assert fg.bias_correction(G["low"], 0.5, 1).dtype == jnp.bfloat16


def test_dtypes():
    half, brain, single = (jnp.ones(2, d) for d in (jnp.float16, jnp.bfloat16, jnp.float32))
    assert fg.tree.dtype({}) == fg.tree.dtype({"a": single, "b": None}) == jnp.float32
    mixed = {"a": single, "b": brain}
    assert fg.tree.dtype(mixed, "promote") == fg.tree.dtype(mixed, "highest") == jnp.float32
    assert fg.tree.dtype(mixed, "lowest") == jnp.bfloat16
    assert fg.tree.dtype([half, brain], "promote") == jnp.float32
    for handler, words in ((None, "one dtype"), ("highest", "a highest dtype"), ("lowest", "a lowest dtype")):
        said = f"tree.dtype: the leaves must have {words}, got float16, bfloat16."
        with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
            fg.tree.dtype([half, brain], handler)
    with pytest.raises(ValueError, match=r"^tree\.dtype: `mixed_dtype_handler` must be None, .* got 'largest'"):
        fg.tree.dtype(mixed, "largest")


PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
NAMES = {"w": "W", "b": "B"}


def named(tx, init=False):
    """The state of `tx` with the names of parameters where it is like them."""
    return fg.tree.map_params(
        tx.init if init else tx,
        lambda m, name: (name, m.shape),
        tx.init(PARAMS),
        NAMES,
        transform_non_params=lambda x: None,
    )


LIKE = {"w": ("W", (2, 3)), "b": ("B", (3,))}


@pytest.mark.parametrize("init", [False, True])
def test_moments_are_like_the_parameters(init):
    assert named(fg.adam(0.1), init)[0] == fg.ScaleByAdamState(None, LIKE, LIKE)
    assert named(fg.chain(fg.clip(1.0), fg.sgd(0.1, momentum=0.9)), init)[1][0].trace == LIKE


def test_parts_of_states_behind_masks_and_groups():
    only_w = {"w": ("W", (2, 3)), "b": None}
    for mask in ("w", {"w": True, "b": False}, lambda params: jax.tree.map(lambda p: p.ndim == 2, params)):
        assert named(fg.masked(fg.trace(0.9), mask)).inner_state.trace == only_w
    tx = fg.partition({"one": fg.adam(0.1), "two": fg.sgd(0.1)}, fg.path_labels({"one": "w", "two": "b"}))
    assert named(tx).inner_states["one"][0].mu == only_w
    state = named(fg.MultiSteps(fg.adam(0.1), 2))
    assert (state.acc_grads, state.inner_opt_state[0].nu, state.mini_step) == (LIKE, LIKE, None)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_states_of_all_optimizers(row):
    """What has the shape of a parameter of its name is found, whatever the optimizer; nothing is lost."""
    for tx in (row.example, *row.variants):
        state = jax.eval_shape(tx.init, PARAMS)
        found = fg.tree.map_params(tx, lambda m, name: f"{name} {m.shape}", state, NAMES)
        assert jax.tree.structure(found) == jax.tree.structure(state)
        for (path, leaf), kind in zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(found), strict=True):
            if leaf.shape == (2, 3) and path[-1] == jax.tree_util.DictKey("w"):
                assert kind == "W (2, 3)", jax.tree_util.keystr(path)


def test_other_leaves_stay_or_are_transformed():
    tx, state = fg.adam(0.1), fg.adam(0.1).init(PARAMS)
    doubled = fg.tree_map_params(tx, lambda m: m + 1, state)
    assert doubled[0].count is state[0].count
    assert doubled[0].mu["b"].tolist() == [1.0] * 3
    tx = fg.masked(fg.trace(0.9), "w")
    found = fg.tree.map_params(
        tx, lambda m: "outside" if m is None else "in", tx.init(PARAMS), is_leaf=lambda x: isinstance(x, fg.MaskedNode)
    )
    assert found.inner_state.trace == {"w": "in", "b": "outside"}
