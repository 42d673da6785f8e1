"""The alternating direction method of multipliers, for a quadratic plus a regularizer."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import field, number
from funcgd.core.method import Evaluation
from funcgd.core.numerics import full_precision
from funcgd.core.stop import StopReason
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.projections.regularizer import Regularizer
from funcgd.solvers import composite
from funcgd.solvers.hessian import hessian_matrix
from funcgd.solvers.proximal_gradient import as_regularizer
from funcgd.solvers.quadratic import is_mispredicted

LEAST_CONDITION = 1e-4  # the smallest eigenvalue that ρ looks at, as a part of the largest


class ADMMState(NamedTuple):
    """The state of `ADMM`.

    >>> from funcgd.solvers.admm import ADMMState
    >>> ADMMState._fields
    ('eigenvalues', 'eigenvectors', 'dual', 'predicted', 'first')
    """

    eigenvalues: jax.Array  # (n,), of ∇²f
    eigenvectors: jax.Array  # (n, n), in columns
    dual: jax.Array  # (n,), u, [param]
    predicted: jax.Array  # (n,), ∇f at the point that is evaluated next, if f is quadratic
    first: jax.Array  # (), bool: whether that is the start


@value
class ADMM:
    """Minimise f + h, where f is quadratic and h any regularizer, by taking turns between the two: the lasso's ADMM.

        y_{k+1} = argmin over y of f(y) + (ρ/2) ‖y − x_k + u_k‖²
        x_{k+1} = prox_{h/ρ}(y_{k+1} + u_k),   u_{k+1} = u_k + y_{k+1} − x_{k+1}

    The first line is linear: ∇²f is computed and its eigenvalues found once, at the start. The iterates x are those
    that are sparse, or feasible. Each step moves in all directions at once, so condition numbers matter less than for
    gradients. Values may rise on the way. Where f turns out not to be quadratic, the loop ends with the reason
    NOT_QUADRATIC.

    `minimize` reports f + h, and in place of the gradient (x − prox_{ηh}(x − η∇f(x)))/η with η one over the largest
    eigenvalue.

    Args:
        regularizer: h, such as `fg.L1Norm(0.1)` or `fg.Indicator(fg.projection_simplex)`.
        penalty: ρ, [loss]/[param]²; None is the geometric mean of the extreme eigenvalues of ∇²f.

    Order 1, 1/k at worst. Cost: one evaluation and 4n² operations for each step; n products with the Hessian and n³
    operations at the start. Memory: n² numbers.

    Reference: Boyd, Parikh, Chu, Peleato, Eckstein, Distributed optimization and statistical learning via the
    alternating direction method of multipliers, Foundations and trends in machine learning 3, 2011, section 6.4.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda x: 0.5 * jnp.sum((x - jnp.array([3.0, 0.5])) ** 2)
    >>> run = fg.minimize(f, jnp.zeros(2), fg.ADMM(fg.L1Norm(1.0)), max_steps=99, stop=fg.stop.gradient_norm(1e-4))
    >>> [round(p, 3) for p in run.params.tolist()]
    [2.0, 0.0]
    """

    regularizer: Regularizer = field("plain", as_regularizer)
    penalty: Scalar | None = number("(0, inf)", default=None, schedule=False)

    def feasible(self, x: Params) -> Params:
        """x, or a point near it where h is finite."""
        return self.regularizer.prox(x, 0.0)

    def init(self, fun: Callable, x: Params, args: tuple) -> ADMMState:
        """The state before the first evaluation: the eigenvalues of the Hessian."""
        values, vectors = jnp.linalg.eigh(hessian_matrix(fun, x, args))
        none = jnp.zeros_like(values)
        return ADMMState(values, vectors, none, none, jnp.bool_(True))

    def step(self, fun: Callable, x: Params, state: ADMMState, args: tuple) -> tuple[Params, ADMMState, Evaluation]:
        """One evaluation, at x, and a turn from there."""
        new, aux = composite.evaluate(fun, x, args)
        real = new.value.dtype
        v, g, q = to_vector(x), to_vector(new.grads), state.eigenvectors
        largest = jnp.max(jnp.abs(state.eigenvalues))
        largest = jnp.where(largest > 0, largest, 1)
        rho = self._penalty(state, largest)
        # With y = x + d: (H + ρ) d = −∇f(x) − ρu
        d = _through(q, 1 / (state.eigenvalues + rho), -g - rho * state.dual)
        raised = v + d + state.dual
        x_next = self.regularizer.prox(from_vector(raised, x), 1 / rho)
        after = to_vector(x_next)
        predicted = g + _through(q, state.eigenvalues, after - v)
        wrong = ~state.first & is_mispredicted(state.predicted, g, largest * jnp.linalg.norm(v))
        code = jnp.where(wrong, jnp.int32(StopReason.NOT_QUADRATIC), jnp.int32(0))
        eta = jnp.asarray(1 / largest, real)
        moved = self.regularizer.prox(tree.add_scale(x, -eta, new.grads), eta)
        norm, most = composite.mapping_norms(x, moved, eta)
        total = new.value + jnp.asarray(self.regularizer.value(x), real)
        at_x = Evaluation(total, norm, aux, True, code, most)
        return x_next, ADMMState(state.eigenvalues, q, raised - after, predicted, jnp.bool_(False)), at_x

    def _penalty(self, state: ADMMState, largest: jax.Array) -> jax.Array:
        if self.penalty is not None:
            return jnp.asarray(self.penalty, largest.dtype)
        smallest = jnp.maximum(jnp.min(state.eigenvalues), LEAST_CONDITION * largest)
        return jnp.sqrt(smallest * largest)


@full_precision
def _through(vectors: jax.Array, values: jax.Array, x: jax.Array) -> jax.Array:
    """The product of x with the matrix of these eigenvectors and eigenvalues."""
    return vectors @ (values * (vectors.T @ x))
