"""Coordinate descent: one entry after the other, each to its exact minimum."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import describe, field
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.projections.separable import Separable, shrink
from funcgd.projections.wide import prefixed
from funcgd.solvers import composite
from funcgd.solvers.hessian import hessian_matrix
from funcgd.solvers.quadratic import is_mispredicted


class CoordinateState(NamedTuple):
    """The state of `CoordinateDescent`.

    >>> from funcgd.solvers.coordinate_descent import CoordinateState
    >>> CoordinateState._fields
    ('hessian', 'l1', 'l2', 'predicted', 'first')
    """

    hessian: jax.Array  # (n, n)
    l1: jax.Array  # (n,), the strength of |xᵢ|
    l2: jax.Array  # (n,), that of |xᵢ|²/2
    predicted: jax.Array  # (n,), ∇f at the point that is evaluated next, if f is quadratic
    first: jax.Array  # (), bool: whether nothing was predicted yet


def as_separable(owner: str, name: str, x: Any) -> Any:
    """`x` as a regularizer that is a sum over the entries."""
    if not isinstance(x, Separable):
        kinds = "fg.L1Norm, fg.SquaredL2Norm or fg.ElasticNet"
        raise TypeError(f"{owner}: `{name}` must be a sum over the entries ({kinds}), got {describe(x)}.")
    return x


@value
class CoordinateDescent:
    """Minimise f + h, where f is quadratic and h a sum over the entries, one entry after the other, each exactly.

        xᵢ ← prox_{hᵢ/Hᵢᵢ}(xᵢ − (∇f(x))ᵢ/Hᵢᵢ),   ∇f ← ∇f + H_{·i} (change of xᵢ),   i = 1, …, n

    The way to solve a lasso or elastic net with squared errors: no step size, no search, and f + h never rises. A step
    is a sweep over all entries. H = ∇²f is computed once, at the start. Where f turns out not to be quadratic, the loop
    ends with the reason NOT_QUADRATIC.

    `minimize` reports f + h, and in place of the gradient (x − prox_{ηh}(x − η∇f(x)))/η with η = 1/‖H‖_∞.

    Args:
        regularizer: h: `fg.L1Norm`, `fg.SquaredL2Norm` or `fg.ElasticNet`.

    Raises:
        TypeError: if h is something else, or x complex.

    Order 1. Cost: one evaluation and n² multiplications for each step; n products with the Hessian at the start.
    Memory: n² numbers. It has no parameter with a unit.

    Reference: Tseng, Convergence of a block coordinate descent method for nondifferentiable minimization, J. Optim.
    Theory Appl. 109, 2001; Friedman, Hastie, Tibshirani, Regularization paths for generalized linear models via
    coordinate descent, J. Stat. Softw. 33, 2010.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda x: 0.5 * jnp.sum((x - jnp.array([3.0, 0.5])) ** 2)
    >>> stop = fg.stop.gradient_norm(1e-5)
    >>> fg.minimize(f, jnp.zeros(2), fg.CoordinateDescent(fg.L1Norm(1.0)), max_steps=9, stop=stop).params.tolist()
    [2.0, 0.0]
    """

    regularizer: Separable = field("plain", as_separable)

    def init(self, fun: Callable, x: Params, args: tuple) -> CoordinateState:
        """The state before the first evaluation: the Hessian."""
        for path, leaf in jax.tree_util.tree_leaves_with_path(x):
            if jnp.iscomplexobj(leaf):
                raise TypeError(f"CoordinateDescent: `x0{jax.tree_util.keystr(path)}` must be real, got {leaf.dtype}.")
        matrix = hessian_matrix(fun, x, args)

        def spread(strength: Any) -> jax.Array:
            full = prefixed(
                "CoordinateDescent",
                "strength",
                lambda a, s: jnp.broadcast_to(jnp.asarray(s, matrix.dtype), a.shape),
                x,
                strength,
            )
            return jnp.asarray(to_vector(full), matrix.dtype)

        l1, l2 = map(spread, self.regularizer.weights)
        return CoordinateState(matrix, l1, l2, jnp.zeros_like(l1), jnp.bool_(True))

    def step(
        self, fun: Callable, x: Params, state: CoordinateState, args: tuple
    ) -> tuple[Params, CoordinateState, Evaluation]:
        """One evaluation, at x, and a sweep from there."""
        new, aux = composite.evaluate(fun, x, args)
        v, g, h = to_vector(x), to_vector(new.grads), state.hessian
        total = new.value + jnp.asarray(self.regularizer.value(x), new.value.dtype)
        rows = jnp.max(jnp.sum(jnp.abs(h), axis=1))
        wrong = ~state.first & is_mispredicted(state.predicted, g, rows * jnp.linalg.norm(v))
        code = jnp.where(wrong, jnp.int32(StopReason.NOT_QUADRATIC), jnp.int32(0))
        rows = jnp.where(rows > 0, rows, 1)
        eta = 1 / rows
        moved = shrink(v - eta * g, eta * state.l1, eta * state.l2)
        norm, largest = composite.mapping_norms(v, moved, eta)
        least = float(jnp.finfo(v.dtype).eps) * rows

        def entry(i: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            v, g = now
            eta = 1 / jnp.maximum(h[i, i], least)  # a row of zeros has no minimum of its own
            z = shrink(v[i] - eta * g[i], eta * state.l1[i], eta * state.l2[i])
            return v.at[i].set(z), g + (z - v[i]) * h[:, i]

        v, predicted = jax.lax.fori_loop(0, v.size, entry, (v, g))
        state = state._replace(predicted=predicted, first=jnp.bool_(False))
        real = new.value.dtype
        at_x = Evaluation(total, jnp.asarray(norm, real), aux, True, code, jnp.asarray(largest, real))
        return from_vector(v, x), state, at_x
