"""Parameters that do not train: a part of the tree, chosen by path."""

from typing import Any

import jax

from funcgd.core.paths import Where, select
from funcgd.core.types import Params
from funcgd.core.validate import is_inexact
from funcgd.training.partition import Frozen, is_frozen, thaw
from funcgd.transforms.masked import masked
from funcgd.transforms.scale import set_to_zero


def freeze(params: Params, where: Where | None = None) -> Any:
    """`params` with some of its arrays kept as they are by everything that trains.

    Give the result to `fg.fit`, `fg.minimize` or `fg.TrainState.create`: the arrays chosen have no gradient, no
    optimizer state and no update, and cost nothing but their place. The loss and the results (`run.params`, `run.best`,
    `state.params`) have them as plain arrays, bitwise those given; to go on with the same part frozen, go on from
    `run.state`, or freeze again.

    Args:
        params: a pytree; what is frozen in it already stays so.
        where: which leaves, by path: keys, indices and attributes joined by "/", such as "layers/0/w". A glob
            ("encoder/*", "*/b"; `*` matches "/" too) or a compiled regular expression, which must match the whole path;
            a predicate (path, array) → bool; or a list of these. Only floating and complex leaves are asked about.

    With one argument, a mask as for `fg.masked`, it is a transform, for the end of a chain: it makes the updates zero
    where the mask is True.

    Raises:
        ValueError: if any of them matches nothing.
        TypeError: if `where` is something else.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> params = {"encoder": {"w": jnp.array(2.0)}, "head": jnp.array(0.0)}
    >>> loss = lambda p, batch: jnp.mean((p["encoder"]["w"] * p["head"] - batch) ** 2)
    >>> run = fg.minimize(lambda p: loss(p, 6.0), fg.freeze(params, "encoder/*"), fg.sgd(0.125), max_steps=5)
    >>> jax.tree.map(float, run.params)
    {'encoder': {'w': 2.0}, 'head': 3.0}
    """
    if where is None:
        return masked(set_to_zero(), params)
    flags = select("freeze", where, thaw(params), is_inexact)

    def wrapped(x: Any, flag: bool) -> Any:
        return Frozen(x) if flag and not is_frozen(x) else x

    return jax.tree.map(wrapped, params, flags, is_leaf=is_frozen)


def unfreeze(params: Params) -> Params:
    """`params` without the marks of `freeze`: plain arrays, all of which train.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.unfreeze(fg.freeze({"w": jnp.array(1.0), "b": jnp.array(2.0)}, "w"))["w"].item()
    1.0
    """
    return thaw(params)
