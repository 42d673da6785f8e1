"""Sign descent and Signum: every coordinate moves by the same length."""

from typing import Any

import jax.numpy as jnp

from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, EmptyState, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.momentum import trace
from funcgd.transforms.scale import scale_by_learning_rate


@value
class scale_by_sign(Transform):
    """The sign of each entry: −1, 0 or 1; g/|g| of a complex one.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.scale_by_sign()
    >>> tx.update(jnp.array([-3.0, 0.0, 1e-30]), tx.init(jnp.zeros(3)))[0].tolist()
    [-1.0, 0.0, 1.0]
    """

    def init(self, params: Params) -> EmptyState:
        del params
        return EmptyState()

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        return lift(lambda h, g: jnp.sign(g), at(self, 0), grads), state


@value
class sign_sgd(Composed):
    """Sign descent: each parameter moves by η against the sign of its gradient.

        θ ← θ − η·sign(g)

    Only the sign counts, so that a gradient costs one bit to send, and its scale does not matter. With a constant η
    the iterates end up jumping around the minimum at a distance of about η: let η fall.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: the length of each coordinate's step.

    Reference: Bernstein, Wang, Azizzadenesheli, Anandkumar, signSGD: compressed optimisation for non-convex problems,
    ICML 2018, arXiv:1802.04434.

    >>> import funcgd as fg
    >>> tx = fg.sign_sgd(0.5)
    >>> float(tx.update(1e-6, tx.init(0.0))[0])
    -0.5
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")

    def compose(self) -> Transform:
        return chain(scale_by_sign(), scale_by_learning_rate(self.learning_rate))


@value
class signum(Composed):
    """Signum: sign descent with momentum.

        v ← βv + g
        θ ← θ − η·sign(v)

    The paper averages, m ← βm + (1 − β)g: the same, because the sign of m is that of v.

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: the length of each coordinate's step.
        beta: β in [0, 1).
        accumulator_dtype: dtype that stores v; None is at least float32.

    Reference: Bernstein et al., ICML 2018, algorithm 2 (see `sign_sgd`).

    >>> import funcgd as fg
    >>> fg.signum(1e-4)
    signum(learning_rate=0.0001, beta=0.9)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    beta: ScalarOrSchedule = number("[0, 1)", default=0.9)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)

    def compose(self) -> Transform:
        return chain(
            trace(self.beta, accumulator_dtype=self.accumulator_dtype),
            scale_by_sign(),
            scale_by_learning_rate(self.learning_rate),
        )
