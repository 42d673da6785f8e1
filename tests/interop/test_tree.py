"""Tree utilities of optax's names have its results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")
optax_tree = pytest.importorskip("optax.tree")

X = {"a": jnp.float32([1, -2]), "b": (jnp.float32(4), None)}
Y = {"a": jnp.float32([3, 5]), "b": (jnp.float32(-2), None)}
KEY = jax.random.key(0)
CALLS = {
    "add": [(X, Y, X)],
    "add_scale": [(X, 0.5, Y)],
    "allclose": [(X, Y), (X, Y, 10.0)],
    "batch_shape": [(X, (2, 3)), (X,)],
    "bias_correction": [(X, 0.9, 3)],
    "cast": [(X, jnp.float16)],
    "cast_like": [(X, Y)],
    "clip": [(X, -1.0, 3.0)],
    "conj": [(X,)],
    "div": [(X, Y)],
    "dtype": [(X,), ({},), ({**X, "low": jnp.bfloat16(1)}, "promote"), ({**X, "low": jnp.bfloat16(1)}, "lowest")],
    "full_like": [(X, 3)],
    "max": [(X,)],
    "min": [(X,)],
    "mul": [(X, Y)],
    "norm": [(X,), (X, 1), (X, "inf"), (X, None, True)],
    "ones_like": [(X,)],
    "random_like": [(KEY, X)],
    "real": [(X,)],
    "scale": [(2.0, X)],
    "size": [(X,)],
    "split_key_like": [(KEY, X)],
    "sub": [(X, Y)],
    "sum": [(X,)],
    "unwrap_random_key_data": [({"key": KEY, "w": jnp.ones(2)},)],
    "update_infinity_moment": [(X, Y, 0.9, 1e-3)],
    "update_moment": [(X, Y, 0.9, 1), (X, Y, 0.9, 2)],
    "update_moment_per_elem_norm": [(X, Y, 0.9, 2)],  # of odd order, that of Optax has signs
    "vdot": [(X, Y)],
    "where": [(True, X, Y)],
    "zeros_like": [(X,)],
}


@pytest.mark.parametrize("name", CALLS)
def test_same_names_same_trees(name):
    for arguments in CALLS[name]:
        ours, theirs = (getattr(tree, name)(*arguments) for tree in (fg.tree, optax_tree))
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        if name == "dtype":
            assert ours == theirs
            continue
        for x, y in zip(
            *(map(fg.tree.unwrap_random_key_data, jax.tree.leaves(t)) for t in (ours, theirs)), strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-6)


def test_the_same_fields_are_set():
    tx = fg.adam(0.1)
    state = tx.init({"w": jnp.ones(2)})
    ours, theirs = (tree.set(state, count=jnp.int32(3)) for tree in (fg.tree, optax_tree))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_the_same_parts_of_states_are_like_the_parameters():
    def make(library):
        steps = library.MultiSteps(library.sgd(0.1, momentum=0.9), 2)
        return library.chain(library.clip(1.0), library.adam(0.1), steps)

    def marks(library):
        tx, names = make(library), {"w": "W", "b": ("B",)}
        state = tx.init({"w": jnp.ones(2), "b": (jnp.ones(3),)})
        return library.tree_map_params(tx, lambda x, n: n, state, names, transform_non_params=lambda _: "-")

    ours, theirs = marks(fg), marks(optax)
    assert fg.tree.get(ours, "mu") == optax_tree.get(theirs, "mu") == {"w": "W", "b": ("B",)}
    for name in ("nu", "trace", "acc_grads", "mini_step"):
        assert fg.tree.get(ours, name) == optax_tree.get(theirs, name), name
