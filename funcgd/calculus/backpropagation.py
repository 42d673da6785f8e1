"""Backpropagation by hand: the gradient of a layered network from the errors δ of its layers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.core.types import Params
from funcgd.core.validate import check_leaves
from funcgd.losses import l2_loss, sum_of_squares
from funcgd.models import multilayer_perceptron

Loss = Callable[[Any, Any], Any]


class Backward(NamedTuple):
    """What `backpropagate` computes; shapes are those of one example, and of a batch (N, …).

    >>> import funcgd as fg, jax.numpy as jnp
    >>> model, params = fg.multilayer_perceptron([1, 1], ["sigmoid"], bias=False), ({"w": jnp.zeros((1, 1))},)
    >>> fg.backpropagate(model, params, jnp.ones(1), jnp.ones(1), fg.l2_loss).delta[0].tolist()
    [-0.125]
    """

    loss: jax.Array  # (), C: of a batch, the mean over its examples
    gradient: Params  # like the parameters, ∂C/∂W and ∂C/∂b
    z: tuple[jax.Array, ...]  # (widths[i],) for i = 1 … M: zⁱ = Wⁱaⁱ⁻¹ + bⁱ
    a: tuple[jax.Array, ...]  # (widths[i],) for i = 0 … M: a⁰ = x, aⁱ = σⁱ(zⁱ)
    delta: tuple[jax.Array, ...]  # like z: the errors δⁱ = ∂C/∂zⁱ, of each example's own C


def backpropagate(model: multilayer_perceptron, params: Params, x: Any, y: Any, loss: Loss) -> Backward:
    """The gradient of a network by the four equations of backpropagation, with all that they pass through.

        BP1    δᴹ = J(zᴹ)ᵀ ∇C               J(zⁱ) = ∂aⁱ/∂zⁱ, ∇C = ∂C/∂aᴹ
        BP2    δⁱ = J(zⁱ)ᵀ (Wⁱ⁺¹)ᵀ δⁱ⁺¹       for i = M − 1, …, 1
        BP3    ∂C/∂Wⁱ = δⁱ (aⁱ⁻¹)ᵀ
        BP4    ∂C/∂bⁱ = δⁱ

    Where σ acts on each unit alone, J is diagonal and Jᵀv = v ⊙ σ′(z), as it is mostly written. That of softmax is not:
    each output depends on every z. So Jᵀv is taken as one vector-Jacobian product of σ, which is right for every
    function, and nobody has to know which kind it is. At a kink it is what `jax.grad` takes, 0 for ReLU at 0.

    For a batch each example goes through on its own (`jax.vmap`), and BP3 and BP4 are averaged over the examples. The
    result is that of `jax.grad`, to the precision of the numbers. It is pure, so that one may jit it
    (`static_argnames="loss"`), map it and differentiate it again.

    Args:
        model: the network, any widths and activations.
        params: as of `model.init`, real.
        x: one input, shape (widths[0],), or a batch of N, shape (N, widths[0]).
        y: the target of each, whatever the loss takes: shape (…) or (N, …).
        loss: C of one example, (output of shape (widths[M],), target) → a number, or one number for each output, which
            are added up: any of `fg.losses`, or a function of one's own.

    Raises:
        ValueError: if shapes do not match, or loss returns another shape.
        TypeError: if the model is another one, something is complex, or parameters are integers.

    Reference: Rumelhart, Hinton, Williams, Learning representations by back-propagating errors, Nature 323, 1986;
    the letters are those of Nielsen, Neural networks and deep learning, 2015, chapter 2.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> model = fg.multilayer_perceptron([4, 3, 2], ["tanh", "softmax"])
    >>> params, x, y = model.init(jax.random.key(0)), jnp.ones((5, 4)), jnp.array([0, 1, 1, 0, 1])
    >>> backpropagate = jax.jit(fg.backpropagate, static_argnames="loss")
    >>> backward = backpropagate(model, params, x, y, lambda output, label: -jnp.log(output[label]))
    >>> [d.shape for d in backward.delta], backward.gradient[0]["w"].shape
    ([(5, 3), (5, 2)], (3, 4))
    """
    x, y = _check(model, params, x, y)
    if loss is sum_of_squares:
        loss = l2_loss  # of one example they are the same; alone, its outputs would be taken for examples

    def of_one(x: jax.Array, y: jax.Array) -> tuple[Any, ...]:
        z, a = model.forward(params, x)
        value, gradient = jax.value_and_grad(_cost(loss))(a[-1], y)
        return value, z, a, _errors(model, params, z, gradient)

    value, z, a, delta = (jax.vmap(of_one) if x.ndim == 2 else of_one)(x, y)
    gradient = tuple(map(_averaged_gradient, params, delta, a[:-1]))
    return Backward(jnp.mean(value), gradient, z, a, delta)


def _errors(model: multilayer_perceptron, params: Params, z: tuple, gradient: jax.Array) -> tuple[jax.Array, ...]:
    """BP1 and BP2: from ∇C back to δ¹."""
    delta = [_through(model.functions[-1], z[-1], gradient)]
    for i in reversed(range(len(z) - 1)):
        delta.append(_through(model.functions[i], z[i], params[i + 1]["w"].T @ delta[-1]))
    return tuple(reversed(delta))


def _through(activation: Callable[[jax.Array], jax.Array], z: jax.Array, v: jax.Array) -> jax.Array:
    """J(z)ᵀ v."""
    a, pull_back = jax.vjp(activation, z)
    return pull_back(v.astype(a.dtype))[0]


def _averaged_gradient(layer: dict[str, jax.Array], delta: jax.Array, a: jax.Array) -> dict[str, jax.Array]:
    """BP3 and BP4, averaged over the examples; summed in at least float32."""
    w, dtype = layer["w"], numerics.wide_dtype(layer["w"].dtype)
    delta, a = (jnp.atleast_2d(v).astype(w.dtype) for v in (delta, a))
    gradient = {"w": jnp.matmul(delta.T, a, preferred_element_type=dtype) / len(delta)}
    if "b" in layer:
        gradient["b"] = jnp.mean(delta, axis=0, dtype=dtype)
    return {name: g.astype(layer[name].dtype) for name, g in gradient.items()}


def _cost(loss: Loss) -> Callable[[jax.Array, jax.Array], jax.Array]:
    def cost(output: jax.Array, target: jax.Array) -> jax.Array:
        value = loss(output, target)
        if np.shape(value) not in ((), output.shape):
            raise ValueError(
                f"backpropagate: `loss` must return one number, or one for each output, shape {output.shape}; "
                f"got shape {np.shape(value)}."
            )
        if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise TypeError(f"backpropagate: `loss` must return real floating numbers, got {jnp.result_type(value)}.")
        return jnp.sum(value)

    return cost


def _check(model: Any, params: Params, x: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    if not isinstance(model, multilayer_perceptron):
        raise TypeError(f"backpropagate: `model` must be an fg.multilayer_perceptron, got {describe(model)}.")
    check_leaves("backpropagate", "params", params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if jnp.iscomplexobj(leaf):
            where = f"params{jax.tree_util.keystr(path)}"
            raise TypeError(f"backpropagate: `{where}` must be real, got {jnp.result_type(leaf)}.")
    x, y = jnp.asarray(x), jnp.asarray(y)
    n = model.widths[0]
    if x.ndim not in (1, 2) or x.shape[-1] != n or not x.size:
        raise ValueError(f"backpropagate: `x` must have shape ({n},), or (N, {n}) with N ≥ 1, got {x.shape}.")
    if x.ndim == 2 and y.shape[:1] != x.shape[:1]:
        raise ValueError(f"backpropagate: `y` must have {len(x)} examples, as `x` has, got shape {y.shape}.")
    return x, y
