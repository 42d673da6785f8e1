"""L-BFGS: quasi-Newton from the last few pairs of steps and gradients."""

from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.fields import as_count, static
from funcgd.core.pairs import Pairs, add_pair, no_curvature, no_pairs, times_inverse_hessian
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.first_steps import one_or_short
from funcgd.solvers.line_search_method import LineSearchMethod, Step


@value
class LBFGS(LineSearchMethod):
    """Quasi-Newton steps like those of `BFGS`, from the last few pairs of steps and gradients.

        p = −H∇f,    H = what BFGS makes of γ·I and the last m pairs (s, y),    γ = sᵀy/yᵀy of the last one

    H is never formed: its compact representation is used. A pair with yᵀs ≤ ε‖y‖‖s‖, ε the precision of the dtype,
    is skipped. Order 1, mostly far faster than steepest descent; the method to try first on smooth functions of many
    variables.

    Args:
        memory: m, how many pairs to keep; 3 to 20.
        search: how α is found. α = 1 is tried first, and min(1, 1/‖∇f‖) in the first step.

    Cost: one evaluation for each trial, mostly one for each step, and O(mn) operations. Memory: 2(m + 1)n numbers. It
    has no parameter with a unit. A complex number counts as two real ones.

    Reference: Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35, 1980; Liu, Nocedal, On the
    limited memory BFGS method for large scale optimization, Math. Program. 45, 1989; Byrd, Nocedal, Schnabel,
    Representations of quasi-Newton matrices, Math. Program. 63, 1994.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.LBFGS(), max_steps=100, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    memory: int = static(default=10, convert=as_count)
    search: LineSearch = StrongWolfe()

    def remember(self, x: Params, grads: Params) -> Pairs:
        del grads
        return no_pairs(x, self.memory)

    def direction(self, memory: Pairs, x: Params, grads: Params) -> Params:
        del x
        return jax.tree.map(jnp.negative, times_inverse_hessian(memory, grads))

    def learn(self, memory: Pairs, step: Step) -> Pairs:
        return add_pair(memory, step.s, step.y)

    def forget(self, memory: Pairs, when: jax.Array, x: Params, grads: Params) -> Pairs:
        del x, grads
        return no_curvature(memory, when)

    def first_step(self, memory: Pairs, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory, step
        return one_or_short(slope, first)
