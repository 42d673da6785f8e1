"""PSGD: momentum whitened by a Kronecker product that follows the gradients on a Lie group."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import value
from funcgd.schedules.exponential import exponential_decay
from funcgd.transforms import kronecker, units
from funcgd.transforms.noise import as_seed, normal_like
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import copied, moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask

LONGEST = 1.1  # root mean square of an update; of whitened momentum it is about 1
SELDOM = exponential_decay(1.0, 1000, 0.36787945, 500, end_value=0.03)  # 1 for 500 steps, then down by e each 1000


class ScaleByKronState(NamedTuple):
    """The state of `scale_by_kron`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.scale_by_kron().init({"w": jnp.ones((2, 3)), "b": jnp.ones(3)})
    >>> [q.shape for q in state.factors["w"]], [q.shape for q in state.factors["b"]]
    ([(2, 2), (3, 3)], [(3,)])
    """

    count: jax.Array  # (), int32: finished updates
    key: jax.Array  # (), random key of the next update
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: running mean of the gradient, its unit
    factors: Any  # for each leaf Qᵢ by axis, at least float32 or `precond_dtype`: (n, n) triangular or (n,) diagonals


@value
class scale_by_kron(Transform):
    """Whiten momentum by a preconditioner P = QᴴQ with Q = Q₁ ⊗ Q₂ ⊗ …: the direction of Kronecker PSGD.

        M ← β₁M + (1 − β₁)G,   M̂ = M / (1 − β₁ᵗ)
        U = QᴴQ M̂,  shortened to a root mean square of 1.1

    P follows the minimiser of E[gᴴPg + vᴴP⁻¹v], v ~ N(0, I), which is E[ggᴴ]^(−1/2) for g = M̂, so that U is white: in
    the mean just so where g is normal, else about so, since steps are divided by their norm. With probability p, before
    U is taken, each Qᵢ moves within the group of upper triangular (or of diagonal) matrices:

        A = Q·M̂,   B = Q⁻ᴴV,   V ~ N(0, I)
        Qᵢ ← Qᵢ − μ·triu(AᵢAᵢᴴ − BᵢBᵢᴴ)Qᵢ / ‖AᵢAᵢᴴ + BᵢBᵢᴴ‖        where rows of Aᵢ are along axis i

    ‖·‖ is a lower bound of the spectral norm, at least the largest diagonal entry: no Qᵢ becomes singular. Factors get
    one largest entry, which keeps their product. Axes of length 1 do not count. Nothing is learnt from M̂ = 0, nor of
    |M̂| below √tiny. Rows without gradient move a little where triangular factors fluctuate, not with diagonal ones.

    Args:
        b1: β₁ in [0, 1).
        preconditioner_update_probability: p in [0, 1]; by default 1 for 500 steps, then falling to 0.03.
        max_size_triangular: longer axes have a diagonal Qᵢ; others cost n² numbers, and O(n³) operations where Q moves.
        min_ndim_triangular: leaves of fewer axes than this have a diagonal Q.
        precond_lr: μ in [0, 1), no unit: about the relative change of Qᵢ.
        precond_init_scale: Q at first, times the identity, in (0, ∞); unit 1/√gradient.
        mu_dtype, precond_dtype: dtypes that store M and the Qᵢ; None is at least float32.
        seed: a static integer; the random key lives in the state.

    Reference: Li, Preconditioned stochastic gradient descent, IEEE TNNLS 2018, arXiv:1512.04202; on matrix Lie groups,
    Li, ICLR 2019, arXiv:1809.10232, and Pooladzandi, Li, 2024, arXiv:2402.04553; U is shortened as in published code.

    >>> import funcgd as fg, jax
    >>> tx, grads = fg.scale_by_kron(), 1e-3 * jax.random.normal(jax.random.key(0), (500, 20))
    >>> state, u = jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(grads[0]), grads)
    >>> float(u[-100:].std())  # about 1, whatever the sizes of the gradients
    1.0
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    preconditioner_update_probability: ScalarOrSchedule = number("[0, 1]", default=SELDOM)
    max_size_triangular: int = static(default=8192, convert=as_count)
    min_ndim_triangular: int = static(default=2, convert=as_count)
    precond_lr: ScalarOrSchedule = number("[0, 1)", default=0.1)
    precond_init_scale: Scalar = number("(0, inf)", default=1.0, schedule=False)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    precond_dtype: Any = static(default=None, convert=as_optional_dtype)
    seed: int = static(default=0, convert=as_seed)

    def init(self, params: Params) -> ScaleByKronState:
        scale = at(self, 0).precond_init_scale

        def identity(x: Any) -> tuple[jax.Array, ...]:
            sizes = _sizes(x)
            like = numerics.widen(jnp.zeros((), jnp.result_type(x)))

            def factor(n: int) -> jax.Array:
                full = len(sizes) >= self.min_ndim_triangular and n <= self.max_size_triangular
                one = jnp.eye(n, dtype=like.dtype) if full else jnp.ones(n, like.real.dtype)
                return copied(one * jnp.asarray(scale ** (1 / len(sizes)), one.dtype), self.precond_dtype)

            return tuple(map(factor, sizes))

        count, key = jnp.zeros((), jnp.int32), jax.random.key(self.seed)
        return ScaleByKronState(count, key, moment(params, self.mu_dtype), kronecker.for_each(identity, params))

    def update(
        self, grads: Updates, state: ScaleByKronState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByKronState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1 = numerics.bias_correction(h.b1, t)
        coin, probe, following = jax.random.split(state.key, 3)

        def mean(h: Any, g: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
            m = numerics.ema(m, kronecker.limited(g), h.b1)
            return m / h.c1, m

        means, mu = lift(mean, h, grads, state.mu)
        due = jax.random.uniform(coin, (), jnp.float32) < jnp.asarray(h.preconditioner_update_probability, jnp.float32)

        def improve() -> Any:
            return lift(_improve, h, means, state.factors, read=(normal_like(probe, means),))[1]

        factors = jax.lax.cond(due, improve, lambda: state.factors)
        updates = lift(_precondition, h, means, read=(factors,))
        return updates, ScaleByKronState(t, following, mu, factors)


def _sizes(x: Any) -> list[int]:
    """The lengths of the axes that have factors: all but those of length 1, where there are others."""
    sizes = [n for n in np.shape(x) if n != 1] or [1]
    return [] if 0 in sizes else sizes


def _improve(h: Any, m: jax.Array, factors: tuple, v: jax.Array) -> tuple[jax.Array, tuple]:
    """One step of all factors of a leaf, on the group."""
    if not factors:
        return m, factors
    m, v = m.reshape(_sizes(m)), v.reshape(_sizes(v))
    least = float(jnp.finfo(m.real.dtype).tiny) ** 0.5
    a, b = _times(factors, m + least * v), _solve(factors, v)
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(a)), jnp.max(jnp.abs(b))))
    a, b = a / largest, b / largest  # which cancels, and their squares are in range
    moved = []
    for i, q in enumerate(factors):
        if q.ndim == 2:
            seen, expected = kronecker.gram(a, i), kronecker.gram(b, i)
            step = jnp.triu(seen - expected) @ q / _spectral_norm(seen + expected)
        else:
            seen, expected = kronecker.squares(a, i), kronecker.squares(b, i)
            step = (seen - expected) * q / jnp.max(seen + expected)
        moved.append(q - h.precond_lr * step)
    logs = [jax.lax.stop_gradient(jnp.log(jnp.max(jnp.abs(q)))) for q in moved]
    moved = [q * jnp.exp(sum(logs) / len(logs) - log) for q, log in zip(moved, logs, strict=True)]  # balanced
    return m, tuple(jnp.where(jnp.any(m != 0), new, old) for old, new in zip(factors, moved, strict=True))


