"""The method of Levenberg and Marquardt for nonlinear least squares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import as_count, number, static
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.solvers.linearize import Point, damped
from funcgd.solvers.residual_method import Proposal, ResidualMethod
from funcgd.solvers.verdict import Verdict

BEND = 0.75  # of Transtrum and Sethna


class Damping(NamedTuple):
    """The control of `LevenbergMarquardt`.

    >>> from funcgd.solvers.levenberg_marquardt import Damping
    >>> Damping(damping=1e-3, growth=2.0).growth
    2.0
    """

    damping: Any  # (), λ
    growth: Any  # (), ν: the factor of λ after a rejection


@value
class LevenbergMarquardt(ResidualMethod):
    """Least squares by linear least squares with damping, for residuals r with Jacobian J; steps bend as r does.

        p = argmin ‖r + Jp‖² + λ‖Dp‖²,    q = argmin ‖r″ + Jq‖² + λ‖Dq‖²,    x_{k+1} = x_k + p + ½q where f falls

    r″ is the second derivative of r along p: the step follows the curve that keeps to the bottom of a bent valley.
    Where it bends too much, 2‖Dq‖ > ¾‖Dp‖, λ grows before f is evaluated; where r″ is not finite, q is 0. D is the
    diagonal of the norms of the columns of J, each at least `forget` times its last, so that units change nothing.
    With the gain ratio ϱ, the decrease of f by that of the model, λ becomes λ·max(⅓, 1 − (2ϱ−1)³) after a step, else
    νλ with ν = 2, 4, 8, … (Nielsen). p and q are found by orthogonal triangles.

    Order 2 where the residuals vanish at the solution, else 1, the faster the smaller they are.

    Args:
        damping: the first λ, in (0, ∞), no unit. It matters little.
        forget: the factor by which an entry of D may fall in a step, in (0, 1]. 1 is Moré's scaling, which takes fewer
            steps where residuals stay large; less copes with starts from which the columns of J change by many orders.
        max_trials: after so many trials without a decrease it gives up: NO_DECREASE.

    Cost per step: one evaluation of r with J for each trial, mostly one for each step, and mn² operations. For each λ
    it adds r″, some three evaluations of r, and again mn² operations. Memory: some four times J. Minimises only
    `fg.least_squares(…)`; r must have second derivatives in forward mode.

    Raises:
        TypeError: if `fun` is no `fg.least_squares`.

    Reference: Marquardt, An algorithm for least-squares estimation of nonlinear parameters, J. SIAM 11, 1963; Moré, The
    Levenberg–Marquardt algorithm, Lecture notes in mathematics 630, 1978; Nielsen, Damping parameter in Marquardt's
    method, Technical report IMM-REP-1999-05, Lyngby, 1999; Transtrum, Sethna, Improvements to the Levenberg–Marquardt
    algorithm for nonlinear least-squares minimization, arXiv:1201.5885, 2012.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> t, y = jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 2.0, 4.0])
    >>> fit = fg.least_squares(lambda x: x["a"] * jnp.exp(x["b"] * t) - y)
    >>> x0 = {"a": jnp.array(0.5), "b": jnp.array(0.0)}
    >>> stop = fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(fit, x0, fg.LevenbergMarquardt(), max_steps=50, stop=stop)
    >>> round(float(run.params["a"]), 2), round(float(run.params["b"]), 2), run.reason.name
    (1.0, 0.69, 'GRADIENT_NORM')
    """

    damping: Scalar = number("(0, inf)", default=1e-3, schedule=False)
    forget: Scalar = number("(0, 1]", default=0.5, schedule=False)
    max_trials: int = static(default=30, convert=as_count)

    def control(self, dtype: Any) -> Damping:
        return Damping(jnp.asarray(self.damping, dtype), jnp.full((), 2, dtype))

    def adapt(self, control: Damping, verdict: Verdict, x: jax.Array, scale: jax.Array) -> Damping:
        del x, scale
        gain = jnp.where(verdict.settled, 1, jnp.clip(verdict.gain, 0, 1))
        # Less than ε, the damping of a singular J is lost in rounding.
        least = float(jnp.finfo(gain.dtype).eps)
        damping = jnp.maximum(control.damping * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3), least)
        adapted = tree.where(verdict.accepted, Damping(damping, jnp.full_like(damping, 2)), _more(control))
        return tree.where(verdict.first, control, adapted)

    def propose(self, at: Point, scale: jax.Array, control: Damping, bend: Callable) -> Proposal:
        def attempt(last: _Attempt) -> _Attempt:
            control = tree.where(last.count > 0, _more(last.control), last.control)
            solve = damped(at.jacobian, scale, control.damping)
            p = solve(at.residuals)
            q = solve(bend(p))
            q = jnp.where(jnp.all(jnp.isfinite(q)), q, 0)
            short = 2 * tree.norm(scale * q) <= BEND * tree.norm(scale * p)
            return _Attempt(control, p, q, short, last.count + 1)

        none = jnp.zeros_like(scale)
        start = _Attempt(control, none, none, jnp.bool_(False), jnp.int32(0))
        end = jax.lax.while_loop(lambda s: ~s.short & (s.count < self.max_trials), attempt, start)
        return Proposal(end.p + end.q / 2, at.decrease(end.p), end.control)


class _Attempt(NamedTuple):
    control: Damping
    p: jax.Array  # (n,)
    q: jax.Array  # (n,)
    short: jax.Array  # (), bool: whether q is
    count: jax.Array  # (), int32


def _more(control: Damping) -> Damping:
    """After a rejection; the bounds keep the numbers finite."""
    large = 1 / float(jnp.finfo(control.damping.dtype).eps)
    damping = jnp.minimum(control.damping * control.growth, large**2)
    return Damping(damping, jnp.minimum(2 * control.growth, large))
