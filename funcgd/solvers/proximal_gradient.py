"""The proximal gradient method, and projected gradients as the case of constraints."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_count, describe, field, number, static
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.projections.regularizer import Indicator, Regularizer, as_parameters, as_projection, check_parameters
from funcgd.solvers import composite
from funcgd.solvers.composite import Comparison, Smooth
from funcgd.solvers.proximal_method import ProximalMethod, ProximalState

SUFFICIENT = 1e-4  # σ: the part of ‖x_{k+1} − x_k‖²/2η that f + h must fall by


def as_regularizer(owner: str, name: str, x: Any) -> Any:
    """`x` as a regularizer.

    Raises:
        TypeError: if it has no value and no proximal map.
    """
    if not (hasattr(x, "prox") and hasattr(x, "value")):
        raise TypeError(f"{owner}: `{name}` must be a regularizer such as fg.L1Norm(0.1), got {describe(x)}.")
    return x


class ProximalStep(ProximalMethod):
    """The steps x_{k+1} = prox_{ηh}(x_k − η∇f(x_k)).

    >>> import funcgd as fg
    >>> from funcgd.solvers.proximal_gradient import ProximalStep
    >>> issubclass(fg.ProjectedGradient, ProximalStep)
    True
    """

    h: Regularizer

    def penalty(self, x: Params) -> jax.Array:
        return self.h.value(x)

    def feasible(self, x: Params) -> Params:
        return self.h.prox(x, 0.0)

    def move(self, x: Params, grads: Params, step: jax.Array) -> Params:
        return self.h.prox(tree.add_scale(x, -step, grads), step)

    def enough(self, state: ProximalState, found: Comparison, new: Smooth, total: jax.Array) -> jax.Array:
        needed = SUFFICIENT * found.distance / state.step
        highest = jnp.max(state.recent)
        # Where values have no digits left, the mean of the slopes at both ends says whether f + h fell.
        drowned = composite.is_drowned(found.span / state.step, total, state.recent[0])
        fell = found.bend <= (2 - SUFFICIENT) * found.span / state.step
        return (total <= highest - needed) | (drowned & fell)


@value
class ProximalGradient(ProximalStep):
    """Minimise f + h, where f is `fun`, smooth, and h a regularizer, by gradient steps in f and proximal steps in h.

        x_{k+1} = prox_{ηh}(x_k − η∇f(x_k))

    With `step_size` η ≤ 1/L, where L is the Lipschitz constant of ∇f, this is ISTA: for convex f,
    F(x_k) − F* ≤ ‖x₀ − x*‖²/(2ηk). Without, η is the inverse curvature along the last step (Barzilai–Borwein), shrunk
    until F = f + h is at least σ‖x_{k+1} − x_k‖²/2η below the highest of the last `memory` values (SpaRSA), which is
    mostly far faster; single steps may then go up, unless the memory is 1. Order 1 under strong convexity; a stationary
    point is found where f is not convex.

    `minimize` reports F, and in place of the gradient the gradient mapping (x − prox_{ηh}(x − η∇f(x)))/η. A start at
    which h is infinite is replaced by its projection.

    Args:
        regularizer: h, such as `fg.L1Norm(0.1)`; `fg.Indicator(projection)` for a constraint.
        step_size: η, [param]²/[loss]; None finds it at each step.
        memory: how many values the search looks back at, at least 1.

    Cost: one evaluation for each trial, some 1.0 to 1.3 for each step. Memory: three times that of x.

    Reference: Beck, Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM J.
    Imaging Sci. 2, 2009; Wright, Nowak, Figueiredo, Sparse reconstruction by separable approximation, IEEE Trans.
    Signal Process. 57, 2009.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda x: 0.5 * jnp.sum((x - jnp.array([3.0, 0.5])) ** 2)
    >>> stop = fg.stop.gradient_norm(1e-5)
    >>> fg.minimize(f, jnp.zeros(2), fg.ProximalGradient(fg.L1Norm(1.0)), max_steps=99, stop=stop).params.tolist()
    [2.0, 0.0]
    """

    regularizer: Regularizer = field("plain", as_regularizer)
    step_size: Scalar | None = number("(0, inf)", default=None, schedule=False)
    memory: int = static(default=10, convert=as_count)

    @property
    def h(self) -> Regularizer:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.regularizer


@value
class ProjectedGradient(ProximalStep):
    """Minimise f over a convex set, by gradient steps that are projected onto it: spectral projected gradients.

        x_{k+1} = P(x_k − η∇f(x_k))

    η is found as in `ProximalGradient`, of which this is the case where h is 0 on the set and ∞ elsewhere; so are
    order, cost and what `minimize` reports. A start outside is projected.

    Args:
        projection: P: x, *parameters → the nearest point of the set, such as `fg.projection_simplex`.
        parameters: further arguments of the projection, a tuple of pytrees, such as (lower, upper) of
            `fg.projection_box`; other numbers do not recompile.
        step_size: η, [param]²/[loss]; None finds it at each step.
        memory: how many values the search looks back at, at least 1; with 1 no step goes up.

    Reference: Birgin, Martínez, Raydan, Nonmonotone spectral projected gradient methods on convex sets, SIAM J. Optim.
    10, 2000.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda x: jnp.sum((x - jnp.array([3.0, 0.5, -1.0])) ** 2)
    >>> method = fg.ProjectedGradient(fg.projection_box, (0.0, 2.0))
    >>> fg.minimize(f, jnp.zeros(3), method, max_steps=99, stop=fg.stop.gradient_norm(1e-5)).params.tolist()
    [2.0, 0.5, 0.0]
    """

    projection: Callable = field("plain", as_projection)
    parameters: tuple = field("plain", as_parameters, default=())
    step_size: Scalar | None = number("(0, inf)", default=None, schedule=False)
    memory: int = static(default=10, convert=as_count)

    def __post_init__(self) -> None:
        check_parameters(type(self).__name__, self.projection, self.parameters)

    @property
    def h(self) -> Regularizer:  # pyright: ignore[reportIncompatibleVariableOverride]
        return Indicator(self.projection, self.parameters)
