"""Nonlinear conjugate gradients: each direction keeps some of the one before."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import number, static
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.line_searches.strong_wolfe import StrongWolfe
from funcgd.solvers.first_steps import same_change
from funcgd.solvers.line_search_method import LineSearchMethod, Step

FORMULAS = ("polak_ribiere+", "fletcher_reeves", "hestenes_stiefel", "dai_yuan")


class CGMemory(NamedTuple):
    """What the next direction is made of.

    >>> from funcgd.solvers.nonlinear_cg import CGMemory
    >>> CGMemory._fields
    ('direction', 'beta')
    """

    direction: Params  # p_{k−1}
    beta: jax.Array  # (), β; 0 for a restart


@value
class NonlinearCG(LineSearchMethod):
    """Conjugate gradients for functions that need not be quadratic.

        p = −g + βp₋,    with y = g − g₋, where ₋ marks what belongs to the step before

        β = max(gᵀy/g₋ᵀg₋, 0)   "polak_ribiere+"        β = gᵀg/g₋ᵀg₋    "fletcher_reeves"
        β = gᵀy/p₋ᵀy            "hestenes_stiefel"      β = gᵀg/p₋ᵀy     "dai_yuan"

    It restarts with p = −g where |gᵀg₋| ≥ ν gᵀg, as consecutive gradients are orthogonal on a quadratic, and where p
    does not lead downhill. On a quadratic of n variables the four agree, and an exact search needs n steps. Order 1
    without restarts in time, n-step quadratic with them.

    Args:
        beta: the formula: "polak_ribiere+", "fletcher_reeves", "hestenes_stiefel" or "dai_yuan".
        search: how α is found; it must be rather exact. α such that αφ′(0) is that of the step before is tried first,
            and min(1, 1/‖∇f‖) in the first step.
        restart: ν > 0, no unit; ∞ never restarts so.

    Cost: one evaluation for each trial, mostly two for each step. Memory: five times that of x. It has no parameter
    with a unit. A complex number counts as two real ones.

    Reference: Fletcher, Reeves, Function minimization by conjugate gradients, Computer J. 7, 1964; Polak, Ribière,
    1969; Hestenes, Stiefel, 1952; Dai, Yuan, SIAM J. Optim. 10, 1999; Powell, Restart procedures for the conjugate
    gradient method, Math. Program. 12, 1977; Nocedal, Wright, Numerical optimization, 2006, section 5.2.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.NonlinearCG("dai_yuan"), max_steps=200, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    beta: str = static(default="polak_ribiere+", one_of=FORMULAS)
    search: LineSearch = StrongWolfe(c2=0.1)
    restart: Scalar = number("(0, inf]", default=0.2, schedule=False)

    def remember(self, x: Params, grads: Params) -> CGMemory:
        del grads
        return CGMemory(tree.zeros_like(x), jnp.zeros_like(tree.real_vdot(x, x)))

    def direction(self, memory: CGMemory, x: Params, grads: Params) -> Params:
        del x
        return jax.tree.map(lambda g, p: jnp.asarray(memory.beta, g.dtype) * p - g, grads, memory.direction)

    def learn(self, memory: CGMemory, step: Step) -> CGMemory:
        g, old, p = step.grads, step.line.grads, step.line.direction
        gg, go, oo, gp, op = (tree.real_vdot(*pair) for pair in ((g, g), (g, old), (old, old), (g, p), (old, p)))
        above, below = {
            "polak_ribiere+": (jnp.maximum(gg - go, 0), oo),
            "fletcher_reeves": (gg, oo),
            "hestenes_stiefel": (gg - go, gp - op),
            "dai_yuan": (gg, gp - op),
        }[self.beta]
        again = step.first | (jnp.abs(go) >= jnp.asarray(self.restart, gg.dtype) * gg) | ~(below > 0)
        return CGMemory(p, jnp.where(again, 0, above / jnp.where(below > 0, below, 1)))

    def forget(self, memory: CGMemory, when: jax.Array, x: Params, grads: Params) -> CGMemory:
        del x, grads
        return memory._replace(beta=jnp.where(when, 0, memory.beta))

    def first_step(self, memory: CGMemory, direction: Params, slope: jax.Array, step: Step, first: Any) -> jax.Array:
        del memory
        return same_change(direction, slope, step, first)
