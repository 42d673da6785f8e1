"""Regularizers that are sums over the entries: l1, squared l2, and both."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import field
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.projections.regularizer import Regularizer, as_strength
from funcgd.projections.wide import modulus, narrowed, prefixed, times, widened


class Separable(Regularizer):
    """The base of regularizers h(x) = Σᵢ (aᵢ |xᵢ| + ½ bᵢ |xᵢ|²).

        prox(x, η)ᵢ = sign(xᵢ) max(|xᵢ| − η aᵢ, 0)/(1 + η bᵢ)

    A subclass has `weights`, the pair a, b: numbers or prefixes of x.
    """

    weights: tuple[Any, Any]

    def value(self, x: Params) -> jax.Array:
        def leaf(a: jax.Array, l1: Any, l2: Any) -> jax.Array:
            size = modulus(a)
            return jnp.sum(jnp.asarray(l1, size.dtype) * size + 0.5 * jnp.asarray(l2, size.dtype) * numerics.square(a))

        terms = jax.tree.leaves(prefixed(type(self).__name__, "strength", leaf, widened("value", x), *self.weights))
        dtype = numerics.wide_dtype(*(term.dtype for term in terms))
        return sum((jnp.asarray(term, dtype) for term in terms), jnp.zeros((), dtype))

    def prox(self, x: Params, scale: Any) -> Params:
        def leaf(a: jax.Array, l1: Any, l2: Any) -> jax.Array:
            real = a.real.dtype
            eta = jnp.asarray(scale, real)
            return shrink(a, eta * jnp.asarray(l1, real), eta * jnp.asarray(l2, real))

        return narrowed(prefixed(type(self).__name__, "strength", leaf, widened("prox", x), *self.weights), x)


def shrink(x: jax.Array, l1: jax.Array, l2: jax.Array) -> jax.Array:
    """The proximal map of l1·|x| + ½ l2·|x|², entry by entry; exactly 0 where |x| ≤ l1."""
    if not jnp.iscomplexobj(x):
        return (x - jnp.clip(x, -l1, l1)) / (1 + l2)
    size = modulus(x)
    kept = size > l1
    return times(x, jnp.where(kept, 1 - l1 / jnp.where(kept, size, 1), 0) / (1 + l2))


@value
class L1Norm(Separable):
    """The sum of absolute values, of which solutions have many zeros: the lasso's.

        h(x) = λ Σᵢ |xᵢ|,   prox(x, η)ᵢ = sign(xᵢ) max(|xᵢ| − ηλ, 0)

    Args:
        strength: λ ≥ 0, [loss]/[param]: a number or array for all leaves, or a pytree of them that is a prefix of x;
            {"w": 0.1, "b": 0.0} leaves b alone.

    Raises:
        ValueError: if a strength is negative.

    Reference: Tibshirani, Regression shrinkage and selection via the lasso, J. R. Stat. Soc. B 58, 1996; Donoho,
    Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81, 1994.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.L1Norm(1.0).prox(jnp.array([3.0, -0.5, -2.0]), 1.0).tolist()
    [2.0, 0.0, -1.0]
    """

    strength: Any = field("plain", as_strength)

    @property
    def weights(self) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.strength, 0.0


@value
class SquaredL2Norm(Separable):
    """Half the squared Euclidean norm, which shrinks every entry by the same factor: that of ridge regression.

        h(x) = (λ/2) Σᵢ |xᵢ|²,   prox(x, η) = x/(1 + ηλ)

    Args:
        strength: λ ≥ 0, [loss]/[param]², as in `L1Norm`.

    Raises:
        ValueError: if a strength is negative.

    Reference: Hoerl, Kennard, Ridge regression: biased estimation for nonorthogonal problems, Technometrics 12, 1970.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.SquaredL2Norm(1.0).prox(jnp.array([3.0, -0.5]), 1.0).tolist()
    [1.5, -0.25]
    """

    strength: Any = field("plain", as_strength)

    @property
    def weights(self) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 0.0, self.strength


@value
class ElasticNet(Separable):
    """The sum of `L1Norm` and `SquaredL2Norm`: zeros as the first, and groups of correlated entries stay together.

        h(x) = λ₁ Σᵢ |xᵢ| + (λ₂/2) Σᵢ |xᵢ|²,   prox(x, η)ᵢ = sign(xᵢ) max(|xᵢ| − ηλ₁, 0)/(1 + ηλ₂)

    scikit-learn's ElasticNet(alpha, l1_ratio) has λ₁ = alpha·l1_ratio and λ₂ = alpha·(1 − l1_ratio).

    Args:
        l1: λ₁ ≥ 0, [loss]/[param], as in `L1Norm`.
        l2: λ₂ ≥ 0, [loss]/[param]², likewise.

    Raises:
        ValueError: if one of them is negative.

    Reference: Zou, Hastie, Regularization and variable selection via the elastic net, J. R. Stat. Soc. B 67, 2005.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.ElasticNet(1.0, 1.0).prox(jnp.array([3.0, -0.5]), 1.0).tolist()
    [1.0, 0.0]
    """

    l1: Any = field("plain", as_strength)
    l2: Any = field("plain", as_strength)

    @property
    def weights(self) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.l1, self.l2
