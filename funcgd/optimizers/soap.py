"""SOAP: Adam in the eigenbasis of Shampoo's second moments."""

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
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms import kronecker
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import moment, second_moment
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class ScaleBySoapState(NamedTuple):
    """The state of `scale_by_soap`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> [q.shape for q in fg.scale_by_soap().init({"w": jnp.ones((2, 3))}).bases["w"]]
    [(2, 2), (3, 3)]
    """

    count: jax.Array  # (), int32: finished updates
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: first moment, unit of the gradient
    nu: Updates  # like the parameters, real, at least float32: second moment in the bases, gradient squared
    factors: Any  # for each leaf a tuple of (n, n) by axis, at least float32: means of GGᴴ, gradient squared
    bases: Any  # for each leaf a tuple of (n, n) by axis, at least float32: orthonormal columns, no unit


@value
class scale_by_soap(Transform):
    """Scale as Adam does, in the eigenvectors of the second moments along every axis: the direction of SOAP.

        M ← β₁M + (1 − β₁)G,   G′ = QₗᴴG conj(Qᵣ),   M′ likewise
        V ← β₂V + (1 − β₂)|G′|²
        U = Qₗ [M̂′ / (√V̂ + ε)] Qᵣᵀ                            M̂, V̂ with the bias corrections of Adam
        L ← βL + (1 − β)GGᴴ,   R ← βR + (1 − β)(GᴴG)ᵀ
        every few steps  Q ← orthonormalised LQ, whose columns are sorted by QᴴLQ before, and V with them

    The update has no unit, and does not change when the loss is scaled (but for ε). As in the authors' code the first
    gradient of a matrix only makes its first bases, of eigenvectors, and no step: in the eigenvectors of its own
    moments all but a diagonal of G′ would be rounding errors. Entries of G′ and M′ that are such errors are 0, so that
    rows without gradient stay where they are. Derivatives take the bases for constants.

    Arrays of more axes are turned along each. Axes longer than `max_precond_dim` are not turned; without any that is
    (vectors, and scalars) this is Adam. A finite |g| saturates, so that second moments are finite too.

    Args:
        b1, b2, eps: β₁, β₂ in [0, 1), ε ≥ 0 of Adam; ε has the unit of the gradient.
        shampoo_beta: β in [0, 1); None is β₂.
        precondition_frequency: how many steps there are from one basis to the next.
        max_precond_dim: the longest axis that is turned, which costs 2n² numbers, and O(n³) operations for a basis.
        mu_dtype: dtype that stores M; None is at least float32.

    Reference: Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, ICLR 2025, arXiv:2409.11321.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, g = fg.scale_by_soap(), jnp.array([[3.0, 3.0], [3.0, 3.0]])
    >>> _, state = tx.update(g, tx.init(g))
    >>> tx.update(g, state)[0].tolist()  # doctest: +NUMBER
    [[0.5, 0.5], [0.5, 0.5]]
    """

    b1: ScalarOrSchedule = number("[0, 1)", default=0.95)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.95)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    shampoo_beta: ScalarOrSchedule | None = number("[0, 1)", default=None)
    precondition_frequency: int = static(default=10, convert=as_count)
    max_precond_dim: int = static(default=10000, convert=as_count)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> ScaleBySoapState:
        def squares(x: Any) -> tuple[jax.Array, ...]:
            return tuple(kronecker.zeros(x, (np.shape(x)[i],) * 2) for i in self._axes(x))

        factors, bases = kronecker.for_each(squares, params), kronecker.for_each(squares, params)
        mu, nu = moment(params, self.mu_dtype), second_moment(params)
        return ScaleBySoapState(jnp.zeros((), jnp.int32), mu, nu, factors, bases)

    def update(
        self, grads: Updates, state: ScaleBySoapState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleBySoapState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.c1, h.c2 = numerics.bias_correction(h.b1, t), numerics.bias_correction(h.b2, t)
        turned = jnp.maximum(state.count, 1)  # steps of what is turned, of which there is none in the first update
        h.d1, h.d2 = numerics.bias_correction(h.b1, turned), numerics.bias_correction(h.b2, turned)
        h.on = jnp.asarray(state.count > 0, jnp.float32)
        h.beta = h.b2 if h.shampoo_beta is None else h.shampoo_beta

        def rule(h: Any, g: jax.Array, m: jax.Array, v: jax.Array, factors: tuple, bases: tuple) -> tuple:
            g, axes = kronecker.limited(g), self._axes(g)
            new_m = numerics.ema(m, g, h.b1)
            new_v = numerics.ema(v, numerics.square(_turn(bases, axes, g)), h.b2)
            seen = [kronecker.gram(g, i) for i in axes]
            factors = tuple(numerics.ema(a, b, h.beta) for a, b in zip(factors, seen, strict=True))
            if not axes:
                return new_m / h.c1 / (numerics.root(new_v / h.c2) + h.eps), new_m, new_v, factors
            inner = _turn(bases, axes, new_m) / h.d1 / (numerics.root(new_v / h.d2) + h.eps)
            u = kronecker.apply(bases, axes, inner)
            return *(jnp.where(h.on > 0, new, old) for new, old in ((u, 0), (new_m, m), (new_v, v))), factors

        bases = jax.lax.stop_gradient(state.bases)
        updates, mu, nu, factors = lift(rule, h, grads, state.mu, state.nu, state.factors, read=(bases,))
        nu, bases = self._refresh(state.count, nu, jax.lax.stop_gradient(factors), bases)
        return updates, ScaleBySoapState(t, mu, nu, factors, bases)

    def _refresh(self, count: jax.Array, nu: Any, factors: Any, bases: Any) -> tuple[Any, Any]:
        """The second moments and the bases for the next step."""
        if not jax.tree.leaves(bases):
            return nu, bases

        def begin(nu: Any, bases: Any) -> tuple[Any, Any]:
            return nu, jax.tree.map(kronecker.descending_eigenvectors, factors)

        def improve(nu: Any, bases: Any) -> tuple[Any, Any]:
            leaves, structure = jax.tree.flatten(nu)
            columns = (structure.flatten_up_to(x) for x in (factors, bases))
            rows = [self._improve(*row) for row in zip(leaves, *columns, strict=True)]
            return structure.unflatten([v for v, _ in rows]), structure.unflatten([q for _, q in rows])

        which = jnp.where(count == 0, 1, jnp.where(count % self.precondition_frequency == 0, 2, 0))
        return jax.lax.switch(which, [lambda *x: x, begin, improve], nu, bases)

    def _improve(self, v: jax.Array, factors: tuple, bases: tuple) -> tuple[jax.Array, tuple]:
        new = [kronecker.better_eigenvectors(a, q) for a, q in zip(factors, bases, strict=True)]
        for axis, (order, _) in zip(self._axes(v), new, strict=True):
            v = jnp.take(v, order, axis=axis)
        return v, tuple(q for _, q in new)

    def _axes(self, x: Any) -> list[int]:
        return [i for i, full in kronecker.sides(np.shape(x), self.max_precond_dim) if full]


def _turn(bases: tuple, axes: list[int], x: jax.Array) -> jax.Array:
    """x in the bases, without what may be rounding errors."""
    turned = kronecker.apply(bases, axes, x, back=True)
    return kronecker.significant(turned, x, tuple(range(x.ndim))) if axes else x


@value
class soap(Composed):
    """SOAP: Adam in the eigenbasis of Shampoo's second moments, with decoupled weight decay.

        W ← W − η·(U + λW)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters, about that of AdamW.
        b1, b2, eps, shampoo_beta, precondition_frequency, max_precond_dim, mu_dtype: see `scale_by_soap`.
        weight_decay: λ in [0, ∞).
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Vyas et al., ICLR 2025, arXiv:2409.11321.

    >>> import funcgd as fg
    >>> fg.soap(3e-3)
    soap(learning_rate=0.003, b1=0.95, b2=0.95, eps=1e-08, weight_decay=0.01)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    b1: ScalarOrSchedule = number("[0, 1)", default=0.95)
    b2: ScalarOrSchedule = number("[0, 1)", default=0.95)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    shampoo_beta: ScalarOrSchedule | None = number("[0, 1)", default=None)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.01)
    mask: Mask = static(default=None, convert=as_mask)
    precondition_frequency: int = static(default=10, convert=as_count)
    max_precond_dim: int = static(default=10000, convert=as_count)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)

    def compose(self) -> Transform:
        direction = scale_by_soap(
            self.b1,
            self.b2,
            self.eps,
            self.shampoo_beta,
            self.precondition_frequency,
            self.max_precond_dim,
            self.mu_dtype,
        )
        return chain(
            direction,
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
