"""Read the hyperparameters that an optimizer is using right now."""

from typing import Any

import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.chain import Chain
from funcgd.core.schedule import resolve_all
from funcgd.core.values import data_fields


def hyperparameters(tx: Any, state: Any) -> dict[str, Any]:
    """The effective values of the last update (of the first one, before it), nested by path.

    Schedules are evaluated at the step that the state counts. A part of a chain stands under its own name; a transform
    inside another stands under the name of its field.

    Args:
        tx: a transform; of one from another library nothing is known, so it contributes an empty dict.
        state: its state.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.chain(fg.clip(1.0), fg.sgd(fg.linear_schedule(0.1, 0.0, 10)))
    >>> fg.hyperparameters(tx, tx.init({"w": jnp.ones(2)}))
    {'clip': {'max_delta': 1.0}, 'sgd': {'learning_rate': Array(0.1, dtype=float32)}}
    """
    parts = _parts(tx, state)
    if parts is not None:
        found: dict[str, Any] = {}
        for name, part, part_state in parts:
            inner = hyperparameters(part, part_state)
            if inner:
                found[name] = inner
        return found
    try:
        fields = list(data_fields(tx))
    except TypeError:  # a transform of another library
        return {}
    places = tree.get_all_with_path(state, "count") or tree.get_all_with_path(state, "step_count")
    counts = [count for _, count in places if count is not None]
    step = jnp.maximum(counts[0] - 1, 0) if counts else 0
    found = {name: x for name, x in resolve_all(tx, step).items() if x is not None}
    if hasattr(tx, "in_use"):  # numbers that stand in the state
        found |= tx.in_use(state)
    for name, kind, x in fields:
        if kind == "plain" and hasattr(x, "update"):
            found[name] = hyperparameters(x, _state_of(tx, name, state))
    return found


def _state_of(tx: Any, name: str, state: Any) -> Any:
    """The state of the transform in the field `name` of `tx`."""
    if name == getattr(tx, "part", None):
        return tx.state_inside(state)
    for field in (f"{name}_state", f"{name.removesuffix('_optimizer')}_state", "inner_state"):
        found = tree.get_all_with_path(state, field)
        if found:
            return found[0][1]
    return state


def part_names(tx: Chain) -> list[str]:
    """What the parts of a chain are called: by its names, else by their own, numbered from the second of a kind on.

    >>> import funcgd as fg
    >>> from funcgd.core.hyperparameters import part_names
    >>> part_names(fg.chain(fg.clip(1.0), fg.sgd(0.1), fg.clip(0.1)))
    ['clip', 'sgd', 'clip_2']
    """
    seen: dict[str, int] = {}
    names = []
    for title in tx.names or (getattr(part, "title", type(part).__name__) for part in tx.transforms):
        seen[title] = seen.get(title, 0) + 1
        names.append(title if seen[title] == 1 else f"{title}_{seen[title]}")
    return names


def _parts(tx: Any, state: Any) -> Any:
    """The (name, transform, state) of what stands side by side in `tx`; None if that is no such thing."""
    if isinstance(tx, Chain):
        return zip(part_names(tx), tx.transforms, _states(tx, state), strict=True)
    return tx.named_parts(state) if hasattr(tx, "named_parts") else None


def _states(tx: Chain, state: Any) -> Any:
    return [state[name] for name in tx.names] if tx.names else state  # jit sorts the keys of a dict
