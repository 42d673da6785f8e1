"""Regularizers that are Euclidean norms, of everything or of groups: a group is 0 as a whole or not at all."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core import tree as trees
from funcgd.core.fields import field, static
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.projections.regularizer import Regularizer, as_strength
from funcgd.projections.wide import narrowed, prefixed, times, widened


@value
class L2Norm(Regularizer):
    """The Euclidean norm, not squared, of all leaves together: x is shortened, down to 0.

        h(x) = λ ‖x‖₂,   prox(x, η) = x max(1 − ηλ/‖x‖₂, 0)

    Args:
        strength: λ ≥ 0, [loss]/[param].

    Raises:
        ValueError: if the strength is negative.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 6.5.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.L2Norm(1.0).prox(jnp.array([3.0, 4.0]), 2.5).tolist()
    [1.5, 2.0]
    """

    strength: Any = field("plain", as_strength)

    def value(self, x: Params) -> jax.Array:
        size = trees.norm(x)
        return jnp.asarray(self.strength, size.dtype) * size

    def prox(self, x: Params, scale: Any) -> Params:
        size = trees.norm(x)
        kept = _kept(size, jnp.asarray(scale, size.dtype) * jnp.asarray(self.strength, size.dtype))
        return narrowed(jax.tree.map(lambda a: times(a, kept), widened("L2Norm", x)), x)


@value
class GroupLasso(Regularizer):
    """The sum of the Euclidean norms of groups: the group lasso, which drops groups as a whole.

        h(x) = Σ_g λ_g ‖x_g‖₂,   prox(x, η)_g = x_g max(1 − ηλ_g/‖x_g‖₂, 0)

    A group is a leaf; with `axis`, each leaf is cut into groups that run along that axis: with axis=0 the columns of a
    matrix, with axis=1 its rows. Groups of different sizes are treated alike where λ_g is a multiple of the root of
    their size.

    Args:
        strength: λ ≥ 0, [loss]/[param]: a number, or a pytree of them that is a prefix of x.
        axis: the axis (or a tuple of axes) that the norms are taken along; None is all of them.

    Raises:
        ValueError: if a strength is negative.

    Reference: Yuan, Lin, Model selection and estimation in regression with grouped variables, J. R. Stat. Soc. B 68,
    2006.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.GroupLasso(1.0, axis=1).prox(jnp.array([[3.0, 4.0], [0.3, 0.4]]), 2.5).tolist()
    [[1.5, 2.0], [0.0, 0.0]]
    """

    strength: Any = field("plain", as_strength)
    axis: int | tuple[int, ...] | None = static(default=None)

    def value(self, x: Params) -> jax.Array:
        def leaf(a: jax.Array, strength: Any) -> jax.Array:
            size = self._norms(a)
            return jnp.sum(jnp.asarray(strength, size.dtype) * size)

        terms = jax.tree.leaves(prefixed("GroupLasso", "strength", leaf, widened("GroupLasso", x), self.strength))
        dtype = numerics.wide_dtype(*(term.dtype for term in terms))
        return sum((jnp.asarray(term, dtype) for term in terms), jnp.zeros((), dtype))

    def prox(self, x: Params, scale: Any) -> Params:
        def leaf(a: jax.Array, strength: Any) -> jax.Array:
            size = self._norms(a)
            return times(a, _kept(size, jnp.asarray(scale, size.dtype) * jnp.asarray(strength, size.dtype)))

        return narrowed(prefixed("GroupLasso", "strength", leaf, widened("GroupLasso", x), self.strength), x)

    def _norms(self, x: jax.Array) -> jax.Array:
        """The norm of each group, kept as axes of length 1; safe from overflow by a power of two for each."""
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis or ()
        if any(not -x.ndim <= axis < x.ndim for axis in axes):
            raise ValueError(f"GroupLasso: `axis` must be one of each leaf, got {self.axis} and shape {x.shape}.")
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=self.axis, keepdims=True, initial=0))
        bound = 3 * jnp.finfo(largest.dtype).maxexp // 4  # so that 1/unit is no subnormal number
        usable = (largest > 0) & jnp.isfinite(largest)
        unit = jnp.exp2(jnp.clip(jnp.floor(jnp.log2(jnp.where(usable, largest, 1))), -bound, bound))
        return unit * numerics.sqrt(jnp.sum(numerics.square(times(x, 1 / unit)), axis=self.axis, keepdims=True))


def _kept(size: jax.Array, threshold: jax.Array) -> jax.Array:
    """max(1 − threshold/size, 0), and 0 for size 0; NaN stays NaN."""
    small = size <= threshold
    return jnp.where(small, 0, 1 - threshold / jnp.where(small, 1, size))