def _precondition(h: Any, m: jax.Array, factors: tuple) -> jax.Array:
    """QᴴQm, shortened; in units of the largest |m|, so that nothing overflows."""
    if not factors:
        return m
    x = m.reshape(_sizes(m))
    axes = tuple(range(x.ndim))
    scale, _ = units.split_norm(x, axes)
    u = _times(factors, _times(factors, x / scale), back=True)
    return (units.shorten(u, axes, LONGEST * m.size**0.5 / scale)[0] * scale).reshape(m.shape)


def _times(factors: tuple, x: jax.Array, back: bool = False) -> jax.Array:
    """Qx, or Qᴴx where `back`."""
    for i, q in enumerate(factors):
        x = kronecker.apply([q], [i], x, back) if q.ndim == 2 else x * _along(q, i, x)
    return x


def _solve(factors: tuple, x: jax.Array) -> jax.Array:
    """Q⁻ᴴx."""
    for i, q in enumerate(factors):
        if q.ndim == 2:
            rows = jnp.moveaxis(x, i, 0)
            solved = jax.scipy.linalg.solve_triangular(q, rows.reshape(len(q), -1), trans="C")
            x = jnp.moveaxis(solved.reshape(rows.shape), 0, i)
        else:
            x = x / _along(q, i, x)
    return x


