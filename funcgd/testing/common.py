"""What the clauses of the contract share."""

import dataclasses
from typing import Any

import jax
import numpy as np

from funcgd.testing.fixtures import objective

LOW = ("bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Properties:
    """What is true of a transform: the arguments of `check_transform` of these names."""

    elementwise: bool = True
    leafwise: bool = True
    alike: bool = True
    forgets: bool = True
    stochastic: bool = False
    differentiable: bool = True
    turns: bool = True


def demand(condition: Any, message: str) -> None:
    """The clause must hold."""
    if not condition:
        raise AssertionError(message)


def title(tx: Any) -> str:
    """How errors call it."""
    return getattr(tx, "title", type(tx).__name__)


def extras(tx: Any, grads: Any, params: Any, extra: dict[str, Any]) -> dict[str, Any]:
    """What `update` needs: of an objective with these gradients, and what the caller gives."""
    offered = objective(params, grads) if tx.needs - {"params"} else {}
    return {**{name: x for name, x in offered.items() if name in needs(tx)}, **extra}


def needs(tx: Any) -> set[str]:
    """The names of all optional arguments that `tx` can take, where one of several will do."""
    return {name for need in tx.needs for name in need.split(" or ")}


def given(tx: Any, grads: Any) -> Any:
    """`grads` as `tx` takes them: where it wants those of examples, of one example."""
    return jax.tree.map(lambda g: g[None], grads) if tx.per_example else grads


def update(tx: Any, grads: Any, state: Any, params: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
    """One update, with what it needs."""
    return tx.update(given(tx, grads), state, params, **extras(tx, grads, params, extra))


def avals(tree: Any) -> Any:
    """Structure, shapes, dtypes and weak types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(x.shape, x.dtype, getattr(x, "weak_type", False)) for x in leaves]


def scaled(tx: Any, scale: float) -> Any:
    """`tx` with other numbers."""
    return jax.tree.map(lambda x: scale * x, tx)


def renewed(tx: Any, **changes: Any) -> Any:
    """`tx` with other fields, or None where they are not allowed."""
    try:
        return dataclasses.replace(tx, **changes)
    except (TypeError, ValueError):
        return None


def stored_low(state: Any) -> bool:
    """Whether something is stored in low precision, where one rounding may fall either way."""
    return any(x.dtype.name in LOW for x in jax.tree.leaves(state))


def is_close(x: Any, y: Any, tolerance: float) -> bool:
    """Whether all entries agree, relatively where they are large."""
    x, y = (np.asarray(a, np.complex128) for a in (x, y))
    return np.allclose(x, y, rtol=tolerance, atol=tolerance)
