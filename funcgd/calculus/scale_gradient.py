"""The identity, whose derivative is another one."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.validate import is_inexact


def scale_gradient(inputs: Any, scale: Any) -> Any:
    """`inputs` themselves, with all derivatives through them multiplied by `scale`.

    A factor below 1 slows what lies before them down, 0 is `jax.lax.stop_gradient`, −1 turns descent into ascent. In
    forward and in reverse mode; second derivatives twice. With respect to the scale there is none. Leaves that are no
    floating or complex arrays are handed on.

    Args:
        inputs: a pytree of arrays.
        scale: (), a real number.

    Reference: Ganin, Lempitsky, Unsupervised domain adaptation by backpropagation, ICML 2015, arXiv:1409.7495, where
    gradients are reversed.

    >>> import funcgd as fg, jax
    >>> jax.value_and_grad(lambda x: fg.scale_gradient(x, -0.5) ** 2)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(-3., dtype=float32, weak_type=True))
    """
    return jax.tree.map(lambda x: _scaled(x, scale) if is_inexact(x) else x, inputs)


@jax.custom_jvp
def _scaled(x: Any, scale: Any) -> Any:
    del scale
    return x


@_scaled.defjvp
def _scaled_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    x, scale = primals
    factor = scale if isinstance(scale, (int, float)) else jnp.asarray(scale, jnp.real(x).dtype)
    with jax.numpy_dtype_promotion("standard"):  # for complex x
        return _scaled(x, scale), factor * tangents[0]
