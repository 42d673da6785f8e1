"""Linear model: the affine map y = Wx + b."""

from typing import Any

import jax

from funcgd.core.fields import as_count, as_dtype, static
from funcgd.core.types import Params
from funcgd.core.validate import check_key, check_structure
from funcgd.core.values import value
from funcgd.models.initializers import Initializer, as_initializer
from funcgd.models.layer import affine, as_features, init_layer, layer_shapes
from funcgd.models.model import Model


@value
class linear(Model):
    """The linear model, for linear regression and as one layer.

        y = Wx + b

    W has one row for each output, so that it is written as in the formula; on a batch, y = xWᵀ + b. The computation
    runs in the dtype of W, to which x and b are cast.

    Args:
        features_in: the length of x on its last axis, shape (..., features_in).
        features_out: the length of y, shape (..., features_out).
        bias: whether there is b, which starts at 0.
        initializer: how W starts: "zeros", "normal" (deviation 0.01), "glorot_uniform", "glorot_normal", "he_uniform",
            "he_normal", or a function (key, shape, dtype) → array, such as those of `jax.nn.initializers`. A function
            gets JAX's shape (features_in, features_out), and its array is transposed.
        dtype: the floating dtype of the parameters.

    The parameters are {"w": (features_out, features_in), "b": (features_out,)}, without "b" if there is no bias.

    Raises:
        ValueError, TypeError: if a size is no positive integer, a name is unknown, or x or params have other shapes.

    Reference: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010;
    He et al., Delving deep into rectifiers, ICCV 2015, arXiv:1502.01852.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> model = fg.linear(4, 2)
    >>> params = {"w": jnp.array([[1.0, 2, -1, -2], [3, 4, -3, 4]]), "b": jnp.array([5.0, 6])}
    >>> model.apply(params, jnp.array([1, 2, 3, 4])).tolist()
    [-1.0, 24.0]
    """

    features_in: int = static(convert=as_count)
    features_out: int = static(convert=as_count)
    bias: bool = static(default=True, one_of=(False, True))
    initializer: Initializer = static(default="glorot_uniform", convert=as_initializer)
    dtype: Any = static(default="float32", convert=as_dtype)

    def init(self, key: jax.Array) -> Params:
        check_key("linear", key)
        return init_layer("linear", key, self.features_in, self.features_out, self.bias, self.initializer, self.dtype)

    def apply(self, params: Params, x: Any) -> jax.Array:
        expected = layer_shapes(self.features_in, self.features_out, self.bias)
        check_structure("linear", "params", params, "as in init", expected)
        return affine(params, as_features("linear", x, self.features_in))
