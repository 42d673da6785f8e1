"""The method of Levenberg and Marquardt for nonlinear least squares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import as_count, number, static
from funcgd.core.least_squares import residuals_of
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.solvers.linearize import Linear, damped, linearize


class LevenbergMarquardtState(NamedTuple):
    """The state of `LevenbergMarquardt`, n coordinates and m residuals.

    >>> import funcgd as fg
    >>> fg.LevenbergMarquardtState._fields[:3]
    ('base', 'value', 'linear')
    """

    base: jax.Array  # (n,), x_k as a real vector
    value: jax.Array  # (), f(x_k)
    linear: Linear  # of the residuals at x_k
    scale: jax.Array  # (n,), D: the largest norm of each column of J so far
    predicted: jax.Array  # (), by how much the model falls from x_k to the trial
    damping: jax.Array  # (), λ
    growth: jax.Array  # (), ν: the factor of λ after a rejection
    trials: jax.Array  # (), int32: rejected since x_k
    count: jax.Array  # (), int32: iterates so far


@value
class LevenbergMarquardt:
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

    searches = True  # trials may be rejected

    def init(self, fun: Callable, x: Params, args: tuple) -> LevenbergMarquardtState:
        """The state before the first evaluation."""
        residuals, base = residuals_of("LevenbergMarquardt", fun), to_vector(x)
        r = jax.eval_shape(residuals, x, args)[0]
        n, k, dtype = base.size, min(base.size, r.size), r.dtype
        zero, linear = jnp.zeros((), dtype), Linear(jnp.zeros((k, n), dtype), jnp.zeros(k, dtype))
        damping, growth = jnp.asarray(self.damping, dtype), jnp.full((), 2, dtype)
        return LevenbergMarquardtState(
            base, zero, linear, jnp.zeros(n, dtype), zero, damping, growth, jnp.int32(0), jnp.int32(0)
        )

    def step(
        self, fun: Callable, x: Params, state: LevenbergMarquardtState, args: tuple
    ) -> tuple[Params, LevenbergMarquardtState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        at = linearize(residuals_of("LevenbergMarquardt", fun), x, args)
        eps = float(jnp.finfo(at.value.dtype).eps)
        gain = (state.value - at.value) / jnp.where(state.predicted > 0, state.predicted, 1)
        usable = jnp.isfinite(at.value) & jnp.all(jnp.isfinite(at.columns))
        first = state.count == 0
        accepted = first | (usable & (gain > GAIN))

        def pick(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, old)

        shrink = jnp.maximum(1 / 3, 1 - (2 * jnp.clip(gain, 0, 1) - 1) ** 3)
        damping = state.damping * jnp.where(first, 1, pick(shrink, state.growth))
        damping = jnp.clip(damping, eps, 1 / eps**2)
        scale = pick(jnp.maximum(state.scale, at.columns), state.scale)
        d = jnp.where(scale > 0, scale, 1)
        linear = pick(at.linear, state.linear)
        base = pick(at.x, state.base)
        p = damped(linear, d, damping)
        # ½‖c‖² − ½‖c + Rp‖² at this p, as a sum of what is positive
        predicted = jnp.sum((linear.matrix @ p) ** 2) / 2 + damping * jnp.sum((d * p) ** 2)
        trials = jnp.where(accepted, 0, state.trials + 1)
        # A shorter trial cannot tell more where the model falls by less than f can resolve, or x no longer changes.
        lost = (state.predicted <= eps / 2 * state.value) | jnp.all(at.x == state.base) | (trials >= self.max_trials)
        code = jnp.where(~accepted & lost, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        code = jnp.where(first & ~usable, jnp.int32(StopReason.NON_FINITE), code)
        norm, largest = tree.norm(at.gradient), tree.max_norm(at.gradient)
        code = jnp.where(accepted & (largest == 0), jnp.int32(StopReason.GRADIENT_NORM), code)
        state = LevenbergMarquardtState(
            base=base,
            value=pick(at.value, state.value),
            linear=linear,
            scale=scale,
            predicted=predicted,
            damping=damping,
            growth=jnp.where(accepted, 2, jnp.minimum(2 * state.growth, 1 / eps)),
            trials=trials,
            count=state.count + jnp.asarray(accepted, jnp.int32),
        )
        x_next = from_vector(base + jnp.asarray(p, base.dtype), x)
        return x_next, state, Evaluation(at.value, norm, at.aux, accepted, code, largest)


GAIN = 1e-4  # the part of the predicted decrease that a step must reach
