"""FISTA: the proximal gradient method with Nesterov's momentum."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import field, number, static
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.projections.regularizer import Regularizer
from funcgd.solvers import composite, first_steps
from funcgd.solvers.composite import Smooth
from funcgd.solvers.proximal_gradient import as_regularizer

START, AHEAD, TRIAL = 0, 1, 2
MAX_TRIALS = 40


class FISTAState(NamedTuple):
    """The state of `FISTA`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> int(fg.FISTA(fg.L1Norm(0.1)).init(lambda x, args: (x, None), jnp.array(1.0), ()).phase)
    0
    """

    at: Smooth  # f at x_k
    base: Smooth  # f at y_k, where the proximal step starts
    step: jax.Array  # (), η
    t: jax.Array  # (), t_k; 1 where there is no momentum
    trials: jax.Array  # (), int32: trials of this step that were rejected
    phase: jax.Array  # (), int32: what x is: the start, the start made feasible, y_k (AHEAD), or a trial of x_{k+1}


@value
class FISTA:
    """Minimise f + h, where f is `fun`, smooth and convex, and h a regularizer, by accelerated proximal gradients.

        x_{k+1} = prox_{ηh}(y_k − η∇f(y_k)),   t_{k+1} = (1 + √(1 + 4t_k²))/2
        y_{k+1} = x_{k+1} + ((t_k − 1)/t_{k+1}) (x_{k+1} − x_k)

    For convex f and η ≤ 1/L, F(x_k) − F* ≤ 2‖x₀ − x*‖²/(η(k+1)²). Without `step_size`, η shrinks until
    f(x_{k+1}) ≤ f(y) + ⟨∇f(y), x_{k+1} − y⟩ + ‖x_{k+1} − y‖²/2η; it may grow only where there is no momentum. With
    `restart`, momentum is forgotten where ⟨y_k − x_{k+1}, x_{k+1} − x_k⟩ > 0, where it leads uphill: then strong
    convexity need not be known for order 1, with √κ in place of κ.

    `minimize` reports what it does for `ProximalGradient`. Values may rise on the way; `best` has the lowest.

    Args:
        regularizer: h, such as `fg.L1Norm(0.1)`.
        step_size: η, [param]²/[loss]; None finds it.
        restart: whether momentum is restarted.

    Cost: two evaluations for each step, at x_{k+1} and at y_{k+1}, one without momentum; one more for each trial that
    is rejected. Memory: five times that of x.

    Reference: Beck, Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM J.
    Imaging Sci. 2, 2009; O'Donoghue, Candès, Adaptive restart for accelerated gradient schemes, Found. Comput. Math.
    15, 2015.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda x: 0.5 * jnp.sum((x - jnp.array([3.0, 0.5])) ** 2)
    >>> stop = fg.stop.gradient_norm(1e-5)
    >>> fg.minimize(f, jnp.zeros(2), fg.FISTA(fg.L1Norm(1.0)), max_steps=99, stop=stop).params.tolist()
    [2.0, 0.0]
    """

    regularizer: Regularizer = field("plain", as_regularizer)
    step_size: Scalar | None = number("(0, inf)", default=None, schedule=False)
    restart: bool = static(default=True, one_of=(True, False))

    def feasible(self, x: Params) -> Params:
        """x, or a point near it where h is finite."""
        return self.regularizer.prox(x, 0.0)

    def init(self, fun: Callable, x: Params, args: tuple) -> FISTAState:
        """The state before the first evaluation."""
        value, _ = jax.eval_shape(fun, x, args)
        one = jnp.ones((), value.dtype)
        none = Smooth(x, jnp.zeros_like(one), jax.tree.map(jnp.zeros_like, x))
        return FISTAState(none, none, one, one, jnp.int32(0), jnp.int32(START))

    def step(self, fun: Callable, x: Params, state: FISTAState, args: tuple) -> tuple[Params, FISTAState, Evaluation]:
        """One evaluation, at x: an iterate, a trial that is rejected, or the point y ahead."""
        new, aux = composite.evaluate(fun, x, args)
        real = state.step.dtype
        total = new.value + jnp.asarray(self.regularizer.value(x), real)
        ahead = state.phase == AHEAD
        good, eta = self._judge(state, new)
        trial = state.phase == TRIAL
        stuck = trial & (state.trials > 0) & tree.equal(x, state.base.x)  # η so short that nothing moves
        accepted = good & ~ahead & ~stuck
        y, t, momentum = self._extrapolate(state, x)
        t = jnp.where(accepted, t, state.t)
        eta = jnp.where(momentum & accepted, jnp.minimum(eta, state.step), jnp.where(ahead, state.step, eta))
        base = self._base(state, new, accepted, ahead)
        at = tree.where(accepted, new, state.at)
        trials = jnp.where(accepted | ahead, 0, state.trials + 1)
        phase = jnp.where(accepted & momentum, jnp.int32(AHEAD), jnp.int32(TRIAL))
        x_next = tree.where(accepted & momentum, y, self._move(base, eta))
        norm, largest = composite.mapping_norms(x, self._move(new, eta), eta)
        code = jnp.where(stuck | (trials >= MAX_TRIALS), jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        value = jnp.where(ahead, jnp.inf, total)  # y need not be feasible
        at_x = Evaluation(value, norm, aux, accepted, code, largest)
        return x_next, FISTAState(at, base, eta, t, trials, phase), at_x

    def optimality(self, fun: Callable, x: Params, args: tuple) -> Params:
        """What is 0 at a solution, for its derivative: x − prox_h(x − ∇f)."""
        at_x, _ = composite.evaluate(fun, x, args)
        return tree.sub(x, self._move(at_x, jnp.ones_like(at_x.value)))

    def _move(self, base: Smooth, step: jax.Array) -> Params:
        return self.regularizer.prox(tree.add_scale(base.x, -step, base.grads), step)

    def _judge(self, state: FISTAState, new: Smooth) -> tuple[jax.Array, jax.Array]:
        """Whether a point becomes an iterate, and η for the next trial, if it may grow."""
        if self.step_size is not None:
            return jnp.bool_(True), jnp.asarray(self.step_size, state.step.dtype)
        found, trial = composite.compare(state.base, new), state.phase == TRIAL
        finite = jnp.isfinite(new.value) & jnp.isfinite(found.bend)
        good = ~trial | (finite & composite.is_majorized(found, state.base, new, state.step))
        first = first_steps.short(new.grads, state.step.dtype)
        longer = jnp.maximum(composite.spectral(found, state.step), state.step)
        return good, jnp.where(good, jnp.where(trial, longer, first), composite.shorter(found, state.step))

    def _extrapolate(self, state: FISTAState, x: Params) -> tuple[Params, jax.Array, jax.Array]:
        """(y, t, whether y is not x) after the iterate x."""
        started, move = state.phase == TRIAL, tree.sub(x, state.at.x)
        t = (1 + jnp.sqrt(1 + 4 * state.t**2)) / 2
        weight = (state.t - 1) / t
        uphill = tree.real_vdot(tree.sub(state.base.x, x), move) > 0
        forget = ~started | uphill if self.restart else ~started
        momentum = ~forget & (weight > 0)
        y = jax.tree.map(lambda a, b: a + jnp.asarray(weight, a.dtype) * b, x, move)
        return y, jnp.where(forget, jnp.ones_like(t), t), momentum

    def _base(self, state: FISTAState, new: Smooth, accepted: jax.Array, ahead: jax.Array) -> Smooth:
        """Where the next proximal step starts: x or y as just evaluated; x again, if f is not finite at y."""
        usable = jnp.isfinite(new.value) & jnp.isfinite(tree.norm(new.grads))
        return tree.where(accepted | (ahead & usable), new, tree.where(ahead, state.at, state.base))
