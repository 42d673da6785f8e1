"""Of which numbers and shapes a tree is made, and which parts of a state are like the parameters."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def dtype(x: Any, mixed_dtype_handler: str | None = None) -> np.dtype:
    """The dtype of all leaves; of an empty tree, that of `jnp.zeros(())`.

    Args:
        x: a pytree of arrays.
        mixed_dtype_handler: what is wanted where leaves differ: "promote" the dtype to which all promote; "highest" or
            "lowest" that among them to which the others promote, or which promotes to all others.

    Raises:
        ValueError: if leaves differ and it is None, or if there is no highest or lowest, as for float16 and bfloat16.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.dtype({"w": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)}, "lowest")
    dtype(bfloat16)
    """
    if mixed_dtype_handler not in (None, "promote", "highest", "lowest"):
        allowed = 'None, "promote", "highest" or "lowest"'
        raise ValueError(f"tree.dtype: `mixed_dtype_handler` must be {allowed}, got {mixed_dtype_handler!r}.")
    found = list(dict.fromkeys(np.dtype(jnp.result_type(leaf)) for leaf in jax.tree.leaves(x)))
    if len(found) < 2:
        return found[0] if found else np.dtype(jnp.result_type(float))
    with jax.numpy_dtype_promotion("standard"):
        promoted = np.dtype(functools.reduce(jnp.promote_types, found))
        below = [d for d in found if all(jnp.promote_types(d, other) == other for other in found)]
    if mixed_dtype_handler == "promote":
        return promoted
    if mixed_dtype_handler == "highest" and promoted in found:
        return promoted
    if mixed_dtype_handler == "lowest" and below:
        return below[0]
    names = ", ".join(str(d) for d in found)
    wanted = "one dtype" if mixed_dtype_handler is None else f"a {mixed_dtype_handler} dtype"
    raise ValueError(f"tree.dtype: the leaves must have {wanted}, got {names}.")


def batch_shape(x: Any, shape: tuple[int, ...] = ()) -> Any:
    """x with the axes `shape` in front of each leaf, along which it is repeated.

    >>> import jax.numpy as jnp
    >>> from funcgd import tree
    >>> tree.batch_shape({"w": jnp.arange(2)}, (2,))["w"].tolist()
    [[0, 1], [0, 1]]
    """
    return jax.tree.map(lambda a: jnp.broadcast_to(a, (*shape, *np.shape(a))), x)


class Placeholder:
    """A pytree node without leaves that stands for a whole tree of parameters."""


jax.tree_util.register_pytree_node(Placeholder, lambda node: ((), None), lambda _, children: Placeholder())


def map_params(
    initable: Any,
    f: Callable[..., Any],
    state: Any,
    /,
    *rest: Any,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """`state` with f applied to the leaves of all parts that are trees like the parameters, such as moments.

    With the shardings of the parameters as `rest` it makes those of a state; arrays of another shape, such as the rows
    and columns of `adafactor`, f tells by theirs. Where a leaf of the parameters has no part in the state, as outside a
    mask, None stays None.

    Args:
        initable: the transform, or its `init`. It is called with a tree without leaves; an `init` that looks for
            parameters by name cannot be.
        f: leaf, *leaves of the rest → what takes its place.
        state: a state of the transform.
        rest: trees like the parameters.
        transform_non_params: what to do with the other leaves; None leaves them alone.
        is_leaf: as for `jax.tree.map`, within the parts that are like the parameters.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params, names = fg.adam(0.1), {"w": jnp.ones(2), "b": jnp.ones(())}, {"w": "row", "b": "none"}
    >>> state = fg.tree.map_params(tx, lambda m, name: name, tx.init(params), names, transform_non_params=lambda _: "-")
    >>> state[0].count, state[0].mu
    ('-', {'b': 'none', 'w': 'row'})
    """

    def is_own_leaf(x: Any) -> bool:
        return is_leaf is not None and is_leaf(x)

    def on_leaf(x: Any, *others: Any) -> Any:
        return None if x is None and not is_own_leaf(x) else f(x, *others)

    def on_part(kind: Any, part: Any) -> Any:
        if isinstance(kind, Placeholder):
            return jax.tree.map(on_leaf, part, *rest, is_leaf=lambda x: x is None or is_own_leaf(x))
        return part if transform_non_params is None else jax.tree.map(transform_non_params, part)

    kinds = jax.eval_shape(getattr(initable, "init", initable), Placeholder())
    parts, structure = jax.tree.flatten(kinds, is_leaf=lambda x: isinstance(x, Placeholder))
    return structure.unflatten(
        [on_part(kind, part) for kind, part in zip(parts, structure.flatten_up_to(state), strict=True)]
    )
