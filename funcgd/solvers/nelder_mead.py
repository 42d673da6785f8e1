"""Nelder and Mead's simplex: minimisation without derivatives."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import as_count, number, static
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value

FILL, REFLECT, EXPAND, OUTSIDE, INSIDE = 0, 1, 2, 3, 4


class NelderMeadState(NamedTuple):
    """The state of `NelderMead`, in real coordinates.

    >>> import funcgd as fg
    >>> fg.NelderMeadState._fields[:3]
    ('simplex', 'values', 'point')
    """

    simplex: jax.Array  # (n + 1, n), vertices; from the lowest value to the highest, but while it is filled
    values: jax.Array  # (n + 1,), f there; NaN counts as ∞
    point: jax.Array  # (n,), what is evaluated next
    reflected: jax.Array  # (), f at the reflected point
    lowest: jax.Array  # (), the lowest value so far
    phase: jax.Array  # (), int32: what `point` is
    vertex: jax.Array  # (), int32: which vertex is filled
    waited: jax.Array  # (), int32: evaluations since the lowest value


@value
class NelderMead:
    """A simplex of n + 1 points that crawls downhill by its values alone: for functions without a useful gradient.

    The worst vertex w is moved along the line through the centroid c of the others, to c + t(c − w):

        reflect t = 1,    expand t = 1 + 2/n,    contract t = ±(¾ − 1/2n),    else shrink to the best by 1 − 1/n

    These are the factors of Gao and Han, which work in more dimensions than those of 1965; n = 1 takes those of 2.
    An iterate is a point that is lower than all before it. The gradient is not known: `gradient_norm` is NaN, so rules
    for it never stop. The method ends by itself with `STEP_SIZE` when the simplex is small, in both senses:

        maxᵢ ‖xᵢ − x₀‖∞ ≤ size_tolerance,    maxᵢ f(xᵢ) − f(x₀) ≤ value_tolerance

    It may end where nothing is minimal (McKinnon 1998): start again from there, with a new simplex.

    Args:
        size_tolerance: in [0, ∞), unit of the parameters.
        value_tolerance: in [0, ∞), unit of the value.
        edge: of the first simplex, relative to each coordinate of x₀; 0.00025 where that is 0.
        max_trials: per dimension, the evaluations without a lower value after which the method gives up.

    Order: none is known. Cost: one evaluation for each step of the loop, one or two for each move, n for a shrink and
    n + 1 at the start; some hundred times n in all, for n up to 20 or so. Memory: n² + 2n.

    Reference: Nelder, Mead, A simplex method for function minimization, Computer J. 7, 1965; Gao, Han, Implementing the
    Nelder–Mead simplex algorithm with adaptive parameters, Comput. Optim. Appl. 51, 2012.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> run = fg.minimize(lambda x: jnp.abs(x[0] - 1) + jnp.abs(x[1]), jnp.zeros(2), fg.NelderMead(), max_steps=500)
    >>> [round(abs(float(x)), 3) for x in run.params], run.reason.name
    ([1.0, 0.0], 'STEP_SIZE')
    """

    size_tolerance: Scalar = number("[0, inf)", default=1e-5, schedule=False)
    value_tolerance: Scalar = number("[0, inf)", default=1e-5, schedule=False)
    edge: Scalar = number("(0, inf)", default=0.05, schedule=False)
    max_trials: int = static(default=200, convert=as_count)

    def init(self, fun: Callable, x: Params, args: tuple) -> NelderMeadState:
        """A simplex along the axes, whose values are not known yet."""
        z = to_vector(x)
        real = jax.eval_shape(fun, x, args)[0].dtype
        edges = jnp.where(z != 0, jnp.asarray(self.edge, z.dtype) * z, jnp.full_like(z, 0.00025))
        infinite = jnp.array(jnp.inf, real)
        return NelderMeadState(
            simplex=jnp.concatenate([z[None], z + jnp.diag(edges)]),
            values=jnp.full((z.size + 1,), infinite),
            point=z,
            reflected=infinite,
            lowest=infinite,
            phase=jnp.int32(FILL),
            vertex=jnp.int32(0),
            waited=jnp.int32(0),
        )

    def step(
        self, fun: Callable, x: Params, state: NelderMeadState, args: tuple
    ) -> tuple[Params, NelderMeadState, Evaluation]:
        """One evaluation, at x: a new lowest point, or a trial that is rejected."""
        f_x, aux = fun(x, args)
        f = jnp.where(jnp.isnan(f_x), jnp.full_like(f_x, jnp.inf), f_x)
        start = (state.phase == FILL) & (state.vertex == 0) & jnp.isinf(state.lowest)
        lower = f < state.lowest
        state = state._replace(lowest=jnp.where(lower, f, state.lowest), waited=jnp.where(lower, 0, state.waited + 1))
        state, ready = _take_in(state, f)
        state = _next_trial(state, f, ready)
        code = jnp.where(ready & self._is_small(state), jnp.int32(StopReason.STEP_SIZE), jnp.int32(0))
        stuck = state.waited >= self.max_trials * state.point.size
        code = jnp.where((code == 0) & stuck, jnp.int32(StopReason.NO_DECREASE), code)
        unknown = jnp.full_like(f_x, jnp.nan)
        at_x = Evaluation(f_x, unknown, aux, start | lower, code, unknown)
        return from_vector(state.point, x), state, at_x

    def _is_small(self, state: NelderMeadState) -> jax.Array:
        size = jnp.max(jnp.abs(state.simplex - state.simplex[0]))
        return (size <= self.size_tolerance) & (state.values[-1] - state.values[0] <= self.value_tolerance)


def _take_in(state: NelderMeadState, f: jax.Array) -> tuple[NelderMeadState, jax.Array]:
    """The simplex after an evaluation, in order, and whether it is complete: then the next move begins."""
    n, phase, worst = state.point.size, state.phase, state.values[-1]
    shrink = 1 - 1 / max(n, 2)
    filling, expanding = phase == FILL, phase == EXPAND
    keep_reflected = expanding & ~(f < state.reflected)
    taken = (
        ((phase == REFLECT) & (f >= state.values[0]) & (f < state.values[-2]))
        | expanding
        | ((phase == OUTSIDE) & (f <= state.reflected))
        | ((phase == INSIDE) & (f < worst))
    )
    point = jnp.where(keep_reflected, _on_line(state, jnp.asarray(1.0, state.point.dtype)), state.point)
    row = jnp.where(filling, state.vertex, n)
    put = filling | taken
    simplex = jnp.where(put, state.simplex.at[row].set(point), state.simplex)
    values = jnp.where(put, state.values.at[row].set(jnp.where(keep_reflected, state.reflected, f)), state.values)
    ready = taken | (filling & (state.vertex == n))
    failed = ((phase == OUTSIDE) | (phase == INSIDE)) & ~taken
    simplex = jnp.where(failed, simplex[0] + shrink * (simplex - simplex[0]), simplex)
    order = jnp.where(ready, jnp.argsort(values), jnp.arange(n + 1))
    vertex = jnp.where(failed, 1, jnp.where(filling, state.vertex + 1, 0)).astype(jnp.int32)
    phase = jnp.where(ready, REFLECT, jnp.where(failed, FILL, phase)).astype(jnp.int32)
    return state._replace(simplex=simplex[order], values=values[order], vertex=vertex, phase=phase), ready


def _next_trial(state: NelderMeadState, f: jax.Array, ready: jax.Array) -> NelderMeadState:
    """The next point and what it is."""
    n = max(state.point.size, 2)
    reflected = (state.phase == REFLECT) & ~ready  # and not taken in: expand or contract
    further = jnp.where(f < state.values[-1], OUTSIDE, INSIDE)
    phase = jnp.where(reflected, jnp.where(f < state.values[0], EXPAND, further), state.phase).astype(jnp.int32)
    lengths = jnp.asarray([0, 1, 1 + 2 / n, 0.75 - 0.5 / n, 0.5 / n - 0.75], state.point.dtype)
    vertex = state.simplex[jnp.minimum(state.vertex, state.point.size)]
    point = jnp.where(phase == FILL, vertex, _on_line(state, lengths[phase]))
    return state._replace(point=point, phase=phase, reflected=jnp.where(reflected, f, state.reflected))


def _on_line(state: NelderMeadState, t: jax.Array) -> jax.Array:
    """c + t(c − w)."""
    centroid = jnp.mean(state.simplex[:-1], 0)
    return centroid + t * (centroid - state.simplex[-1])
