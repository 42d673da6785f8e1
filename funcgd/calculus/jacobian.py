"""The Jacobian."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from funcgd.calculus.objective import point
from funcgd.core.fields import describe
from funcgd.core.types import Params
from funcgd.core.validate import is_inexact


def jacobian(fun: Callable, x: Params, *args: Any) -> Any:
    """The Jacobian of `fun(·, *args)` at x: all partial derivatives of all its m outputs in its n inputs.

        Jᵢⱼ = ∂fᵢ/∂xⱼ

    One forward pass for each input where n ≤ m, else one backward pass for each output.

    Args:
        fun: x, *args → a pytree of real floating arrays.
        x: the point, a pytree of real floating arrays.
        *args: what else `fun` takes.

    Returns:
        For an array and an array, one of shape (*f.shape, *x.shape), so a matrix for vectors. Otherwise a tree like the
        output, each of its leaves a tree like x of such blocks.

    Raises:
        TypeError: if x or the output has a leaf that is not real and floating.
        ValueError: if x has no entry.

    Reference: Griewank, Walther, Evaluating derivatives, 2nd edition, 2008, chapter 3.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.jacobian(lambda x: jnp.stack([x[0] * x[1], x[0] ** 2, x[1]]), jnp.array([2.0, 3.0])).tolist()
    [[3.0, 2.0], [4.0, 0.0], [0.0, 1.0]]
    """
    if not callable(fun):
        raise TypeError(f"jacobian: `fun` must be a function, got {describe(fun)}.")
    x = point("jacobian", x, real=True)

    def f(x: Params) -> Any:
        return fun(x, *args)

    out = jax.eval_shape(f, x)
    for path, leaf in jax.tree_util.tree_leaves_with_path(out):
        if not is_inexact(leaf) or np.issubdtype(leaf.dtype, np.complexfloating):
            where = jax.tree_util.keystr(path)
            raise TypeError(f"jacobian: `fun` must return real floating arrays, got {leaf.dtype} at f(x){where}.")
    n, m = (sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(t)) for t in (x, out))
    return (jax.jacfwd if n <= m else jax.jacrev)(f)(x)
