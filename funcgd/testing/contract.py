"""The contract that every transform must meet, ours and yours."""

import copy
import dataclasses
import functools
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.core.numerics import wide_dtype
from funcgd.core.values import Held
from funcgd.testing.fixtures import SCENARIOS, gradients, objective, params_tree, precision

LOW = ("bfloat16", "float16")


def check_transform(
    tx: Any,
    *,
    dtypes: Sequence[str] = ("float32", "bfloat16", "float16", "float64"),
    elementwise: bool = True,
    differentiable: bool = True,
    stochastic: bool = False,
    code: bool = True,
    extra: dict[str, Any] | None = None,
) -> None:
    """Hold `tx` to the contract of transforms.

    - its state keeps structure, shapes, dtypes and weak types, and is compiled once, whatever its numbers;
    - jit, eager, scan and vmap agree; `eval_shape(tx.init, params)` works; nothing is aliased, so all may be donated;
    - zero, tiny and huge gradients leave the state finite, and zero gradients give zero updates (but for decay);
    - updates of low-precision parameters are float32, others keep their dtype, mixed trees too;
    - empty trees, None leaves, scalars, zero-size arrays and nested nodes work; `init, update = tx` unpacks;
    - it prints as code, compares, hashes, pickles and copies, also after a pass through jit;
    - `vmap` and `grad` with respect to each of its numbers work, also at zero gradients;
    - wrong input gives an error that names the place.

    Args:
        tx: the transform.
        dtypes: the dtypes of parameters to check.
        elementwise: whether entries do not influence each other; then a NaN in one leaf must leave all others alone.
        differentiable: whether updates are differentiable in reverse mode with respect to the numbers of `tx`; else
            they must be so in forward mode.
        stochastic: whether it draws random numbers; then zero gradients may give other updates than zero, but the same
            state must give the same update, and no two leaves and no two steps the same noise.
        code: whether `repr` is code: False where static parts have no name.
        extra: keyword arguments that its `update` needs, beside `value`, `grad` and `value_fn`.

    Raises:
        AssertionError: naming the first clause that does not hold, and the dtype.

    >>> import funcgd as fg
    >>> from funcgd.testing import check_transform
    >>> check_transform(fg.sgd(0.1), dtypes=("float32",))
    """
    extra = extra or {}
    for dtype in dtypes:
        with precision(dtype):
            check_numbers(tx, dtype, elementwise, stochastic, extra)
    check_state(tx, extra)
    check_shapes(tx, extra)
    check_value(tx, code)
    check_hyperparameters(tx, differentiable, extra)
    check_errors(tx, extra)


