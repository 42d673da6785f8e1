"""Sophia: momentum scaled by the curvature of each coordinate, in steps of bounded length."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.calculus.gradient import gradient_of
from funcgd.core import numerics, tree
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, OptState, Params, Transform, Updates, as_transform
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.schedules.steps import as_steps
from funcgd.transforms.mask import Mask, as_mask
from funcgd.transforms.noise import as_seed
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import add_decayed_weights


class HutchinsonState(NamedTuple):
    """The state of `hutchinson_estimator_diag_hessian`.

    >>> import funcgd as fg
    >>> fg.hutchinson_estimator_diag_hessian().init(0.0).key.shape
    ()
    """

    key: jax.Array  # (), random key of the next estimate


@value
class hutchinson_estimator_diag_hessian(Transform):
    """An unbiased estimate of the Hessian's diagonal, in place of the gradient.

        ĥ = v·(∇²f(θ)v),   each entry of v is 1 or −1, with probability ½

    Exact where the Hessian is diagonal. It costs about two gradients. Complex entries have the mean of the curvatures
    along their real and imaginary part. `update` needs f as `value_fn`, which `fg.fit` and `fg.make_step` pass, or as
    `obj_fn`, a function of the parameters.

    Args:
        random_seed: the seed, a static integer; the random key lives in the state.

    Raises:
        TypeError: if `random_seed` is no integer.

    Reference: Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines,
    Communications in Statistics 19, 1990; of diagonals: Bekas, Kokiopoulou, Saad, An estimator for the diagonal of a
    matrix, Applied Numerical Mathematics 57, 2007.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, x = fg.hutchinson_estimator_diag_hessian(), jnp.array([1.0, 2.0])
    >>> tx.update(x, tx.init(x), x, value_fn=lambda x: x[0] ** 2 + x[1] ** 3)[0].tolist()
    [2.0, 12.0]
    """

    random_seed: int = static(default=0, convert=as_seed)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params", "value_fn or obj_fn"})

    def init(self, params: Params) -> HutchinsonState:
        return HutchinsonState(jax.random.key(self.random_seed))

    def update(
        self, grads: Updates, state: HutchinsonState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, HutchinsonState]:
        own, following = jax.random.split(state.key)
        f = extra.get("value_fn") or extra["obj_fn"]
        point = jax.tree.map(lambda p: jnp.asarray(p, jnp.result_type(p)), params)
        v = tree.random_like(own, point, _signs)
        _, product = jax.jvp(gradient_of(f), (point,), (v,))

        def rule(h: Any, v: jax.Array, product: jax.Array) -> jax.Array:
            return (jnp.conj(v) * product).real / (2 if jnp.iscomplexobj(v) else 1)

        return lift(rule, SimpleNamespace(), v, read=(product,)), HutchinsonState(following)


def _signs(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.random.rademacher(key, shape, dtype)
    real = jax.random.rademacher(key, (2, *shape), jnp.finfo(dtype).dtype)
    return jax.lax.complex(real[0], real[1])


class SophiaState(NamedTuple):
    """The state of `scale_by_sophia`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_sophia().init(1.0).nu)
    0.0
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: running mean of the gradient
    nu: Updates  # like the parameters, real, at least float32: running mean of the curvature, its unit
    hessian_fn_state: OptState  # that of the estimator


