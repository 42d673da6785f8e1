"""Barzilai and Borwein: steepest descent with the step of a quasi-Newton method."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.search import LineSearch
from funcgd.solvers.line_search_method import LineSearchMethod, Step


class BBMemory(NamedTuple):
    """What the next step is made of.

    >>> from funcgd.solvers.barzilai_borwein import BBMemory
    >>> BBMemory._fields
    ('step', 'values', 'count')
    """

    step: jax.Array  # (), α, [param]²/[loss]
    values: jax.Array  # (M,), f at the last M iterates; −∞ where there was none
    count: jax.Array  # (), int32: iterates so far


@value
class BarzilaiBorwein(LineSearchMethod):
    """Gradient descent with steps that the last two gradients suggest; the value need not fall each time.

        x_{k+1} = x_k − α ∇f(x_k),    α = sᵀs/sᵀy  "long",    sᵀy/yᵀy  "short",    both in turn  "alternate"

    with s = x_k − x_{k−1} and y = ∇f(x_k) − ∇f(x_{k−1}). A trial must be lower by c₁α‖∇f‖² than the highest of the last
    M values, not than the last one; M = 1 makes it monotone and slow. Order 1 (on two variables superlinear), mostly
    far faster than steepest descent.

    Args:
        rule: "long", "short" or "alternate".
        window: M, at least 1.
        search: what happens to a trial that is too high.
        shortest_step, longest_step: bounds of α, in [param]²/[loss].

    Where sᵀy ≤ 0, and in the first step, α is min(1, 1/‖∇f‖). Cost: one evaluation for each trial, mostly one for each
    step. Memory: three times that of x.

    Reference: Barzilai, Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8, 1988; Grippo,
    Lampariello, Lucidi, SIAM J. Numer. Anal. 23, 1986; Raydan, The Barzilai and Borwein gradient method for the
    large scale unconstrained minimization problem, SIAM J. Optim. 7, 1997; Dai, Fletcher, Numer. Math. 100, 2005.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.BarzilaiBorwein(), max_steps=300, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    rule: str = static(default="alternate", one_of=("long", "short", "alternate"))
    window: int = static(default=10, convert=as_count)
    search: LineSearch = Backtracking()
    shortest_step: Scalar = number("(0, inf)", default=1e-10, schedule=False)
    longest_step: Scalar = number("(0, inf)", default=1e10, schedule=False)

    def remember(self, x: Params, grads: Params) -> BBMemory:
        del grads
        dtype = numerics.wide_dtype(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(x)))
        return BBMemory(jnp.zeros((), dtype), jnp.full(self.window, -jnp.inf, dtype), jnp.int32(0))

    def direction(self, memory: BBMemory, x: Params, grads: Params) -> Params:
        return self.fallback(x, grads)

    def learn(self, memory: BBMemory, step: Step) -> BBMemory:
        dtype, s, y = memory.step.dtype, step.s, step.y
        ss, sy, yy = (jnp.asarray(tree.real_vdot(*pair), dtype) for pair in ((s, s), (s, y), (y, y)))
        curved = sy > 0
        long, short = ss / jnp.where(curved, sy, 1), sy / jnp.where(curved, yy, 1)
        by_turn = jnp.where(memory.count % 2 == 0, short, long)
        a = {"long": long, "short": short, "alternate": by_turn}[self.rule]
        a = jnp.clip(a, jnp.asarray(self.shortest_step, dtype), jnp.asarray(self.longest_step, dtype))
        gradient = jnp.asarray(tree.norm(step.grads), dtype)
        a = jnp.where(curved & ~step.first, a, 1 / jnp.maximum(1, gradient))
        values = memory.values.at[memory.count % self.window].set(jnp.asarray(step.value, dtype))
        return BBMemory(a, values, numerics.increment(memory.count))

    def forget(self, memory: BBMemory, when: jax.Array, x: Params, grads: Params) -> BBMemory:
        del when, x, grads
        return memory

    def reference(self, memory: BBMemory, value: jax.Array) -> jax.Array:
        return jnp.asarray(jnp.max(memory.values), value.dtype)

    def first_step(self, memory: BBMemory, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del direction, step, first
        return jnp.asarray(memory.step, slope.dtype)