def _demand(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _extras(tx: Any, grads: Any, params: Any, extra: dict[str, Any]) -> dict[str, Any]:
    """What `update` needs: of an objective with these gradients, and what the caller gives."""
    offered = objective(params, grads) if tx.needs - {"params"} else {}
    return {**{name: x for name, x in offered.items() if name in _needs(tx)}, **extra}


def _needs(tx: Any) -> set[str]:
    return {name for need in tx.needs for name in need.split(" or ")}


def _given(tx: Any, grads: Any) -> Any:
    """`grads` as `tx` takes them: where it wants those of examples, of one example."""
    return jax.tree.map(lambda g: g[None], grads) if tx.per_example else grads


def _run(tx: Any, params: Any, grads: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
    """All updates along the leading axis of `grads`, and the last state."""

    def step(state: Any, g: Any) -> tuple[Any, Any]:
        updates, state = tx.update(_given(tx, g), state, params, **_extras(tx, g, params, extra))
        return state, updates

    state, updates = jax.lax.scan(step, tx.init(params), grads)
    return updates, state


_scenarios = jax.jit(jax.vmap(_run, in_axes=(None, None, 0, None)))

_one = jax.jit(_run)


def _pick(tree: Any, *index: int) -> Any:
    return jax.tree.map(lambda x: x[index], tree)


def check_numbers(tx: Any, dtype: str, elementwise: bool, stochastic: bool, extra: dict[str, Any]) -> None:
    """Finite, zero where the gradient is, of the right dtype, eager as compiled, and a NaN stays where it is."""
    who = f"{type(tx).__name__} on {dtype}"
    params = params_tree(dtype)
    state = tx.init(params)
    stored_low = any(x.dtype.name in LOW for x in jax.tree.leaves(state))
    rounded = stored_low or (dtype in LOW and "value_fn" in _needs(tx))  # so one rounding may fall either way
    tolerance = 0.05 if rounded else 1e-5 if dtype != "float64" else 1e-12
    grads = gradients(params, dtype, 1e30 if stored_low else np.inf)
    updates, states = _scenarios(tx, params, _with_nan(grads), extra)
    for leaf, p in zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True):
        _demand(leaf.dtype == wide_dtype(p.dtype), f"{who}: updates must be {wide_dtype(p.dtype)}, got {leaf.dtype}.")
    chex.assert_trees_all_equal_structs(_pick(updates, 0, 0), params)
    for i, scenario in enumerate(SCENARIOS):
        for what, tree in (("state", states), ("updates", updates)):
            finite = all(np.isfinite(np.asarray(x[i], np.float64)).all() for x in jax.tree.leaves(tree) if _floating(x))
            _demand(finite, f"{who}: {what} must stay finite after {scenario} gradients.")
    if stochastic:
        check_noise(who, jax.tree.map(lambda u: u[1, :2], updates))
    else:
        still = jax.tree.map(jnp.zeros_like, params) if "params" in tx.needs else params  # where nothing decays
        zero = updates if still is params else _scenarios(tx, still, _with_nan(grads), extra)[0]
        none = all((np.asarray(u[1, :2]) == 0).all() for u in jax.tree.leaves(zero))
        where = "" if still is params else " at zero parameters"
        _demand(none, f"{who}: zero gradients{where} must give zero updates.")

    for t in range(1 if "value_fn" in _needs(tx) else 2):  # eager; where a loop is inside, each compiles it
        g = _pick(grads, 0, t)
        update, state = tx.update(_given(tx, g), state, params, **_extras(tx, g, params, extra))
        chex.assert_trees_all_close(update, _pick(updates, 0, t), rtol=tolerance, atol=tolerance)
        chex.assert_trees_all_equal_shapes_and_dtypes(fg.apply_updates(params, update), params)

    if elementwise:
        spoilt = _pick(updates, -1)
        del spoilt["w"]
        chex.assert_tree_all_finite(spoilt)
    if dtype == "bfloat16":  # gradients may come in another precision than the parameters
        as_float32 = jax.tree.map(lambda g: g.astype(jnp.float32), _pick(grads, 0))
        u, _ = _one(tx, params, as_float32, extra)
        chex.assert_trees_all_close(u, _pick(updates, 0), rtol=tolerance, atol=tolerance)


def check_noise(who: str, updates: Any) -> None:
    """What is drawn at zero gradients, along a leading axis of steps, is of another key for each leaf and step."""
    drawn = [np.asarray(u, np.float64).ravel()[:1] for leaf in jax.tree.leaves(updates) for u in leaf if u.size]
    drawn = [float(u[0]) for u in drawn if u[0] != 0]
    _demand(len(set(drawn)) == len(drawn), f"{who}: every leaf and every step must draw from a key of its own.")


def _with_nan(grads: Any) -> Any:
    """`grads` with one scenario more: the first again, with NaN in a leaf at the first step."""
    spoilt = _pick(grads, 0)
    spoilt["w"] = spoilt["w"].at[0].set(jnp.nan)
    return jax.tree.map(lambda g, s: jnp.concatenate([g, s[None]]), grads, spoilt)


def _floating(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def check_state(tx: Any, extra: dict[str, Any]) -> None:
    """The state is a fixed point of update, compiled once, abstract and donatable."""
    who = type(tx).__name__
    params = params_tree(jnp.float32)
    grads = _pick(gradients(params, jnp.float32), 0, 0)
    state = tx.init(params)
    avals = _avals(state)
    _demand(avals == _avals(jax.eval_shape(tx.init, params)), f"{who}: eval_shape(init) must agree with init.")
    buffers = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(params) if x.size}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        alias = leaf.size and leaf.unsafe_buffer_pointer() in buffers
        _demand(not alias, f"{who}: the state aliases the parameters at {jax.tree_util.keystr(path)}.")
    traces = []

    def step(params: Any, state: Any, tx: Any) -> tuple[Any, Any]:
        traces.append(1)
        updates, state = tx.update(_given(tx, grads), state, params, **_extras(tx, grads, params, extra))
        return fg.apply_updates(params, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1))
    params = jax.tree.map(jnp.copy, params)
    for scale in (1.0, 0.5, 0.9):  # other numbers
        params, state = compiled(params, state, _scaled(tx, scale))
        _demand(
            _avals(state) == avals, f"{who}: update must keep the state's structure, shapes, dtypes and weak types."
        )
    _demand(len(traces) == 1, f"{who}: must be compiled once, was traced {len(traces)} times.")


def _avals(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(x.shape, x.dtype, getattr(x, "weak_type", False)) for x in leaves]


def _scaled(tx: Any, scale: float) -> Any:
    return jax.tree.map(lambda x: scale * x, tx)


def check_shapes(tx: Any, extra: dict[str, Any]) -> None:
    """Trees without leaves, trees that are one leaf, mixed dtypes; and the pair that unpacks."""
    init, update = tx
    trees = [{}, (), jnp.ones(()), {"a": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)}]
    if "params" not in tx.needs:  # where None means that there are none
        trees.append(None)
    for params in trees:
        grads = jax.tree.map(jnp.ones_like, params)
        updates, state = update(_given(tx, grads), init(params), params, **_extras(tx, grads, params, extra))
        chex.assert_trees_all_equal_structs(updates, params)
        _demand(_avals(state) == _avals(init(params)), f"{type(tx).__name__}: update must keep the state of {params}.")
        chex.assert_trees_all_equal_shapes_and_dtypes(fg.apply_updates(params, updates), params)


