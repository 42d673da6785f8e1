"""Polyak's step size: how far the loss is above its minimum, over the gradient squared."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import cast
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.scale import Counted, scale_by_learning_rate


def as_loss(who: str, loss: Any, dtype: Any) -> jax.Array:
    """The loss that was passed as `value`, in the real `dtype`.

    Raises:
        ValueError: if it is no scalar.
    """
    if jnp.shape(loss):
        raise ValueError(f"{who}.update: `value` must be a scalar, got shape {jnp.shape(loss)}.")
    return jnp.asarray(loss, dtype)


def polyak_length(gap: jax.Array, square: jax.Array, longest: Any) -> jax.Array:
    """min(gap / square, longest); where both are 0, longest."""
    long = gap >= longest * square
    return jnp.where(long, longest, numerics.ratio(gap, jnp.where(long, 1, square)))


@value
class scale_by_polyak(Counted):
    """Scale by Polyak's step size.

        u = g · min((f − f*) / (‖g‖² + ε), γ)

    f is the loss, which update needs as `value`. With the variant "sps+" the gap f − f* is 0 where it is negative; with
    "sps" the step then leads uphill, to where f would be f*. A finite |g| saturates.

    Args:
        f_min: f*, the least value of the loss, or a guess; 0 for models that fit all data.
        max_learning_rate: γ in [0, ∞], [param]²/[loss].
        eps: ε ≥ 0, unit of the gradient squared.
        variant: "sps" (Loizou et al.) or "sps+" (Garrigos et al.).

    Raises:
        ValueError: at update, if `value` is missing or no scalar.

    References: Loizou, Vaswani, Laradji, Lacoste-Julien, Stochastic Polyak step-size for SGD: an adaptive learning rate
    for fast convergence, AISTATS 2021, arXiv:2002.10542; Garrigos, Gower, Schaipp, Function value learning: adaptive
    learning rates based on the Polyak stepsize and function splitting in ERM, 2023, arXiv:2307.14528.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_polyak()
    >>> float(tx.update(4.0, tx.init(2.0), value=4.0)[0])  # of x² at 2: 4 · 4 / 16
    1.0
    """

    f_min: ScalarOrSchedule = number(default=0.0)
    max_learning_rate: ScalarOrSchedule = number("[0, inf]", default=1.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=0.0)
    variant: str = static(default="sps", one_of=("sps", "sps+"))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"value"})

    def update(
        self, grads: Updates, state: Any, params: Params | None = None, *, value: Any = None, **extra: Any
    ) -> tuple[Updates, Any]:
        g = jax.tree.map(lambda g: numerics.saturate(numerics.widen(g)), grads)
        square = tree.real_vdot(g, g)
        h = cast(self.numbers(state), square.dtype)
        gap = as_loss("scale_by_polyak", value, square.dtype) - h.f_min
        if self.variant == "sps+":
            gap = jnp.maximum(gap, 0)
        h.rate = polyak_length(gap, square + h.eps, h.max_learning_rate)
        return lift(lambda h, g: h.rate * g, h, g), self.next_state(state)


@value
class polyak_sgd(Composed):
    """Gradient descent with Polyak's step size, for losses whose least value is known.

        θ ← θ − cg · min((f − f*) / (‖g‖² + ε), γ)

    On a convex loss each step, as long as γ does not bind and c < 2, comes nearer to every minimiser.

    Args:
        max_learning_rate: γ in [0, ∞], [param]²/[loss].
        scaling: c in [0, ∞), no unit.
        f_min, eps, variant: see `scale_by_polyak`.

    Reference: Loizou, Vaswani, Laradji, Lacoste-Julien, AISTATS 2021 (see `scale_by_polyak`).

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: (x - 3.0) ** 2, 0.0, fg.polyak_sgd(), max_steps=30)
    >>> float(run.params)  # doctest: +NUMBER
    3.00000
    """

    max_learning_rate: ScalarOrSchedule = number("[0, inf]", default=1.0)
    scaling: ScalarOrSchedule = number("[0, inf)", default=1.0)
    f_min: ScalarOrSchedule = number(default=0.0)
    eps: ScalarOrSchedule = number("[0, inf)", default=0.0)
    variant: str = static(default="sps", one_of=("sps", "sps+"))

    def compose(self) -> Transform:
        return chain(
            scale_by_polyak(self.f_min, self.max_learning_rate, self.eps, self.variant),
            scale_by_learning_rate(self.scaling),
        )
