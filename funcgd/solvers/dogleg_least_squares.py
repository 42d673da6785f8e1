"""Powell's dogleg for nonlinear least squares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.numerics import divide, full_precision
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.solvers.dogleg import two_lines
from funcgd.solvers.linearize import Point, shortest
from funcgd.solvers.residual_method import Proposal, ResidualMethod
from funcgd.solvers.verdict import Verdict, next_radius


class Region(NamedTuple):
    """The control of `DoglegLeastSquares`.

    >>> from funcgd.solvers.dogleg_least_squares import Region
    >>> Region(radius=1.0, length=0.5).radius
    1.0
    """

    radius: Any  # (), Δ
    length: Any  # (), ‖Dp‖ of the trial


@value
class DoglegLeastSquares(ResidualMethod):
    """Least squares by Gauss and Newton's step where it is trusted, else on the way from steepest descent to it.

        p on the path 0 → Cauchy's point → −J⁺r, as far as ‖Dp‖ ≤ Δ,    x_{k+1} = x_k + p where f falls

    Cauchy's point minimises ‖r + Jp‖ along steepest descent in the coordinates Dp, in which all of this is done; D is
    the diagonal of the norms of the columns of J, each at least `forget` times its last. The radius Δ becomes ‖Dp‖/4
    where f falls by less than ¼ of what the model promises, and at least 2‖Dp‖ where by more than ¾. J⁺ is the
    pseudoinverse.

    Order 2 where the residuals vanish at the solution, else 1, the faster the smaller they are.

    Args:
        radius: the first Δ as a part of ‖Dx₀‖, or of 1 where that is 0; in (0, ∞), no unit.
        forget: the factor by which an entry of D may fall in a step, in (0, 1]. 1 is Moré's scaling, which takes fewer
            steps where residuals stay large; less copes with starts from which the columns of J change by many orders.
        max_trials: after so many trials without a decrease it gives up: NO_DECREASE.

    Cost per step: one evaluation of r with J for each trial, mn² operations and some 10 n³. Memory: some four times J.
    The iterates do not depend on the units of x and r. Minimises only `fg.least_squares(…)`.

    Raises:
        TypeError: if `fun` is no `fg.least_squares`.

    Reference: Powell, A hybrid method for nonlinear equations, in Rabinowitz, Numerical methods for nonlinear algebraic
    equations, 1970; Nocedal, Wright, Numerical optimization, 2006, section 4.1 and algorithm 4.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> valley = fg.least_squares(lambda x: jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]))
    >>> run = fg.minimize(valley, jnp.array([-1.2, 1.0]), fg.DoglegLeastSquares(), max_steps=50)
    >>> [round(float(x), 3) for x in run.params]
    [1.0, 1.0]
    """

    radius: Scalar = number("(0, inf)", default=1.0, schedule=False)
    forget: Scalar = number("(0, 1]", default=0.5, schedule=False)
    max_trials: int = static(default=50, convert=as_count)

    def control(self, dtype: Any) -> Region:
        return Region(jnp.asarray(self.radius, dtype), jnp.zeros((), dtype))

    def adapt(self, control: Region, verdict: Verdict, x: jax.Array, scale: jax.Array) -> Region:
        size = jnp.asarray(tree.norm(scale * jnp.asarray(x, scale.dtype)), scale.dtype)
        begin = control.radius * jnp.where(size > 0, size, 1)
        radius = next_radius(verdict, control.radius, control.length)
        return Region(jnp.where(verdict.first, begin, radius), control.length)

    @full_precision
    def propose(self, at: Point, scale: jax.Array, control: Region, bend: Callable) -> Proposal:
        del bend
        # In units of ‖r‖ and of D, where the columns are not longer than 1, so that squares stay in range.
        unit = jnp.asarray(tree.norm(at.residuals), scale.dtype)
        r, a = divide(at.residuals, unit), at.jacobian / scale
        newton, down = shortest(a, r, jnp.ones_like(scale)), -(r @ a)
        cauchy = divide(down @ down, jnp.sum((a @ down) ** 2)) * down
        q = two_lines(cauchy, newton, divide(control.radius, unit))
        length, p = unit * jnp.asarray(tree.norm(q), scale.dtype), unit * q / scale
        return Proposal(p, at.decrease(p), Region(control.radius, length))