@value
class scale_by_sophia(Transform):
    """Divide momentum by the curvature of each coordinate, and limit the length, the direction of Sophia.

        m ← β₁m + (1 − β₁)g
        h ← β₂h + (1 − β₂)ĥ    at the first update and every k-th after it
        u = clip(m / max(γh, ε), ρ)

    Where the curvature is small or negative u is the sign of m, times ρ. `update` needs what the estimator of ĥ needs.

    Args:
        b1: β₁ in [0, 1), decay of the gradient's mean.
        b2: β₂ in [0, 1), decay of the curvature's, from one estimate to the next.
        eps: ε ≥ 0, unit of the curvature.
        gamma: γ in (0, ∞): the larger, the fewer entries are limited; a tenth to a half of them should not be.
        clip_threshold: ρ in (0, ∞); None is no limit.
        update_interval: k in [1, ∞), updates from one estimate to the next, rounded.
        hessian_diagonal_fn: what estimates ĥ: a transform whose updates are that.
        mu_dtype: dtype that stores m; None is at least float32.

    Reference: Liu, Li, Hall, Liang, Ma, Sophia: a scalable stochastic second-order optimizer for language model
    pre-training, ICLR 2024, arXiv:2305.14342, algorithm 3, there with normal v in place of signs.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_sophia(b1=0.0, b2=0.0, gamma=1.0)
    >>> float(tx.update(3.0, tx.init(1.0), 1.0, value_fn=lambda x: 6 * x**2)[0])  # 3 / 12
    0.25
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.965)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.99)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    gamma: ScalarOrSchedule = number("(0, inf)", default=0.01)
    clip_threshold: ScalarOrSchedule | None = number("(0, inf)", default=1.0, optional=True)
    update_interval: float = number("[1, inf)", default=10, schedule=False)
    hessian_diagonal_fn: Any = hutchinson_estimator_diag_hessian()
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hessian_diagonal_fn", as_transform("sophia", self.hessian_diagonal_fn))

    @property
    def needs(self) -> frozenset[str]:
        return self.hessian_diagonal_fn.needs

    def init(self, params: Params) -> SophiaState:
        count, mu = jnp.zeros((), jnp.int32), moment(params, self.mu_dtype)
        return SophiaState(count, mu, second_moment(params), self.hessian_diagonal_fn.init(params))

    def update(
        self, grads: Updates, state: SophiaState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SophiaState]:
        h = at(self, state.count)

        def estimate() -> tuple[Updates, OptState]:
            found, fn_state = self.hessian_diagonal_fn.update(grads, state.hessian_fn_state, params, **extra)
            _, nu = lift(lambda h, d, nu: (d, numerics.ema(nu, d, h.b2)), h, found, state.nu)
            return nu, fn_state

        def keep() -> tuple[Updates, OptState]:
            return state.nu, state.hessian_fn_state

        due = state.count % jnp.maximum(as_steps(h.update_interval).whole, 1) == 0
        nu, fn_state = jax.lax.cond(due, estimate, keep)

        def rule(h: Any, g: jax.Array, m: jax.Array, nu: jax.Array) -> tuple[jax.Array, jax.Array]:
            m = numerics.ema(m, g, h.b1)
            curvature = jnp.maximum(h.gamma * nu, h.eps)
            if h.clip_threshold is None:
                return numerics.divide(m, curvature), m
            limited = jnp.abs(m) >= h.clip_threshold * curvature
            return jnp.where(limited, h.clip_threshold * jnp.sign(m), m / jnp.where(limited, 1, curvature)), m

        updates, mu = lift(rule, h, grads, state.mu, read=(nu,))
        return updates, SophiaState(numerics.increment(state.count), mu, nu, fn_state)


@value
class sophia(Composed):
    """Sophia: momentum scaled by the curvature of each coordinate, in steps of bounded length.

        θ ← θ − η·(clip(m / max(γh, ε), ρ) + λθ)

    `fg.fit` and `fg.make_step` pass what it needs; else `update` takes the loss as a function of the parameters, for
    the batch of the gradient, as `value_fn` or `obj_fn`.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: with ρ = 1 the longest step of each.
        b1, b2, eps: see `scale_by_sophia`.
        weight_decay: λ in [0, ∞).
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.
        gamma, clip_threshold, update_interval, hessian_diagonal_fn, mu_dtype: see `scale_by_sophia`.

    Reference: Liu, Li, Hall, Liang, Ma, ICLR 2024 (see `scale_by_sophia`).

    >>> import funcgd as fg
    >>> tx = fg.sophia(0.1, b1=0.0, b2=0.0, gamma=1.0, weight_decay=0.0, update_interval=1)
    >>> round(fg.minimize(lambda x: x**4, 2.0, tx, max_steps=100).params.item(), 3)  # 2·(1 − 0.1/3)¹⁰⁰
    0.067
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.965)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.99)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=1e-4)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)
    gamma: ScalarOrSchedule = number("(0, inf)", default=0.01)
    clip_threshold: ScalarOrSchedule | None = number("(0, inf)", default=1.0, optional=True)
    update_interval: float = number("[1, inf)", default=10, schedule=False)
    hessian_diagonal_fn: Any = hutchinson_estimator_diag_hessian()
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def compose(self) -> Transform:
        return chain(
            scale_by_sophia(
                self.b1,
                self.b2,
                self.eps,
                self.gamma,
                self.clip_threshold,
                self.update_interval,
                self.hessian_diagonal_fn,
                self.mu_dtype,
            ),
            add_decayed_weights(self.weight_decay, self.weight_decay_mask),
            scale_by_learning_rate(self.learning_rate),
        )
