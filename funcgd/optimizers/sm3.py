"""SM3: Adagrad that remembers one number for each row and each column in place of one for each entry."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import number
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


class ScaleBySM3State(NamedTuple):
    """The state of `scale_by_sm3`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.scale_by_sm3().init(jnp.ones((20, 30))).mu.shape
    (50,)
    """

    mu: Updates  # a vector for each leaf, real, at least float32: bounds of Σ|g|² for its rows, its columns, …
    nu: Updates  # like the parameters, at least float32: momentum, without a unit
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_sm3(Transform):
    """Scale by a bound on the sum of squared gradients that rows and columns share, the direction of SM3.

        vᵢⱼ = β₂·min(rᵢ, cⱼ) + w|gᵢⱼ|²,   w = 1 − β₂, or 1 for β₂ = 1
        rᵢ ← maxⱼ vᵢⱼ,   cⱼ ← maxᵢ vᵢⱼ
        u ← β₁u + (1 − β₁)·g / √(v + ε),   0 for g/√(v + ε) where v + ε = 0

    Arrays of other ranks have one such vector for each axis; for a vector it is Adagrad with momentum.

    Args:
        b1: β₁ in [0, 1), decay of the momentum.
        b2: β₂ in [0, 1]; 1 is a sum that forgets nothing.
        eps: ε ≥ 0, inside the root, unit of the gradient squared.

    Reference: Anil, Gupta, Koren, Singer, Memory-efficient adaptive optimization, NeurIPS 2019, arXiv:1901.11150,
    algorithm SM3-II.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.scale_by_sm3(b1=0.0, eps=0.0), jnp.zeros((2, 2))
    >>> _, state = tx.update(jnp.array([[3.0, 0.0], [0.0, 4.0]]), tx.init(params))
    >>> state.mu.tolist()
    [9.0, 16.0, 9.0, 16.0]
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1]", default=1.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)

    def init(self, params: Params) -> ScaleBySM3State:
        bounds = jax.tree.map(lambda v: jnp.zeros(max(sum(v.shape), 1), v.dtype), second_moment(params))
        return ScaleBySM3State(bounds, moment(params), init_count(self))

    def update(
        self, grads: Updates, state: ScaleBySM3State, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleBySM3State]:
        h = at(self, state.count)
        h.weight = jnp.where(h.b2 == 1, 1.0, 1 - h.b2)

        def rule(h: Any, g: jax.Array, bounds: jax.Array, m: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            v = h.b2 * _least(bounds, g.shape) + h.weight * numerics.square(g)
            v = jnp.minimum(v, float(jnp.finfo(v.dtype).max))
            m = numerics.ema(m, g / numerics.root(v + h.eps), h.b1)
            return m, _largest(v), m

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleBySM3State(mu, nu, next_count(state.count))


def _least(bounds: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The least bound of each entry's row, column, …; `bounds` holds those of the first axis, the second, …"""
    if not shape:
        return bounds[0]
    starts = [sum(shape[:axis]) for axis in range(len(shape))]
    parts = [
        bounds[start : start + n].reshape([n if i == axis else 1 for i in range(len(shape))])
        for axis, (start, n) in enumerate(zip(starts, shape, strict=True))
    ]
    return functools.reduce(jnp.minimum, parts)


def _largest(v: jax.Array) -> jax.Array:
    """The largest entry of each row, each column, …, one after the other."""
    if not v.ndim:
        return v[None]
    if not v.size:
        return jnp.zeros(sum(v.shape), v.dtype)
    return jnp.concatenate([_row_maxima(jnp.moveaxis(v, axis, 0).reshape(n, -1)) for axis, n in enumerate(v.shape)])


@jax.custom_jvp
def _row_maxima(v: jax.Array) -> jax.Array:
    """(n, k) → (n,)."""
    return jnp.max(v, axis=1)


@_row_maxima.defjvp
def _row_maxima_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """Those of the entries where the maxima are. JAX's own rule compares v with its maxima, and divides by how many
    entries equal them: by none, where v is rounded otherwise in one place of the compiled program than in the other."""
    (v,), (dv,) = primals, tangents
    where = jnp.argmax(v, axis=1, keepdims=True)
    return _row_maxima(v), jnp.take_along_axis(dv, where, axis=1)[:, 0]


@value
class sm3(Composed):
    """SM3: Adagrad with momentum whose sums take as little memory as the sides of each matrix.

        θ ← θ − η·u

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        momentum: β₁ in [0, 1).
        eps: ε ≥ 0, inside the root, unit of the gradient squared.

    Reference: Anil, Gupta, Koren, Singer, NeurIPS 2019, arXiv:1901.11150.

    >>> import funcgd as fg
    >>> fg.sm3(0.1)
    sm3(learning_rate=0.1, momentum=0.9, eps=1e-08)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    momentum: ScalarOrSchedule = number("[0, 1)", default=0.9)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)

    def compose(self) -> Transform:
        return chain(scale_by_sm3(self.momentum, eps=self.eps), scale_by_learning_rate(self.learning_rate))
