"""ADOPT: Adam that divides by the second moment before the present gradient enters it."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule, Schedule
from funcgd.core.values import value
from funcgd.optimizers.adam import ScaleByAdamState
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


def fourth_root(count: Any) -> Any:
    """t^¼, the bound of ADOPT's normalized gradients after t updates.

    >>> import funcgd as fg
    >>> float(fg.fourth_root(16))
    2.0
    """
    return jnp.asarray(count, float) ** 0.25


@value
class scale_by_adopt(Transform):
    """Momentum of gradients that are scaled by the past second moment, the direction of ADOPT.

        first     v ← |g|²,  u = 0
        then      n = clip(g / max(√v, ε), ±c(t)),   0 where v = ε = 0
                  m ← β₁m + (1 − β₁)n
                  u = m
                  v ← β₂v + (1 − β₂)|g|²

    As v does not know the present g, the method converges for every β₂. With `nesterov`, u = β₁m + (1 − β₁)n. Of
    complex numbers, the absolute value is clipped.

    Args:
        b1: β₁ in [0, 1), decay of the momentum.
        b2: β₂ in [0, 1), decay of the second moment.
        eps: ε ≥ 0, the least divisor, unit of the gradient.
        mu_dtype: dtype that stores m; None is at least float32.
        nesterov: look one step ahead.
        use_clipping: whether to clip; without, one large gradient after small ones makes a long step.
        clip_value_fn: c, a function of the finished updates, `fourth_root` in the paper.

    Reference: Taniguchi, Harada, Minegishi et al., ADOPT: modified Adam can converge with any β₂ with the optimal rate,
    NeurIPS 2024, arXiv:2411.02853.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_adopt(b1=0.5)
    >>> u, state = tx.update(-3.0, tx.init(1.0))
    >>> float(u), float(tx.update(-1.5, state)[0])  # then ½ · (−1.5 / 3)
    (0.0, -0.25)
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.9999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=False)
    use_clipping: bool = static(default=True)
    clip_value_fn: Schedule = static(default=fourth_root)

    def init(self, params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(jnp.zeros((), jnp.int32), moment(params, self.mu_dtype), second_moment(params))

    def update(
        self, grads: Updates, state: ScaleByAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByAdamState]:
        h = at(self, state.count)
        h.first, h.bound = state.count == 0, self.clip_value_fn(state.count)

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            g = numerics.saturate(g)
            square = numerics.square(g)
            n = g / jnp.maximum(numerics.root(v), h.eps)
            n = jnp.where(h.first > 0, 0, _clip(n, h.bound) if self.use_clipping else n)
            m = numerics.ema(m, n, h.b1)
            v = jnp.where(h.first > 0, square, numerics.ema(v, square, h.b2))
            return numerics.ema(m, n, h.b1) if self.nesterov else m, m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu)
        return updates, ScaleByAdamState(numerics.increment(state.count), mu, nu)


def _clip(x: jax.Array, bound: Any) -> jax.Array:
    if jnp.iscomplexobj(x):
        return x * (bound / jnp.maximum(numerics.root(numerics.square(x)), bound))
    return jnp.clip(x, -bound, bound)


@value
class adopt(Composed):
    """ADOPT: Adam that divides each gradient by what was known before it; converges for every β₂.

        θ ← θ − ηm,   m the momentum of clip(g / max(√v, ε), ±t^¼)

    The first update only measures: it is 0.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, mu_dtype, nesterov, use_clipping, clip_value_fn: see `scale_by_adopt`.

    Reference: Taniguchi et al., NeurIPS 2024, arXiv:2411.02853.

    >>> import funcgd as fg
    >>> fg.adopt(1e-3)
    adopt(learning_rate=0.001, b1=0.9, b2=0.9999, eps=1e-06)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.9999)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=False)
    use_clipping: bool = static(default=True)
    clip_value_fn: Schedule = static(default=fourth_root)

    def compose(self) -> Transform:
        direction = scale_by_adopt(
            self.b1, self.b2, self.eps, self.mu_dtype, self.nesterov, self.use_clipping, self.clip_value_fn
        )
        return chain(direction, scale_by_learning_rate(self.learning_rate))
