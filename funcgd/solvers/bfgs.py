"""BFGS: quasi-Newton with a dense approximation of the inverse Hessian."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.numerics import full_precision
from funcgd.core.pairs import has_curvature
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.first_steps import one_or_short
from funcgd.solvers.line_search_method import LineSearchMethod, Step


class BFGSMemory(NamedTuple):
    """What BFGS knows of the curvature.

    >>> from funcgd.solvers.bfgs import BFGSMemory
    >>> BFGSMemory._fields
    ('inverse', 'pairs')
    """

    inverse: jax.Array  # (n, n), H ≈ (∇²f)⁻¹, in [param]²/[loss]; the identity before the first pair
    pairs: jax.Array  # (), int32: how many (s, y) it was made of


@value
class BFGS(LineSearchMethod):
    """Quasi-Newton steps with the inverse Hessian that the gradients so far suggest.

        p = −H∇f
        H ← (I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ,    s = x_{k+1} − x_k,    y = ∇f(x_{k+1}) − ∇f(x_k),    ρ = 1/yᵀs

    Before the first update H is (yᵀs/yᵀy)·I. A pair with yᵀs ≤ ε‖y‖‖s‖, ε the precision of the dtype, teaches nothing
    and is skipped, so that H stays positive definite. Order: superlinear near a minimum with positive definite Hessian;
    with an exact search n steps minimise a quadratic of n variables.

    Args:
        search: how α is found. α = 1 is tried first, and min(1, 1/‖∇f‖) in the first step.

    Cost: one evaluation for each trial, mostly one for each step, and O(n²) operations. Memory: n² numbers; for
    many variables see `LBFGS`. It has no parameter with a unit. A complex number counts as two real ones.

    Reference: Broyden, Fletcher, Goldfarb, Shanno, 1970; Nocedal, Wright, Numerical optimization, 2006, section 6.1.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.BFGS(), max_steps=100, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    search: LineSearch = StrongWolfe()

    def remember(self, x: Params, grads: Params) -> BFGSMemory:
        del grads
        shape = jax.eval_shape(to_vector, x)
        return BFGSMemory(jnp.eye(shape.size, dtype=shape.dtype), jnp.int32(0))

    @full_precision
    def direction(self, memory: BFGSMemory, x: Params, grads: Params) -> Params:
        return from_vector(-memory.inverse @ to_vector(grads), x)

    @full_precision
    def learn(self, memory: BFGSMemory, step: Step) -> BFGSMemory:
        s, y = to_vector(step.s), to_vector(step.y)
        good, curvature = has_curvature(s @ y, s @ s, y @ y)
        scale = jnp.where(memory.pairs == 0, curvature / jnp.where(good, y @ y, 1), 1)
        h = scale * memory.inverse
        hy, rho = h @ y, jnp.where(good, 1 / curvature, 0)
        u = (1 + rho * (y @ hy)) / 2 * s - hy  # so that the update is ρ(usᵀ + suᵀ)
        h = h + rho * (jnp.outer(u, s) + jnp.outer(s, u))
        return BFGSMemory(jnp.where(good, h, memory.inverse), memory.pairs + jnp.int32(good))

    def first_step(self, memory: BFGSMemory, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory, step
        return one_or_short(slope, first)
