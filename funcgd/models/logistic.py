"""Logistic regression: a linear model of the logits."""

from typing import Any

import jax

from funcgd.core.fields import as_count, as_dtype, static
from funcgd.core.types import Params
from funcgd.core.validate import check_key, check_structure
from funcgd.core.values import value
from funcgd.models.initializers import Initializer, as_initializer
from funcgd.models.layer import affine, as_features, init_layer, layer_shapes
from funcgd.models.model import Model


def _as_classes(n: Any) -> int:
    return as_count(n, least=2)


@value
class logistic(Model):
    """Logistic regression; it returns logits, not probabilities.

        two classes:   z = w·x + b,   P(1 | x) = σ(z)            z of shape (...)
        more classes:  z = Wx + b,    P(k | x) = softmax(z)ₖ     z of shape (..., classes)

    Use it with the cross-entropies that take logits, which stay accurate where a probability rounds to 0 or 1. For two
    classes there is one logit, and z has lost its last axis; class 1 is the more probable one where z > 0.

    Args:
        features_in: the length of x on its last axis, shape (..., features_in).
        classes: how many classes, at least 2.
        bias: whether there is b, which starts at 0.
        initializer: how W starts, see `linear`. The problem is convex, so zeros are a good start.
        dtype: the floating dtype of the parameters.

    The parameters are {"w": (outputs, features_in), "b": (outputs,)}, where outputs is 1 for two classes.

    Raises:
        ValueError, TypeError: see `linear`.

    Reference: Cox, The regression analysis of binary sequences, Journal of the Royal Statistical Society B 20, 1958.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> params = {"w": jnp.array([[1.0, -1.0]]), "b": jnp.array([0.5])}
    >>> fg.logistic(2).apply(params, jnp.array([[2.0, 1.0], [0.0, 3.0]])).tolist()
    [1.5, -2.5]
    >>> model = fg.logistic(64, classes=10)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 64))).shape
    (5, 10)
    """

    features_in: int = static(convert=as_count)
    classes: int = static(default=2, convert=_as_classes)
    bias: bool = static(default=True, one_of=(False, True))
    initializer: Initializer = static(default="zeros", convert=as_initializer)
    dtype: Any = static(default="float32", convert=as_dtype)

    @property
    def _outputs(self) -> int:
        return 1 if self.classes == 2 else self.classes

    def init(self, key: jax.Array) -> Params:
        check_key("logistic", key)
        return init_layer("logistic", key, self.features_in, self._outputs, self.bias, self.initializer, self.dtype)

    def apply(self, params: Params, x: Any) -> jax.Array:
        expected = layer_shapes(self.features_in, self._outputs, self.bias)
        check_structure("logistic", "params", params, "as in init", expected)
        z = affine(params, as_features("logistic", x, self.features_in))
        return z[..., 0] if self.classes == 2 else z
