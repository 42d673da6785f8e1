"""Curvature that is never negative: products with the Gauss–Newton and the Fisher matrix."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.objective import objective, point, vector_like
from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.core.types import Params
from funcgd.core.validate import check_leaves

# The Hessian of A in z, the natural parameters, is the Fisher information of one example.
_LOG_PARTITIONS = {
    "categorical": lambda z: jax.nn.logsumexp(z, axis=-1),
    "bernoulli": jax.nn.softplus,
    "gaussian": lambda z: z * z / 2,
}


def gauss_newton_vector_product(predict: Callable, loss: Callable, x: Params, v: Params) -> Params:
    """The generalised Gauss–Newton matrix of `loss(predict(·))` at x times v, without forming it.

        Gv = Jᵀ ∇²ℓ(z) J v,    z = predict(x),  J = ∂z/∂x

    It is the Hessian without the curvature of the model: never negative where ℓ is convex, and equal to the Hessian
    where the model is linear, or where ∇ℓ(z) = 0. It takes the time of about two gradients.

    Args:
        predict: x → z, a pytree of real floating arrays; the data are closed over.
        loss: z → a real scalar, or a pair of that and anything.
        x: the parameters, a pytree of real floating arrays.
        v: a pytree like x; not normalised.

    Returns:
        A tree like x.

    Raises:
        TypeError: if `loss` returns anything else, or x, v or z has a leaf that is not real and floating.
        ValueError: if v is shaped unlike x.

    Reference: Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, Neural computation
    14, 2002.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> t, y = jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0])
    >>> fg.gauss_newton_vector_product(lambda a: jnp.exp(a * t), lambda z: fg.l2_loss(z, y).sum(), 0.0, 1.0).item()
    5.0
    """
    who = "gauss_newton_vector_product"
    return _product(who, predict, objective(who, loss, name="loss"), x, v)


def fisher_vector_product(predict: Callable, likelihood: str | Callable, x: Params, v: Params) -> Params:
    """The Fisher information matrix of a model with a likelihood, at x times v, without forming it.

        Fv = 1/N Σₙ Jₙᵀ ∇²A(zₙ) Jₙ v,    zₙ = predict(x)ₙ,  Jₙ = ∂zₙ/∂x
           = 1/N Σₙ E_y[∇log p(y|zₙ) ∇log p(y|zₙ)ᵀ] v

    The expectation is over targets drawn from the model, not over those of the data (which would be the "empirical"
    Fisher matrix). The likelihood is p(y|z) ∝ exp(zᵀy − A(z)), by its natural parameters z:

        "categorical"   z: logits, classes on the last axis; A = ln Σ exp z
        "bernoulli"     z: a logit for each entry;           A = ln(1 + exp z)
        "gaussian"      z: the mean, with variance 1;        A = ½z²     (variance σ²: divide the product by σ²)

    Args:
        predict: x → z, an array with the N examples on its first axis; the other entries of an example (but classes)
            are independent given z, so that their information adds up. The data are closed over.
        likelihood: one of these names, or a function z → A(z) of all entries, which are summed.
        x: the parameters, a pytree of real floating arrays.
        v: a pytree like x; not normalised.

    Returns:
        A tree like x.

    Raises:
        TypeError: if x, v or z has a leaf that is not real and floating.
        ValueError: if v is shaped unlike x, z has no examples or no classes, or the name is none of these.

    Reference: Amari, Natural gradient works efficiently in learning, Neural computation 10, 1998; Martens, New insights
    and perspectives on the natural gradient method, JMLR 21, 2020, section 9.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> x = jnp.array([[1.0], [3.0]])
    >>> fg.fisher_vector_product(lambda w: x * w, "gaussian", 0.0, 1.0).item()  # the mean of x²
    5.0
    """
    who = "fisher_vector_product"
    log_partition: Any = _LOG_PARTITIONS.get(likelihood) if isinstance(likelihood, str) else likelihood
    if not callable(log_partition):
        names = ", ".join(map(repr, _LOG_PARTITIONS))
        raise ValueError(f"{who}: `likelihood` must be one of {names} or a function, got {describe(likelihood)}.")

    def mean(z: Any) -> jax.Array:
        needed = 2 if likelihood == "categorical" else 1
        if not isinstance(z, jax.Array) or z.ndim < needed or not z.shape[0]:
            wanted = "(examples, …, classes)" if needed == 2 else "(examples, …)"
            raise ValueError(f"{who}: `predict` must return an array of shape {wanted}, got {describe(z)}.")
        total: Any = log_partition(numerics.widen(z))
        return jnp.sum(total) / z.shape[0]

    return _product(who, predict, objective(who, mean), x, v)


def _product(who: str, predict: Callable, loss: Callable, x: Params, v: Params) -> Params:
    """Jᵀ ∇²ℓ(z) J v; the model is evaluated once, and its transpose made from the linear map."""
    if not callable(predict):
        raise TypeError(f"{who}: `predict` must be a function, got {describe(predict)}.")
    x = point(who, x, real=True)
    v = vector_like(who, "v", v, x)
    z, push = jax.linearize(predict, x)
    check_leaves(who, "predict(x)", z)
    for leaf in jax.tree.leaves(z):
        if jnp.iscomplexobj(leaf):
            raise TypeError(f"{who}: `predict` must return real arrays, got {leaf.dtype}.")
    _, curved = jax.jvp(jax.grad(loss), (z,), (push(v),))
    (product,) = jax.linear_transpose(push, x)(curved)
    return product