def check_value(tx: Any, code: bool) -> None:
    """A value: printed as code, compared by content, hashed, pickled, copied, replaced; also after jit."""
    through_jit = jax.jit(lambda x: x)(tx)
    for other in (
        through_jit,
        copy.deepcopy(tx),
        dataclasses.replace(tx),
        pickle.loads(pickle.dumps(tx)) if code else tx,
    ):
        _demand(other == tx, f"{tx!r} must equal {other!r}.")
        _demand(hash(other) == hash(tx), f"equal values must have equal hashes: {tx!r}.")
        _demand(repr(other) == repr(tx), f"{tx!r} must print alike, got {other!r}.")
    leaves = jax.tree.leaves(tx)
    if leaves:
        _demand(_scaled(tx, 0.5) != tx or not any(leaves), "values with other numbers must differ.")
    if code:
        names = {**vars(fg), **{type(x).__name__: type(x) for x in _parts(tx)}}
        _demand(eval(repr(tx), names) == tx, f"repr must be code: {tx!r}.")


def _parts(x: Any) -> Iterator[Any]:
    if isinstance(x, Held):
        yield x.item
    elif isinstance(x, tuple) or (dataclasses.is_dataclass(x) and not isinstance(x, type)):
        yield x
        children = x if isinstance(x, tuple) else (getattr(x, f.name) for f in dataclasses.fields(x))
        for child in children:
            yield from _parts(child)


def check_hyperparameters(tx: Any, differentiable: bool, extra: dict[str, Any]) -> None:
    """A stack of it under vmap gives what its members give; gradients with respect to its numbers are finite."""
    if not jax.tree.leaves(tx):
        return
    params = {name: leaf for name, leaf in params_tree(jnp.float32).items() if name in ("by_number", "w")}
    grads = gradients(params, jnp.float32)
    members = [tx, _scaled(tx, 0.9)]
    tolerance = 0.05 if any(x.dtype.name in LOW for x in jax.tree.leaves(tx.init(params))) else 1e-5
    batched, _ = jax.jit(jax.vmap(_run, in_axes=(0, None, None, None)))(
        fg.stack(members), params, _pick(grads, 0), extra
    )
    for i, member in enumerate(members):
        alone, _ = _one(member, params, _pick(grads, 0), extra)
        chex.assert_trees_all_close(_pick(batched, i), alone, rtol=tolerance, atol=tolerance)

    def energy(tx: Any, grads: Any) -> Any:
        updates, _ = _run(tx, params, grads, extra)
        return sum(jnp.sum(u**2) for u in jax.tree.leaves(updates))

    if differentiable:
        two = jax.tree.map(lambda g: g[jnp.array([0, 1, 4])], grads)
        slopes = jax.jit(jax.vmap(jax.grad(energy), in_axes=(None, 0)))(tx, two)
        _demand(jax.tree.structure(slopes) == jax.tree.structure(tx), "the gradient must be such a value itself.")
    else:
        ones, g = jax.tree.map(jnp.ones_like, tx), _pick(grads, 0)
        slopes = jax.jit(lambda tx: jax.jvp(lambda tx: energy(tx, g), (tx,), (ones,)))(tx)
    chex.assert_tree_all_finite(slopes)


def check_errors(tx: Any, extra: dict[str, Any]) -> None:
    """Wrong input gives an error that names the transform and the place."""
    name = getattr(tx, "title", type(tx).__name__)
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    state = tx.init(params)

    def fails(call: Any, *words: str) -> None:
        try:
            call()
        except (TypeError, ValueError) as error:
            for word in (name, *words):
                _demand(word in str(error), f"{name}: the error must name {word!r}, got: {error}")
        else:
            raise AssertionError(f"{name}: expected an error that names {words}.")

    extras = _extras(tx, params, params, extra)

    def update(grads: Any, state: Any = state, params: Any = params) -> Any:
        return lambda: tx.update(_given(tx, grads), state, params, **extras)

    fails(lambda: tx.init({"w": jnp.arange(3)}), "params['w']", "int32")
    fails(lambda: tx.init({"w": jnp.ones(2, bool)}), "params['w']", "bool")
    fails(update({"w": params["w"]}), "grads['b']", "params")
    fails(update({**params, "w": jnp.ones((3, 2))}), "grads['w']", "(2, 3)", "(3, 2)")
    fails(update({**params, "w": jnp.ones((2, 3), int)}), "grads['w']", "int32")
    fails(update(params, state=(state, "not a state")), "state")
    if "params" in tx.needs:
        fails(update(params, params=None), "params")
    for need in sorted(tx.needs - {"params"}):
        names = need.split(" or ")
        less = {name: x for name, x in extras.items() if name not in names}
        fails(functools.partial(tx.update, _given(tx, params), state, params, **less), *names)
