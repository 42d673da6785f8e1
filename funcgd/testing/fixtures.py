"""One tree that holds every kind of leaf, and gradients for it that hold every kind of trouble."""

import contextlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import tree
from funcgd.core.numerics import float64_mode


class Pair(NamedTuple):
    """A node of the fixture tree that is no built-in container."""

    left: Any
    right: Any


TINY = {"float64": 1e-300, "float32": 1e-30, "bfloat16": 1e-30, "float16": 1e-7}
HUGE = {"float64": 1e300, "float32": 1e30, "bfloat16": 1e30, "float16": 6e4}
STEPS = 4
SCENARIOS = ("normal", "zero", "tiny", "huge", "one leaf zero")


def params_tree(dtype: Any, seed: int = 0) -> Any:
    """Parameters of `dtype` as a matrix, a vector, a scalar, an empty array, None and nested nodes."""
    draw = np.random.default_rng(seed).standard_normal

    def leaf(*shape: int) -> jax.Array:
        return jnp.asarray(draw(shape), dtype)

    return {
        "w": leaf(2, 3),
        "nested": Pair([leaf(3), None], (leaf(),)),
        "empty": leaf(0, 4),
        "by_number": {7: {"b": leaf(1)}},
    }


def gradients(params: Any, dtype: Any, largest: float = np.inf, seed: int = 1) -> Any:
    """Gradients like `params` behind two axes, (scenario, step): trouble in the first two steps, then normal ones."""
    rng = np.random.default_rng(seed)
    name = jnp.dtype(dtype).name
    huge = min(HUGE[name], largest)
    leaves, structure = jax.tree.flatten(params)
    columns = []
    for i, leaf in enumerate(leaves):
        normal = rng.standard_normal((len(SCENARIOS), STEPS, *leaf.shape))
        signs = np.sign(normal[:, :2])
        normal[1, :2] = 0
        normal[2, :2] = TINY[name] * signs[2]
        normal[3, :2] = huge * signs[3]
        if i == 0:
            normal[4, :2] = 0
        columns.append(jnp.asarray(normal, dtype))
    return structure.unflatten(columns)


def objective(params: Any, grads: Any) -> dict[str, Any]:
    """The extras `value`, `grad`, `value_fn` of f(p) = ⟨g, p − θ⟩ + ½‖p − θ‖², whose gradient at θ is g."""

    def value_fn(p: Any) -> Any:
        moved = tree.sub(p, params)
        return tree.real_vdot(grads, moved) + tree.real_vdot(moved, moved) / 2

    return {"value": value_fn(params), "grad": grads, "value_fn": value_fn}


def precision(dtype: Any) -> contextlib.AbstractContextManager:
    """64-bit types enabled while `dtype` needs them."""
    return float64_mode() if jnp.dtype(dtype).itemsize == 8 else contextlib.nullcontext()
