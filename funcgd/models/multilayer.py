"""Multilayer perceptron: layers g(x; W, b) = a(Wx + b), one after the other."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax

from funcgd.core.fields import as_count, as_dtype, static
from funcgd.core.types import Params
from funcgd.core.validate import check_key, check_structure
from funcgd.core.values import value
from funcgd.models.activations import as_activations, resolve_activation
from funcgd.models.initializers import Initializer, as_initializer
from funcgd.models.layer import affine, as_features, init_layer, layer_shapes
from funcgd.models.model import Model


def _as_widths(widths: Any) -> tuple[int, ...]:
    widths = tuple(map(as_count, widths))
    if len(widths) < 2:
        raise ValueError(f"expected at least two widths, of the input and the output, got {widths}.")
    return widths


@value
class multilayer_perceptron(Model):
    """A network described by a list of widths and a list of activations.

        x⁰ = x,    xⁱ = aⁱ(Wⁱxⁱ⁻¹ + bⁱ)    for i = 1 … M,    y = xᴹ

    The computation runs in the dtype of each W, to which its input and b are cast.

    Args:
        widths: the lengths of x⁰ … xᴹ, such as [64, 32, 10].
        activations: a list with one for each layer after the input, or a single one, which all hidden layers use while
            the output stays linear. Each is a function that keeps the shape of its argument, None for a linear layer,
            or the name of a function in `jax.nn`: "relu", "tanh", "sigmoid", "softplus", "softmax", "identity", …;
            "step" is the unit of the perceptron (1 where z > 0, else 0), whose derivative is 0.
        bias: whether the layers have b, which starts at 0.
        initializer: how each W starts, see `linear`; the He rules suit ReLU. With zeros all units of a hidden layer
            stay alike.
        dtype: the floating dtype of the parameters.

    The parameters are a tuple with {"w": (widths[i+1], widths[i]), "b": (widths[i+1],)} for layer i.

    Raises:
        ValueError, TypeError: if widths or activations do not fit, or x or params have other shapes.

    Reference: Rumelhart, Hinton, Williams, Learning representations by back-propagating errors, Nature 323, 1986.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> model = fg.multilayer_perceptron([64, 32, 10], "relu")
    >>> params = model.init(jax.random.key(0))
    >>> params[0]["w"].shape, model.apply(params, jnp.ones((5, 64))).shape
    ((32, 64), (5, 10))
    >>> fg.multilayer_perceptron([2, 3, 1], [None, "sigmoid"])
    multilayer_perceptron(widths=(2, 3, 1), activations=('identity', 'sigmoid'))
    """

    widths: Sequence[int] = static(convert=_as_widths)
    activations: Any = static(default="relu", convert=as_activations)
    bias: bool = static(default=True, one_of=(False, True))
    initializer: Initializer = static(default="glorot_uniform", convert=as_initializer)
    dtype: Any = static(default="float32", convert=as_dtype)

    def __post_init__(self) -> None:
        layers = len(self.widths) - 1
        if isinstance(self.activations, tuple) and len(self.activations) != layers:
            raise ValueError(
                f"multilayer_perceptron: `activations` must have one entry for each layer after the input, "
                f"{layers} for widths {self.widths}, got {len(self.activations)}."
            )

    def init(self, key: jax.Array) -> Params:
        check_key("multilayer_perceptron", key)
        keys = jax.random.split(key, len(self.widths) - 1)
        return tuple(
            init_layer("multilayer_perceptron", k, n, m, self.bias, self.initializer, self.dtype)
            for k, (n, m) in zip(keys, pairwise(self.widths), strict=True)
        )

    def apply(self, params: Params, x: Any) -> jax.Array:
        return self.forward(params, x)[1][-1]

    def forward(self, params: Params, x: Any) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """What every layer computes: (z¹ … zᴹ) and (x⁰ … xᴹ), where zⁱ = Wⁱxⁱ⁻¹ + bⁱ and xⁱ = aⁱ(zⁱ)."""
        expected = tuple(layer_shapes(n, m, self.bias) for n, m in pairwise(self.widths))
        check_structure("multilayer_perceptron", "params", params, "as in init", expected)
        zs, xs = [], [as_features("multilayer_perceptron", x, self.widths[0])]
        for i, (layer, activation) in enumerate(zip(params, self.functions, strict=True)):
            zs.append(affine(layer, xs[-1]))
            xs.append(activation(zs[-1]))
            if xs[-1].shape != zs[-1].shape:
                raise ValueError(
                    f"multilayer_perceptron: `activations` must keep the shape; in layer {i} it turned {zs[-1].shape} "
                    f"into {xs[-1].shape}."
                )
        return tuple(zs), tuple(xs)

    @property
    def functions(self) -> tuple[Callable[[jax.Array], jax.Array], ...]:
        """The activation functions a¹ … aᴹ."""
        if isinstance(self.activations, tuple):
            return tuple(map(resolve_activation, self.activations))
        hidden = resolve_activation(self.activations)
        return (hidden,) * (len(self.widths) - 2) + (resolve_activation("identity"),)
