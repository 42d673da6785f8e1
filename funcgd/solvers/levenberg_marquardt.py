"""The method of Levenberg and Marquardt for nonlinear least squares."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import as_count, number, static
from funcgd.core.types import Scalar
from funcgd.core.values import value
from funcgd.solvers.linearize import Linear, damped
from funcgd.solvers.residual_method import ResidualMethod, Verdict


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
    """Least squares by linear least squares with damping, for residuals r with Jacobian J.

        p = argmin ‖r + Jp‖² + λ‖Dp‖²,    x_{k+1} = x_k + p where f falls

    D is the diagonal of the largest norms of the columns of J so far (Moré), which makes the method invariant to the
    units of x and of r. With the gain ratio ϱ, the decrease of f by that of the model, λ becomes λ·max(⅓, 1 − (2ϱ−1)³)
    after a step; after a rejected one νλ, and ν = 2, 4, 8, … (Nielsen). p is found by orthogonal triangles.

    Order 2 where the residuals vanish at the solution, else 1, the faster the smaller they are.

    Args:
        damping: the first λ, in (0, ∞), no unit. Small (1e-6) for a good start, 1 for a bad one.
        max_trials: after so many trials without a decrease it gives up: NO_DECREASE.

    Cost per step: one evaluation of r with J for each trial, mn² + n³ operations. Memory: J once, and n² in the state.
    Minimises only `fg.least_squares(…)`.

    Raises:
        TypeError: if `fun` is no `fg.least_squares`.

    Reference: Marquardt, An algorithm for least-squares estimation of nonlinear parameters, J. SIAM 11, 1963; Moré, The
    Levenberg–Marquardt algorithm, Lecture notes in mathematics 630, 1978; Nielsen, Damping parameter in Marquardt's
    method, Technical report IMM-REP-1999-05, Lyngby, 1999.

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
    max_trials: int = static(default=30, convert=as_count)

    def control(self, dtype: Any) -> Damping:
        return Damping(jnp.asarray(self.damping, dtype), jnp.full((), 2, dtype))

    def adapt(self, control: Damping, verdict: Verdict, x: jax.Array, scale: jax.Array) -> Damping:
        del x, scale
        gain = jnp.where(verdict.settled, 1, jnp.clip(verdict.gain, 0, 1))
        shrink = jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        factor = jnp.where(verdict.accepted, shrink, control.growth)
        # Less than ε, the damping of a singular J is lost in rounding; the upper bounds keep the numbers finite.
        eps = float(jnp.finfo(factor.dtype).eps)
        damping = jnp.clip(control.damping * factor, eps, eps**-2)
        growth = jnp.where(verdict.accepted, 2, jnp.minimum(2 * control.growth, 1 / eps))
        return Damping(jnp.where(verdict.first, control.damping, damping), growth)

    def trial(self, linear: Linear, scale: jax.Array, control: Damping) -> tuple[jax.Array, Damping]:
        return damped(linear, scale, control.damping), control
