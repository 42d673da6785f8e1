"""The clauses about a transform as a value, and about its numbers: ranges, schedules, derivatives."""

import copy
import dataclasses
import pickle
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.core.values import Held, data_fields
from funcgd.testing.common import demand, is_close, needs, renewed, scaled, title, update

DERIVED = 5  # steps that are differentiated through
CURVATURE = 1e-12  # of what they descend: the derivative of g / √(g² + ε) at 0 is 1/√ε, and five of them are multiplied


def check_value(tx: Any, code: bool) -> None:
    """A value: printed as code, compared by content, hashed, pickled, copied, replaced; also after jit."""
    through_jit = jax.jit(lambda x: x)(tx)
    for other in (
        through_jit,
        copy.deepcopy(tx),
        dataclasses.replace(tx),
        pickle.loads(pickle.dumps(tx)) if code else tx,
    ):
        demand(other == tx, f"{tx!r} must equal {other!r}.")
        demand(hash(other) == hash(tx), f"equal values must have equal hashes: {tx!r}.")
        demand(repr(other) == repr(tx), f"{tx!r} must print alike, got {other!r}.")
    leaves = jax.tree.leaves(tx)
    if leaves:
        demand(scaled(tx, 0.5) != tx or not any(leaves), "values with other numbers must differ.")
    if code:
        names = {**vars(fg), **{type(x).__name__: type(x) for x in _parts(tx)}}
        demand(eval(repr(tx), names) == tx, f"repr must be code: {tx!r}.")


def _parts(x: Any) -> Iterator[Any]:
    if isinstance(x, Held):
        yield x.item
    elif isinstance(x, tuple) or (dataclasses.is_dataclass(x) and not isinstance(x, type)):
        yield x
        children = x if isinstance(x, tuple) else (getattr(x, f.name) for f in dataclasses.fields(x))
        for child in children:
            yield from _parts(child)


def _numbers(tx: Any) -> dict[str, float]:
    """The plain numbers among the fields of `tx`, by name."""
    return {name: x for name, kind, x in data_fields(tx) if kind == "number" and isinstance(x, float)}


def check_ranges(tx: Any) -> None:
    """NaN, and what is out of range, is refused by name where it is known, and taken where it is traced."""
    for name, x in _numbers(tx).items():
        refused = [bad for bad in (-1e9, 1e9) if renewed(tx, **{name: bad}) is None]
        for bad in (np.nan, *refused):
            try:
                dataclasses.replace(tx, **{name: bad})
            except ValueError as error:
                named = f"{type(tx).__name__}: `{name}` must be" in str(error)
                demand(named, f"{title(tx)}: the error must name `{name}` and its range, got: {error}")
            else:
                raise AssertionError(f"{title(tx)}: `{name}` = {bad} must be refused.")
            jax.eval_shape(lambda bad, name=name: [dataclasses.replace(tx, **{name: bad}), 0][1], jnp.float32(x))
        rate = name == "learning_rate"
        demand(not rate or -1e9 in refused, f"{title(tx)}: a negative `learning_rate` must be refused.")


def check_schedules(tx: Any, extra: dict[str, Any]) -> None:
    """The first update is that of all schedules at step 0."""

    def first(x: float) -> Any:
        return lambda step: jnp.where(step == 0, jnp.float32(x), jnp.nan)

    scheduled = {name: f for name, x in _numbers(tx).items() if renewed(tx, **{name: (f := first(x))}) is not None}
    if not scheduled or "value_fn" in needs(tx):
        return
    params = {"w": jnp.array([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]])}
    grads = jax.tree.map(jnp.cos, params)
    plain, later = (
        update(member, grads, member.init(params), params, extra)[0]["w"]
        for member in (tx, dataclasses.replace(tx, **scheduled))
    )
    same = is_close(later, plain, 1e-5)
    demand(same, f"{title(tx)}: the first update must use the schedules of {', '.join(scheduled)} at step 0.")


def check_derivatives(tx: Any, differentiable: bool, extra: dict[str, Any]) -> None:
    """Derivatives of the outcome of some steps, with respect to numbers and parameters, are finite; also at gradients
    that are zero by chance, with derivatives that are not."""
    params = {"w": jnp.array([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]])}

    def outcome(tx: Any, params: Any, origin: Any) -> jax.Array:
        def step(carry: Any, _: None) -> Any:
            params, state = carry
            grads = jax.tree.map(lambda p, o: CURVATURE * (p - o), params, origin)
            updates, state = update(tx, grads, state, params, extra)
            return (fg.apply_updates(params, updates), state), None

        (end, _), _ = jax.lax.scan(step, (params, tx.init(params)), length=DERIVED if differentiable else 1)
        moved = jax.tree.map(jnp.subtract, end, params)
        return jnp.sum(jnp.stack([jnp.sum(x * x + x) for x in jax.tree.leaves(moved)]))

    far = jax.tree.map(lambda p: p - jnp.cos(7 * p) / CURVATURE, params)
    near = jax.tree.map(lambda p, f: p.at[1].set(f[1]), params, far)  # so that one row has no gradient
    if differentiable:
        origins = jax.tree.map(lambda *x: jnp.stack(x), far, params, near)
        slopes = jax.jit(jax.vmap(jax.grad(outcome, argnums=(0, 1)), in_axes=(None, None, 0)))(tx, params, origins)
        same = jax.tree.structure(slopes[0]) == jax.tree.structure(tx)
        demand(same, f"{title(tx)}: the derivative must be such a value itself.")
    else:
        ones = jax.tree.map(jnp.ones_like, (tx, params))
        slopes = jax.jit(lambda *at: jax.jvp(lambda tx, p: outcome(tx, p, near), at, ones))(tx, params)
    for path, x in jax.tree_util.tree_leaves_with_path(slopes):
        message = "derivatives must be finite where no, all or some gradients are zero"
        demand(np.isfinite(x).all(), f"{title(tx)}: {message}, got {x} at {jax.tree_util.keystr(path)}.")
