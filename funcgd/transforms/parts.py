"""A transform on a part of the leaves: the others are None for it, so it keeps nothing for them."""

from collections.abc import Sequence
from typing import Any

import jax

from funcgd.core.transform import OptState, Params, Transform, Updates


def only(tree: Any, flags: Sequence[bool]) -> Any:
    """`tree` with None in place of the leaves whose flag is False."""
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten([x if on else None for x, on in zip(leaves, flags, strict=True)])


def merge(part: Any, whole: Any, flags: Sequence[bool]) -> Any:
    """`whole` with the leaves of `part` where their flag is True."""
    leaves, structure = jax.tree.flatten(whole)
    parts = structure.flatten_up_to(part)
    return structure.unflatten([a if on else b for a, b, on in zip(parts, leaves, flags, strict=True)])


def init_part(tx: Transform, params: Params, flags: Sequence[bool]) -> OptState:
    """The state of `tx` for its part of the parameters."""
    return tx.init(only(params, flags))


def update_part(
    tx: Transform,
    flags: Sequence[bool],
    grads: Updates,
    state: OptState,
    params: Params | None,
    extra: dict[str, Any],
    every_extra: bool = False,
) -> tuple[Updates, OptState]:
    """One update of `tx` on its part: updates with None elsewhere, and its state.

    Of extras, `grad` is reduced to the part, and `value_fn` becomes the function of the part with all else as it is
    in `params`; with `every_extra` all that are trees like the gradients are reduced.
    """
    structure = jax.tree.structure(grads)
    extra = {
        name: only(x, flags) if (every_extra or name == "grad") and jax.tree.structure(x) == structure else x
        for name, x in extra.items()
    }
    value_fn = extra.get("value_fn")
    if callable(value_fn) and params is not None:
        extra["value_fn"] = lambda part, *args, **kwargs: value_fn(merge(part, params, flags), *args, **kwargs)
    return tx.update(only(grads, flags), state, None if params is None else only(params, flags), **extra)


def eval_part(tx: Transform, flags: Sequence[bool], state: OptState, params: Params) -> Params:
    """`params` with those of the part as `tx` evaluates them."""
    return merge(tx.eval_params(state, only(params, flags)), params, flags)
