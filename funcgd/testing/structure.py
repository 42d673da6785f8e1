"""The clauses about trees: states, shapes, dtypes, errors. Nothing is computed here but a few eager `init`s."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

import funcgd as fg
from funcgd.testing.common import avals, demand, extras, given, title, update
from funcgd.testing.fixtures import params_tree

LEAVES, DEPTH = 100, 50


def check_state(tx: Any, extra: dict[str, Any]) -> None:
    """The state is made without values, aliases nothing, and is kept whatever the precision of the gradients."""
    who = type(tx).__name__
    params = params_tree(("float32", "bfloat16"))
    state = tx.init(params)
    demand(avals(state) == avals(jax.eval_shape(tx.init, params)), f"{who}: eval_shape(init) must agree with init.")
    taken = {x.unsafe_buffer_pointer(): f"the parameters{path}" for path, x in _buffers(params)}
    for path, x in _buffers(state):
        buffer = x.unsafe_buffer_pointer()
        demand(buffer not in taken, f"{who}: the state{path} aliases {taken.get(buffer)}, so they cannot be donated.")
        taken[buffer] = f"the state{path}"
    exchanged = jax.tree.map(lambda p: p.astype("bfloat16" if p.dtype == jnp.float32 else "float32"), params)
    _, _, after = _abstract_update(tx, exchanged, params, extra)
    demand(avals(after) == avals(state), f"{who}: update must keep the state where gradients have another precision.")


def _buffers(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), x) for path, x in leaves if x.size]


def _abstract_update(tx: Any, grads: Any, params: Any, extra: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The parameters after an update, and the states before and after it, as shapes."""

    def once(grads: Any, params: Any) -> tuple[Any, Any, Any]:
        before = tx.init(params)
        updates, after = update(tx, grads, before, params, extra)
        return fg.apply_updates(params, updates), before, after

    return jax.eval_shape(once, grads, params)


def check_shapes(tx: Any, extra: dict[str, Any]) -> None:
    """Trees without leaves, that are one leaf, of mixed dtypes, with many leaves, deep; and the pair that unpacks."""
    demand(tuple(tx) == (tx.init, tx.update), f"{title(tx)}: `init, update = tx` must unpack.")
    deep = functools.reduce(lambda tree, i: [tree] if i % 2 else {"in": tree}, range(DEPTH), jnp.ones(2))
    trees = [
        {},
        (),
        jnp.ones(()),
        {"a": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)},
        {"many": [jnp.ones(2)] * (LEAVES - 1), "deep": deep},
    ]
    if "params" not in tx.needs:  # where None means that there are none
        trees.append(None)
    for params in trees:
        moved, before, after = _abstract_update(tx, params, params, extra)
        where = f"a tree with {jax.tree.structure(params).num_leaves} leaves"
        demand(avals(moved) == avals(params), f"{title(tx)}: apply_updates must keep structure and dtypes of {where}.")
        demand(avals(after) == avals(before), f"{title(tx)}: update must keep the state of {where}.")


def check_errors(tx: Any, complex_ok: bool, extra: dict[str, Any]) -> None:
    """Wrong input gives an error that names the transform and the place."""
    name = title(tx)
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    state = tx.init(params)

    def fails(call: Any, *words: str, who: str = name) -> None:
        try:
            call()
        except (TypeError, ValueError) as error:
            for word in (who, *words):
                demand(word in str(error), f"{name}: the error must name {word!r}, got: {error}")
        else:
            raise AssertionError(f"{name}: expected an error that names {words}.")

    known = extras(tx, params, params, extra)

    def updating(grads: Any, state: Any = state, params: Any = params) -> Any:
        return lambda: tx.update(given(tx, grads), state, params, **known)

    fails(lambda: tx.init({"w": jnp.arange(3)}), "params['w']", "int32")
    fails(lambda: tx.init({"w": jnp.ones(2, bool)}), "params['w']", "bool")
    fails(lambda: tx.init({"w": jax.random.key(0)}), "params['w']", "key")
    if not complex_ok:
        fails(lambda: tx.init({"w": jnp.ones(2, "complex64")}), "params['w']", "complex64", "real", who="")
    fails(updating({"w": params["w"]}), "grads['b']", "params")
    fails(updating({**params, "w": jnp.ones((3, 2))}), "grads['w']", "(2, 3)", "(3, 2)")
    fails(updating({**params, "w": jnp.ones((2, 3), int)}), "grads['w']", "int32")
    fails(updating(params, state=(state, "not a state")), "state")
    if "params" in tx.needs:
        fails(updating(params, params=None), "params")
    for need in sorted(tx.needs - {"params"}):
        names = need.split(" or ")
        less = {name: x for name, x in known.items() if name not in names}
        fails(functools.partial(tx.update, given(tx, params), state, params, **less), *names)
