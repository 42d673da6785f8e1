"""NovoGrad: momentum of gradients that are normalized layer by layer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment


class ScaleByNovogradState(NamedTuple):
    """The state of `scale_by_novograd`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.scale_by_novograd().init(jnp.ones((2, 3))).nu.shape
    ()
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: momentum, without a unit
    nu: Updates  # one real number for each leaf, at least float32: average of ‖g‖², unit of the gradient squared


@value
class scale_by_novograd(Transform):
    """Momentum of gradients over the running root mean square of their layer's norm, the direction of NovoGrad.

        v ← β₂v + (1 − β₂)‖g‖²,   ‖g‖² in the first step
        u ← β₁u + g / (√(v + ε̄) + ε) + λθ,   0 for g where the denominator is 0

    The norm is that of a leaf. u is a sum, up to 1/(1 − β₁) long. A finite ‖g‖ saturates at ¼√max of the dtype.

    Args:
        b1: β₁ in [0, 1), decay of the sum.
        b2: β₂ in [0, 1), decay of the squared norm.
        eps: ε ≥ 0, outside the root, unit of the gradient.
        eps_root: ε̄ ≥ 0, inside the root, unit of the gradient squared.
        weight_decay: λ in [0, ∞).
        mu_dtype: dtype that stores u; None is at least float32.

    Raises:
        ValueError: at update, if `params` are missing.

    Reference: Ginsburg, Castonguay, Hrinchuk et al., Stochastic gradient methods with layer-wise adaptive moments for
    training of deep networks, 2019, arXiv:1905.11286.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.scale_by_novograd(eps=0.0), jnp.zeros(2)
    >>> tx.update(jnp.array([3.0, 4.0]), tx.init(params), params)[0].tolist()  # doctest: +NUMBER
    [0.6, 0.8]
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.25)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> ScaleByNovogradState:
        nu = jax.tree.map(lambda v: jnp.zeros((), v.dtype), second_moment(params))
        return ScaleByNovogradState(jnp.zeros((), jnp.int32), moment(params, self.mu_dtype), nu)

    def update(
        self, grads: Updates, state: ScaleByNovogradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByNovogradState]:
        h = at(self, state.count)
        h.first = state.count == 0

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array, p: jax.Array) -> tuple[jax.Array, ...]:
            root_n = max(g.size, 1) ** 0.5
            g = numerics.saturate(numerics.saturate(g) * root_n) / root_n  # so that Σ|g|² is finite
            square = jnp.sum(numerics.square(g))
            v = jnp.where(h.first > 0, square, numerics.ema(v, square, h.b2))
            m = h.b1 * m + g / (numerics.root(v + h.eps_root) + h.eps) + h.weight_decay * p
            return m, m, v

        updates, mu, nu = lift(rule, h, grads, state.mu, state.nu, read=(params,))
        return updates, ScaleByNovogradState(numerics.increment(state.count), mu, nu)


@value
class novograd(Composed):
    """NovoGrad: momentum of gradients that are normalized layer by layer; half the memory of Adam.

        θ ← θ − η·u,   u ← β₁u + g/‖g‖ + λθ with a running ‖g‖

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b1, b2, eps, eps_root, weight_decay: see `scale_by_novograd`.

    Reference: Ginsburg et al., 2019, arXiv:1905.11286.

    >>> import funcgd as fg
    >>> fg.novograd(1e-2)
    novograd(learning_rate=0.01, b1=0.9, b2=0.25, eps=1e-06, eps_root=0.0, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.25)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)

    def compose(self) -> Transform:
        return chain(
            scale_by_novograd(self.b1, self.b2, self.eps, self.eps_root, self.weight_decay),
            scale_by_learning_rate(self.learning_rate),
        )
