"""Regularizers: convex functions that solvers know by their value and their proximal map."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import describe, field, is_number
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.projections.balls import projection_l2_ball, projection_l2_sphere, projection_linf_ball
from funcgd.projections.boxes import projection_box
from funcgd.projections.simplex import projection_l1_ball, projection_l1_sphere, projection_simplex
from funcgd.projections.wide import is_concrete, radius

SCALED = (
    projection_l1_ball,
    projection_l1_sphere,
    projection_l2_ball,
    projection_l2_sphere,
    projection_linf_ball,
    projection_simplex,
)


class Regularizer:
    """The base of what composite methods add to the objective: h in f + h.

    A regularizer is a value with two pure methods: `value(x)`, h(x), and the proximal map

        prox(x, η) = argmin over z of ½‖z − x‖² + η h(z)

    where η ≥ 0, [param]²/[loss], may be traced. prox(x, 0) is x, or the nearest point at which h is finite.

    Reference: Moreau, Fonctions convexes duales et points proximaux dans un espace hilbertien, C. R. Acad. Sci. 255,
    1962; Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.L1Norm(2.0).prox(jnp.array([3.0, -0.5]), 0.5).tolist()
    [2.0, 0.0]
    """

    def value(self, x: Params) -> jax.Array:
        """h(x), in at least float32."""
        raise NotImplementedError(f"{type(self).__name__} must define `value(self, x)`.")

    def prox(self, x: Params, scale: Any) -> Params:
        """The proximal map of `scale` · h."""
        raise NotImplementedError(f"{type(self).__name__} must define `prox(self, x, scale)`.")


def as_strength(owner: str, name: str, x: Any) -> Any:
    """`x` as a strength: a number, an array, or a pytree of them; at least 0 where known."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        place = f"{name}{jax.tree_util.keystr(path)}"
        if not is_number(leaf) or jnp.issubdtype(jnp.result_type(leaf), jnp.complexfloating):
            raise TypeError(f"{owner}: `{place}` must be a real number, got {describe(leaf)}.")
        if is_concrete(leaf) and not np.all((np.asarray(leaf) >= 0) & np.isfinite(np.asarray(leaf))):
            raise ValueError(f"{owner}: `{place}` must be in [0, inf), got {describe(leaf)}.")
    return jax.tree.map(lambda a: float(a) if isinstance(a, int) else a, x)


def as_parameters(owner: str, name: str, x: Any) -> Any:
    """`x` as a tuple of pytrees."""
    if not isinstance(x, tuple):
        raise TypeError(f"{owner}: `{name}` must be a tuple of further arguments, got {describe(x)}.")
    return x


def check_parameters(owner: str, projection: Callable, parameters: tuple) -> None:
    """Bounds of a box must not be crossed, and radii not be negative, where they are known: in loops nobody can look.

    Raises:
        ValueError: naming `owner`.
    """
    if not is_concrete(parameters):
        return
    if projection is projection_box and len(parameters) == 2:
        lower, upper = parameters
        if is_number(upper):
            upper = jax.tree.map(lambda _: upper, lower)
        elif is_number(lower):
            lower = jax.tree.map(lambda _: lower, upper)
        if jax.tree.structure(lower) == jax.tree.structure(upper):
            for low, high in zip(jax.tree.leaves(lower), jax.tree.leaves(upper), strict=True):
                if not np.all(np.asarray(low) <= np.asarray(high)):
                    raise ValueError(f"{owner}: `lower` must be at most `upper`, got {describe(parameters)}.")
    elif projection in SCALED and len(parameters) == 1:
        radius(owner, "parameters[0]", parameters[0])


def as_projection(owner: str, name: str, x: Any) -> Any:
    """`x` as a function."""
    if not callable(x):
        raise TypeError(f"{owner}: `{name}` must be a function x, *parameters → nearest point, got {describe(x)}.")
    return x


@value
class Indicator(Regularizer):
    """A constraint as a regularizer: 0 on a closed convex set and ∞ elsewhere; its proximal map is the projection.

    `value` is 0 without looking, because methods ask for it only at points that `prox` returned.

    Args:
        projection: x, *parameters → the nearest point of the set, such as `fg.projection_simplex`.
        parameters: further arguments of the projection, a tuple of pytrees; other numbers do not recompile.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014, section 1.2.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.Indicator(fg.projection_box, (0.0, 1.0)).prox(jnp.array([-1.0, 0.5, 2.0]), 1.0).tolist()
    [0.0, 0.5, 1.0]
    """

    projection: Callable = field("plain", as_projection)
    parameters: tuple = field("plain", as_parameters, default=())

    def __post_init__(self) -> None:
        check_parameters(type(self).__name__, self.projection, self.parameters)

    def value(self, x: Params) -> jax.Array:
        return jnp.zeros((), numerics.wide_dtype(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(x))))

    def prox(self, x: Params, scale: Any) -> Params:
        del scale
        return self.projection(x, *self.parameters)


@value
class NoRegularizer(Regularizer):
    """h = 0, with which a composite method is one for smooth functions.

    Reference: Parikh, Boyd, Proximal algorithms, Foundations and trends in optimization 1(3), 2014.

    >>> import funcgd as fg
    >>> fg.NoRegularizer().prox(3.0, 1.0)
    3.0
    """

    def value(self, x: Params) -> jax.Array:
        return jnp.zeros((), numerics.wide_dtype(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(x))))

    def prox(self, x: Params, scale: Any) -> Params:
        del scale
        return x
