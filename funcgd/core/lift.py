"""Lift a rule for one leaf to trees, once, so that an optimizer's code reads like its paper."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import is_traced
from funcgd.core.schedule import cast


def lift(rule: Callable, numbers: SimpleNamespace, grads: Any, *slots: Any, read: Sequence[Any] = ()) -> Any:
    """Apply `rule(h, g, *s, *r)` to every leaf g of `grads` and the leaves beside it: s of the `slots`, r of `read`.

    Precision is settled here, once: g, s and r come in at least float32 (float64 if any of them is), h holds the
    `numbers` in the same real precision. The update keeps that precision; each new slot is stored in the dtype of the
    old. Beside a leaf there may also be a tuple of arrays, or none.

    Args:
        rule: h, g, *s, *r → update without slots; (update, *new slots) with them.
        numbers: hyperparameters and what derives from them, as attributes.
        grads: the tree of gradients.
        slots: trees of the same structure that the rule renews, such as moments.
        read: trees of the same structure that the rule only reads, such as parameters.

    Returns:
        The tree of updates without slots; (updates, *new slots) with them.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> from types import SimpleNamespace
    >>> fg.lift(lambda h, g: -h.rate * g, SimpleNamespace(rate=0.5), {"w": jnp.float32(3.0)})["w"].item()
    -1.5
    """
    leaves, structure = jax.tree.flatten(grads)
    columns = [structure.flatten_up_to(x) for x in (*slots, *read)]

    def on_leaf(arrays: dict[str, Any], g: Any, *beside: Any) -> tuple[Any, ...]:
        dtype = numerics.wide_dtype(jnp.result_type(g), *map(jnp.result_type, jax.tree.leaves(beside)))
        h = cast(SimpleNamespace(**{**fixed, **arrays}), dtype)
        # All in one real precision; what is left to JAX is that a complex leaf meets real numbers and slots.
        with jax.numpy_dtype_promotion("standard"):
            out = rule(h, numerics.widen(g, dtype), *jax.tree.map(lambda x: numerics.widen(x, dtype), beside))
        update, *new = out if slots else (out,)
        return update, *jax.tree.map(lambda x, old: jnp.asarray(x, jnp.result_type(old)), new, list(beside[: len(new)]))

    # While tracing, leaves of equal shape share one trace; numbers known by now stay outside, with all their digits.
    fixed = {name: x for name, x in vars(numbers).items() if not isinstance(x, jax.Array)}
    arrays = {name: x for name, x in vars(numbers).items() if isinstance(x, jax.Array)}
    apply = jax.jit(on_leaf) if any(map(is_traced, leaves)) else on_leaf
    rows = [apply(arrays, *row) for row in zip(leaves, *columns, strict=True)]
    trees = tuple(structure.unflatten([row[i] for row in rows]) for i in range(1 + len(slots)))
    return trees if slots else trees[0]
