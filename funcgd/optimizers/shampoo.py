"""Shampoo: gradients preconditioned from every side by what was seen there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms import kronecker
from funcgd.transforms.momentum import trace
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleByShampooState(NamedTuple):
    """The state of `scale_by_shampoo`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> [h.shape for h in fg.scale_by_shampoo().init({"w": jnp.ones((2, 3))}).factors["w"]]
    [(2, 2), (3, 3)]
    """

    count: jax.Array  # (), int32: finished updates
    factors: Any  # for each leaf a tuple, at least float32: (n, n) or the diagonal (n,) by axis; gradient squared
    roots: Any  # for each leaf a tuple, at least float32: (n, n) for those that are matrices; of the last refresh


@value
class scale_by_shampoo(Transform):
    """Multiply by inverse roots of the second moments along every axis, the direction of Shampoo.

        Hᵢ ← Hᵢ + GGᴴ, summed over all axes but i
        U = G ×₁ (H₁ + εI)^(−1/2k) … ×ₖ (Hₖ + εI)^(−1/2k),      (L + εI)^−¼ G (R + εI)^−¼ for a matrix

    With `b2` the Hᵢ are bias-corrected means in place of sums. The update has no unit, and does not change when the
    loss is scaled (but for ε). Roots are taken in the first step and then every few; in between, gradients along
    directions that are new make longer steps. Eigenvalues that are 0 up to rounding are left out, in place of −1/2k-th
    powers of rounding errors.

    Axes longer than `max_precond_dim` keep the diagonal of Hᵢ. Axes of length 1 do not count; arrays with one other
    axis, and scalars, are scaled entry by entry, as in AdaGrad. A finite |g| saturates, so that Hᵢ is finite too.

    Args:
        b2: decay in [0, 1) of means; None is for sums, as published.
        eps: ε ≥ 0, unit of the gradient squared.
        precondition_frequency: how many steps there are from one root to the next.
        max_precond_dim: the longest axis with a matrix, which costs n² numbers, and O(n³) operations for a root.

    Reference: Gupta, Koren, Singer, Shampoo: preconditioned stochastic tensor optimization, ICML 2018,
    arXiv:1802.09568.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.scale_by_shampoo(eps=0.0)
    >>> tx.update(jnp.diag(jnp.array([9.0, -2.0])), tx.init(jnp.zeros((2, 2))))[0].tolist()  # doctest: +NUMBER
    [[1.0, 0.0], [0.0, -1.0]]
    """

    b2: ScalarOrSchedule | None = number("[0, 1)", default=None)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    precondition_frequency: int = static(default=1, convert=as_count)
    max_precond_dim: int = static(default=1024, convert=as_count)

    def init(self, params: Params) -> ScaleByShampooState:
        def factors(x: Any) -> tuple[jax.Array, ...]:
            shape = np.shape(x)
            orders = [(shape[s.axis],) * (2 if s.full else 1) for s in self._sides(x)]
            return tuple(kronecker.zeros(x, n) for n in orders) if orders else (kronecker.zeros(x, shape).real,)

        def roots(x: Any) -> tuple[jax.Array, ...]:
            return tuple(kronecker.zeros(x, (np.shape(x)[s.axis],) * 2) for s in self._sides(x) if s.full)

        return ScaleByShampooState(
            jnp.zeros((), jnp.int32), kronecker.for_each(factors, params), kronecker.for_each(roots, params)
        )

    def update(
        self, grads: Updates, state: ScaleByShampooState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByShampooState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c2 = 1.0 if h.b2 is None else numerics.bias_correction(h.b2, t)

        def measure(h: Any, g: jax.Array, factors: tuple) -> tuple[jax.Array, tuple]:
            g = kronecker.limited(g)
            seen = [kronecker.gram(g, i) if full else kronecker.squares(g, i) for i, full in self._sides(g)]
            pairs = zip(factors, seen or [numerics.square(g)], strict=True)
            return g, tuple(a + b if h.b2 is None else numerics.ema(a, b, h.b2) for a, b in pairs)

        def take_roots(h: Any, g: jax.Array, roots: tuple, factors: tuple) -> tuple[jax.Array, tuple]:
            sides = self._sides(g)
            full = [a for a, side in zip(factors, sides, strict=False) if side.full]
            shifted = [a / h.c2 + h.eps * jnp.eye(len(a), dtype=a.dtype) for a in full]
            return g, tuple(kronecker.power(a, -0.5 / len(sides)) for a in shifted)

        def direction(h: Any, g: jax.Array, factors: tuple, roots: tuple) -> jax.Array:
            sides = self._sides(g)
            if not sides:
                return g / numerics.root(factors[0] / h.c2 + h.eps)
            for a, (i, full) in zip(factors, sides, strict=True):
                if not full:
                    power = numerics.root(a / h.c2 + h.eps) ** (-1 / len(sides))
                    g = g * power.reshape([-1 if j == i else 1 for j in range(g.ndim)])
            return kronecker.apply(roots, [i for i, full in sides if full], g)

        limited, factors = lift(measure, h, grads, state.factors)
        roots = jax.lax.cond(
            state.count % self.precondition_frequency == 0,
            lambda roots: lift(take_roots, h, limited, roots, read=(factors,))[1],
            lambda roots: roots,
            state.roots,
        )
        return lift(direction, h, limited, read=(factors, roots)), ScaleByShampooState(t, factors, roots)

    def _sides(self, x: Any) -> tuple[kronecker.Side, ...]:
        return kronecker.sides(np.shape(x), self.max_precond_dim)


@value
class shampoo(Composed):
    """Shampoo: gradients preconditioned from every side by what was seen there.

        W ← W − η·(V + λW),   V ← βV + U, or U without momentum;   U = L^−¼ G R^−¼ for a matrix

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        b2, eps, precondition_frequency, max_precond_dim: see `scale_by_shampoo`.
        momentum: β in [0, 1); None is without.
        weight_decay: λ in [0, ∞).
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Gupta, Koren, Singer, ICML 2018, arXiv:1802.09568.

    >>> import funcgd as fg
    >>> fg.shampoo(0.1, momentum=0.9)
    shampoo(learning_rate=0.1, eps=1e-06, momentum=0.9, weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b2: ScalarOrSchedule | None = number("[0, 1)", default=None)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-6)
    momentum: ScalarOrSchedule | None = number("[0, 1)", default=None)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)
    precondition_frequency: int = static(default=1, convert=as_count)
    max_precond_dim: int = static(default=1024, convert=as_count)

    def compose(self) -> Transform:
        direction = scale_by_shampoo(self.b2, self.eps, self.precondition_frequency, self.max_precond_dim)
        return chain(
            direction,
            *(() if self.momentum is None else (trace(self.momentum),)),
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