def _along(q: jax.Array, axis: int, x: jax.Array) -> jax.Array:
    return q.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def _spectral_norm(matrix: jax.Array) -> jax.Array:
    """‖Hc‖ / ‖c‖ ≤ ‖H‖₂ for the longest column c of a positive semidefinite H; at least ‖c‖, as ‖He‖² ≤ ‖e‖·‖H²e‖."""
    squares = jnp.sum(numerics.square(matrix), axis=0)
    c = matrix[:, jnp.argmax(squares)]
    return jnp.sqrt(jnp.sum(numerics.square(matrix @ c)) / jnp.max(squares))


@value
class psgd_kron(Composed):
    """PSGD: momentum whitened by a Kronecker product that follows the gradients on a Lie group.

        θ ← θ − η·(U + λθ),  U of `scale_by_kron`

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: about the root mean square of a step.
        weight_decay: λ in [0, ∞).
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.
        b1, preconditioner_update_probability, max_size_triangular, min_ndim_triangular, precond_lr, precond_init_scale,
            mu_dtype, precond_dtype, seed: see `scale_by_kron`.

    Reference: Li, IEEE TNNLS 2018; Li, ICLR 2019; Pooladzandi, Li, 2024 (see `scale_by_kron`).

    >>> import funcgd as fg
    >>> tx = fg.psgd_kron(fg.cosine_decay_schedule(0.1, 200))
    >>> abs(fg.minimize(lambda x: (x - 1.0) ** 2, 3.0, tx, max_steps=200).params.item() - 1) < 0.01
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)
    preconditioner_update_probability: ScalarOrSchedule = number("[0, 1]", default=SELDOM)
    max_size_triangular: int = static(default=8192, convert=as_count)
    min_ndim_triangular: int = static(default=2, convert=as_count)
    precond_lr: ScalarOrSchedule = number("[0, 1)", default=0.1)
    precond_init_scale: Scalar = number("(0, inf)", default=1.0, schedule=False)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    precond_dtype: Any = static(default=None, convert=as_optional_dtype)
    seed: int = static(default=0, convert=as_seed)

    def compose(self) -> Transform:
        direction = scale_by_kron(
            self.b1,
            self.preconditioner_update_probability,
            self.max_size_triangular,
            self.min_ndim_triangular,
            self.precond_lr,
            self.precond_init_scale,
            self.mu_dtype,
            self.precond_dtype,
            self.seed,
        )
        return chain(
            direction,
            add_decayed_weights(self.weight_decay, self.weight_decay_mask),
            scale_by_learning_rate(self.learning_rate),
        )
