"""L-BFGS-B: L-BFGS in a box."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import as_count, field, static
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.box import as_bound, check_order, spread
from funcgd.solvers.box_model import Model, forget_pairs, learn_pair, minimizer, no_model
from funcgd.solvers.first_steps import one_or_short
from funcgd.solvers.line_search_method import LineSearchMethod, Step


@value
class LBFGSB(LineSearchMethod):
    """Minimise f over a box, l ≤ x ≤ u, with curvature from the last few pairs of steps and gradients.

    The pairs give the model m(z) = ∇fᵀz + zᵀBz/2. Its first minimiser along the projected path P(x − t∇f), the Cauchy
    point, tells which bounds are active; then m is minimised over the other coordinates, and the result projected.
    That is x̄; a line search goes along x̄ − x. Every point at which f is evaluated lies in the box. `gradient_norm`
    is that of x − P(x − ∇f), which is 0 at a solution. Order 1, like `LBFGS`.

    Args:
        lower: l: a number for all, or a tree like x of numbers and arrays that fit; −inf for none.
        upper: u, likewise; inf for none. Equal bounds hold a coordinate.
        memory: m, how many pairs to keep; 3 to 20.
        search: how α is found. α = 1 is tried first, and min(1, 1/‖p‖) in the first step.

    A start outside is projected. Cost: one evaluation for each trial, mostly one for each step; O(m²n + n log n)
    operations. Memory: some 10mn numbers. It has no parameter with a unit but l and u, those of x.

    Raises:
        ValueError: if a lower bound is above an upper one, or bounds do not fit x.
        TypeError: if bounds are no real numbers, or x is complex.

    Reference: Byrd, Lu, Nocedal, Zhu, A limited memory algorithm for bound constrained optimization, SIAM J. Sci.
    Comput. 16, 1995; Morales, Nocedal, Remark on algorithm 778, ACM Trans. Math. Softw. 38, 2011.

    >>> import funcgd as fg
    >>> stop = fg.stop.gradient_norm(1e-4)
    >>> valley, method = fg.problems.rosenbrock(), fg.LBFGSB(-2.0, 0.5)
    >>> run = fg.minimize(valley.fun, [-1.2, 0.4], method, max_steps=100, stop=stop)
    >>> [round(float(x), 3) for x in run.params], run.reason.name
    ([0.5, 0.25], 'GRADIENT_NORM')
    """

    lower: Any = field("plain", as_bound, default=float("-inf"))
    upper: Any = field("plain", as_bound, default=float("inf"))
    memory: int = static(default=10, convert=as_count)
    search: LineSearch = StrongWolfe()

    def __post_init__(self) -> None:
        check_order("LBFGSB", self.lower, self.upper)

    def remember(self, x: Params, grads: Params) -> Model:
        del grads
        vector = jax.eval_shape(to_vector, x)
        return no_model(vector.size, self.memory, vector.dtype)

    def direction(self, memory: Model, x: Params, grads: Params) -> Params:
        here = to_vector(x)
        return from_vector(minimizer(memory, here, to_vector(grads), *self._bounds(x)) - here, x)

    def learn(self, memory: Model, step: Step) -> Model:
        return learn_pair(memory, to_vector(step.s), to_vector(step.y))

    def forget(self, memory: Model, when: jax.Array, x: Params, grads: Params) -> Model:
        del x, grads
        return forget_pairs(memory, when)

    def fallback(self, x: Params, grads: Params) -> Params:
        return tree.scale(-1, self.residual(x, grads))

    def longest(self, x: Params, direction: Params) -> jax.Array:
        lower, upper = self._bounds(x)
        here, p = to_vector(x), to_vector(direction)
        room = jnp.where(p > 0, upper - here, here - lower) / jnp.where(p == 0, 1, jnp.abs(p))
        return jnp.min(jnp.where(p == 0, jnp.inf, room), initial=jnp.inf)

    def feasible(self, x: Params) -> Params:
        return from_vector(jnp.clip(to_vector(x), *self._bounds(x)), x)

    def residual(self, x: Params, grads: Params) -> Params:
        return tree.sub(x, self.feasible(tree.sub(x, grads)))

    def optimality(self, fun: Callable, x: Params, args: tuple) -> Params:
        """What is 0 at a solution, for its derivative: x − P(x − ∇f)."""
        return self.residual(x, jax.grad(lambda x: fun(x, args)[0])(x))

    def first_step(self, memory: Model, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory, step
        return one_or_short(slope, first)

    def _bounds(self, x: Params) -> tuple[jax.Array, jax.Array]:
        return spread("LBFGSB", "lower", self.lower, x), spread("LBFGSB", "upper", self.upper, x)
