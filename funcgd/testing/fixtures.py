"""One tree that holds every kind of leaf, and gradients for it that hold every kind of trouble."""

import contextlib
import dataclasses
from collections.abc import Sequence
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


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Node:
    """Another one, whose leaves are the dtypes beside the main one."""

    others: dict[str, Any]


TINY = {"float64": 1e-300, "float32": 1e-30, "bfloat16": 1e-30, "float16": 1e-7, "complex64": 1e-30}
SUBNORMAL = {"float64": 1e-310, "float32": 1e-40, "bfloat16": 1e-40, "float16": 6e-8, "complex64": 1e-40}
HUGE = {"float64": 1e300, "float32": 1e30, "bfloat16": 1e30, "float16": 6e4, "complex64": 1e30}
OTHERS = {"float32": (3,), "bfloat16": (3,), "float16": (2, 2), "complex64": (3,)}
TROUBLE, STEPS = 3, 6
TURN = np.exp(0.7j)  # by how much the complex leaf is turned in "turned"

# Each is a run of its own, behind the leading axis: trouble in the first steps, then the gradients of "normal".
SCENARIOS = (
    "normal",
    "other numbers",  # those of "normal", for the transform with its numbers times 0.9
    "zero",
    "zero, eps = 0",  # for the transform with eps = 0 where it may be
    "tiny",
    "huge",
    "partly zero",  # a leaf, and a row of a matrix
    "zero parameters",
    "swapped",  # two leaves of equal shape in each other's place
    "turned",  # the complex leaf by a phase
    "NaN",  # in one row, at the first step
    "infinite",
)


def params_tree(dtypes: Sequence[str], *, small: bool = False) -> Any:
    """Parameters in `dtypes[0]` as a matrix, vectors, a scalar, an empty array, None and nested nodes; one leaf in each
    of the other dtypes. The leaf `a` equals the first row of the matrix, and the complex one equals `a`."""
    draw = np.random.default_rng(0).standard_normal
    main, *rest = dtypes

    def leaf(*shape: int) -> jax.Array:
        return jnp.asarray(draw(shape), main)

    w = leaf(2, 3)
    others = {d: jnp.asarray(w[0] if d == "complex64" else draw(OTHERS[d]), d) for d in rest}
    return {
        "w": w,
        "a": w[0],
        "nested": Pair([leaf(3), None], () if small else (leaf(),)),
        **({} if small else {"empty": leaf(0, 4)}),
        "by_number": {7: Node(others)},
    }


def scenarios(params: Any, largest: float = np.inf) -> tuple[Any, Any]:
    """Parameters behind an axis of scenarios, and gradients behind two, (scenario, step)."""
    rng = np.random.default_rng(1)
    n = len(SCENARIOS)

    def column(path: Any, p: jax.Array, like: Any) -> np.ndarray:
        name = p.dtype.name
        normal = rng.standard_normal((STEPS, *p.shape)) if like is None else like
        g = np.stack([np.asarray(normal, np.complex128 if name == "complex64" else np.float64)] * n)
        signs = np.sign(g[0, :TROUBLE].real)
        tiny, subnormal = (x[name] for x in (TINY, SUBNORMAL))
        for zero in ("zero", "zero, eps = 0"):
            g[_at(zero), :TROUBLE] = np.array([0.0, -0.0, 0.0]).reshape(TROUBLE, *[1] * p.ndim)
        g[_at("tiny"), :TROUBLE] = np.array([tiny, subnormal, tiny]).reshape(TROUBLE, *[1] * p.ndim) * signs
        g[_at("huge"), : TROUBLE - 1] = min(HUGE[name], largest) * signs[:-1]
        return g

    w, *_ = jax.tree.leaves(params["w"])
    gw = column((), w, None)
    grads = jax.tree_util.tree_map_with_path(
        lambda path, p: column(path, p, gw[0, :, 0] if p.dtype.name == "complex64" else None), params
    )
    grads = {**grads, "w": gw, "a": gw[:, :, 0].copy()}
    points = jax.tree.map(lambda p: np.stack([np.asarray(p)] * n), params)
    for x in jax.tree.leaves(points):
        x[_at("zero parameters")] = 0
    grads["w"][_at("partly zero"), :TROUBLE, 0] = 0
    grads["nested"].left[0][_at("partly zero"), :TROUBLE] = 0
    grads["w"][_at("NaN"), 0, 0] = np.nan
    grads["w"][_at("infinite"), 0, 0] = np.inf
    for x in (points, grads):
        a, b = x["a"], x["nested"].left[0]
        a[_at("swapped")], b[_at("swapped")] = b[_at("swapped")].copy(), a[_at("swapped")].copy()
        if "complex64" in (others := x["by_number"][7].others):
            others["complex64"][_at("turned")] *= TURN
    return (
        jax.tree.map(lambda x, p: jnp.asarray(x, p.dtype), points, params),
        jax.tree.map(lambda x, p: jnp.asarray(x, p.dtype), grads, params),
    )


def _at(scenario: str) -> int:
    return SCENARIOS.index(scenario)


def objective(params: Any, grads: Any) -> dict[str, Any]:
    """The extras `value`, `grad`, `value_fn` of f(p) = ⟨g, p − θ⟩ + ½‖p − θ‖², whose gradient at θ is g."""

    def value_fn(p: Any) -> Any:
        moved = tree.sub(p, params)
        return tree.real_vdot(grads, moved) + tree.real_vdot(moved, moved) / 2

    return {"value": value_fn(params), "grad": grads, "value_fn": value_fn}


def precision(dtype: Any) -> contextlib.AbstractContextManager:
    """64-bit types enabled while `dtype` needs them."""
    return float64_mode() if jnp.dtype(dtype).itemsize == 8 and dtype != "complex64" else contextlib.nullcontext()
