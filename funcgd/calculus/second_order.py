"""Diagonals of the Hessian and of the Fisher matrix, and the Hessian's product under its short name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.gradient import gradient_of
from funcgd.calculus.hessian import hessian_operator, hessian_vector_product
from funcgd.calculus.objective import objective, point
from funcgd.core import numerics
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.types import Params
from funcgd.core.validate import leading_axis

_CHUNK = 64  # products, or examples, that are computed at a time


def hvp(loss: Callable, v: Params, params: Params, *args: Any) -> Params:
    """`hessian_vector_product` with the vector first: the Hessian of `loss(·, *args)` at the parameters times v.

    Args:
        loss: params, *args → a real scalar, or a pair of that and anything.
        v: a pytree like the parameters.
        params: a pytree of floating or complex arrays.
        *args: what else the loss takes, such as inputs and targets.

    Reference: see `hessian_vector_product`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hvp(lambda w, x: w[0] ** 2 * w[1] * x, jnp.array([1.0, 0.0]), jnp.array([1.0, 3.0]), 2.0).tolist()
    [12.0, 4.0]
    """
    return hessian_vector_product(loss, params, v, *args)


def hessian_diag(loss: Callable, params: Params, *args: Any) -> Params:
    """The diagonal of the Hessian of `loss(·, *args)` at the parameters, exactly: the curvature along each axis.

        Hᵢᵢ = ∂²f / ∂xᵢ²     from n products, 64 at a time

    Args:
        loss: params, *args → a real scalar, or a pair of that and anything.
        params: a pytree of real floating arrays, with n entries in all.
        *args: what else the loss takes, such as inputs and targets.

    Returns:
        A tree like the parameters.

    Raises:
        TypeError: if `loss` returns anything else, or `params` has a leaf that is not real and floating.

    Reference: Becker, LeCun, Improving the convergence of back-propagation learning with second-order methods, 1988.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.hessian_diag(lambda x: x[0] ** 2 * x[1] + x[1] ** 2, jnp.array([1.0, 3.0])).tolist()
    [6.0, 2.0]
    """
    f, x = objective("hessian_diag", loss, args, name="loss"), point("hessian_diag", params, real=True)
    product, n = hessian_operator(f, x), to_vector(x).size

    def entry(i: jax.Array) -> jax.Array:
        unit = jnp.zeros(n, to_vector(x).dtype).at[i].set(1)
        return to_vector(product(from_vector(unit, x)))[i]

    return from_vector(jax.lax.map(entry, jnp.arange(n, dtype=jnp.int32), batch_size=_CHUNK), x)


def fisher_diag(negative_log_likelihood: Callable, params: Params, inputs: Any, targets: Any) -> Params:
    """The diagonal of the empirical Fisher matrix: the mean of the squared gradients of the examples.

        Fᵢᵢ = 1/N Σₙ (∂ℓₙ/∂xᵢ)²

    It is never negative. The gradients are those of each example, not of the batch, whose square vanishes where the
    loss is smallest. Taken at the targets of the data; over those of the model, see `fisher_vector_product`.

    Args:
        negative_log_likelihood: params, inputs, targets → the loss of a batch, a real scalar or a pair of that and
            anything; it is called on batches of one.
        params: a pytree of real floating arrays.
        inputs, targets: pytrees of arrays with the N examples on their first axes.

    Returns:
        A tree like the parameters.

    Raises:
        TypeError: if the loss returns anything else, or `params` has a leaf that is not real and floating.
        ValueError: if the leading axes differ, or are 0.

    Reference: Kunstner, Balles, Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> loss = lambda w, x, y: fg.l2_loss(w * x, y).mean()
    >>> float(fg.fisher_diag(loss, 1.0, jnp.array([1.0, 1.0]), jnp.array([0.0, 2.0])))  # gradients 1 and −1
    1.0
    """
    who = "fisher_diag"
    x, batch = point(who, params, real=True), {"inputs": inputs, "targets": targets}
    n = leading_axis(who, "batch", batch)

    def squares(example: Any) -> jax.Array:
        one = jax.tree.map(lambda a: a[None], example)
        f = objective(who, negative_log_likelihood, (one["inputs"], one["targets"]), name="negative_log_likelihood")
        return numerics.square(to_vector(gradient_of(f)(x)))

    each = jax.lax.map(squares, jax.tree.map(jnp.asarray, batch), batch_size=min(n, _CHUNK))
    return from_vector(jnp.mean(each, axis=0), x)
