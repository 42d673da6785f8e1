"""Trust regions: the minimum of a quadratic model in a ball whose radius follows how well the model does."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import as_count, as_optional_count, number, static
from funcgd.core.method import Evaluation
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.solvers.dogleg import dogleg
from funcgd.solvers.hessian import hessian_matrix, hessian_product
from funcgd.solvers.truncated_cg import ModelStep, forcing, truncated_cg
from funcgd.solvers.verdict import judge, next_radius


class TrustRegionState(NamedTuple):
    """The state of `TrustRegion`.

    >>> import funcgd as fg
    >>> fg.TrustRegionState._fields[:3]
    ('base', 'value', 'grads')
    """

    base: Params  # x_k
    value: jax.Array  # (), f(x_k)
    grads: Params  # ∇f(x_k)
    gradient_norm: jax.Array  # (), ‖∇f(x_k)‖
    first_norm: jax.Array  # (), ‖∇f(x₀)‖
    hessian: jax.Array | None  # (n, n), at x_k, for the dogleg
    predicted: jax.Array  # (), by how much the model falls from x_k to the trial
    length: jax.Array  # (), the distance of the trial from x_k
    radius: jax.Array  # (), Δ
    trials: jax.Array  # (), int32: rejected since x_k
    count: jax.Array  # (), int32: iterates so far


@value
class TrustRegion:
    """Newton's method where the quadratic model is trusted only in a ball.

        p ≈ argmin ∇f(x_k)ᵀp + ½pᵀ∇²f(x_k)p  over ‖p‖ ≤ Δ,    x_{k+1} = x_k + p where ϱ > eta

    ϱ is the decrease of f by that of the model. Below ¼ the radius Δ becomes ‖p‖/4; above ¾, at least 2‖p‖. A trial
    that is not finite is rejected. Where the model promises no more than 10 roundings of f, ϱ says nothing; then a
    trial is accepted if f is the same up to that and ‖∇f‖ is smaller, else the precision is reached and the method
    gives up: NO_DECREASE. So it does at a saddle that it is started on.

    Order: 2 near a minimum with positive definite Hessian with "dogleg", 1.5 with "steihaug".

    Args:
        subproblem: "steihaug": conjugate gradients up to the boundary or negative curvature, solved as well as in
            `NewtonCG`; no matrix. "dogleg": from the minimum along −∇f towards Newton's step, with a dense Hessian;
            where that is not positive definite, Steihaug's step with it.
        radius: the first Δ, in (0, ∞), unit of the parameters.
        max_radius: the largest Δ; the default lets it grow freely.
        eta: in [0, ¼), the part of the predicted decrease that a step must reach.
        max_products: in a step of Steihaug's, at most so many products with the Hessian; None for 2n.
        max_trials: after so many trials without a step it gives up: NO_DECREASE.

    Cost: one evaluation for each trial, mostly one for each step. What it adds, about as much as gradients and not in
    `evaluations` of the result: for each trial a gradient and up to `max_products` products with the Hessian; with
    "dogleg" for each step a gradient and n products, and n³/3 operations for each trial. Memory: some ten times that of
    x, or n². Its iterates do not depend on the units of f. It cannot be unrolled for derivatives.

    Reference: Steihaug, The conjugate gradient method and trust regions in large scale optimization, SIAM J. Numer.
    Anal. 20, 1983; Powell, A new algorithm for unconstrained optimization, 1970; Nocedal, Wright, Numerical
    optimization, 2006, algorithms 4.1 and 7.2; Conn, Gould, Toint, Trust-region methods, 2000, section 17.4.

    >>> import funcgd as fg
    >>> valley, stop = fg.problems.rosenbrock(), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], fg.TrustRegion(), max_steps=100, stop=stop)
    >>> [round(float(x), 2) for x in run.params], run.reason.name
    ([1.0, 1.0], 'GRADIENT_NORM')
    """

    subproblem: str = static(default="steihaug", one_of=("steihaug", "dogleg"))
    radius: Scalar = number("(0, inf)", default=1.0, schedule=False)
    max_radius: Scalar = number("(0, inf)", default=1e10, schedule=False)
    eta: Scalar = number("[0, 0.25)", default=1e-4, schedule=False)
    max_products: int | None = static(default=None, convert=as_optional_count)
    max_trials: int = static(default=50, convert=as_count)

    def init(self, fun: Callable, x: Params, args: tuple) -> TrustRegionState:
        """The state before the first evaluation: a trial in x₀ itself."""
        zero = jnp.zeros((), jax.eval_shape(fun, x, args)[0].dtype)
        n, norm = jax.eval_shape(to_vector, x), jnp.zeros_like(jax.eval_shape(tree.norm, x))
        return TrustRegionState(
            base=x,
            value=zero,
            grads=tree.zeros_like(x),
            gradient_norm=norm,
            first_norm=norm,
            hessian=jnp.zeros((n.size, n.size), n.dtype) if self.subproblem == "dogleg" else None,
            predicted=zero,
            length=norm,
            radius=jnp.minimum(jnp.asarray(self.radius, norm.dtype), jnp.asarray(self.max_radius, norm.dtype)),
            trials=jnp.int32(0),
            count=jnp.int32(0),
        )

    def step(
        self, fun: Callable, x: Params, state: TrustRegionState, args: tuple
    ) -> tuple[Params, TrustRegionState, Evaluation]:
        """One evaluation, at x: the next iterate, or a trial that is rejected."""
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        grads = jax.tree.map(jnp.conj, grads)
        norm = tree.norm(grads)
        verdict = judge(
            state,
            f,
            finite=jnp.isfinite(f) & jnp.isfinite(norm),
            smaller=norm < state.gradient_norm,
            moved=~tree.equal(x, state.base),
            least=self.eta,
            max_trials=self.max_trials,
        )
        accepted, largest = verdict.accepted, jnp.asarray(self.max_radius, norm.dtype)
        base, value, grads_k, norm_k = tree.where(
            accepted, (x, f, grads, norm), (state.base, state.value, state.grads, state.gradient_norm)
        )
        state = state._replace(
            base=base,
            value=value,
            grads=grads_k,
            gradient_norm=norm_k,
            first_norm=jnp.where(verdict.first, norm, state.first_norm),
            radius=jnp.minimum(next_radius(verdict, state.radius, state.length), largest),
            trials=verdict.trials,
            count=state.count + jnp.int32(accepted),
        )
        hessian, model = self._solve(fun, args, state, accepted)
        state = state._replace(
            hessian=hessian,
            predicted=jnp.asarray(model.predicted, f.dtype),
            length=tree.norm(model.p),
        )
        x_next = jax.tree.map(lambda a, p: a + jnp.asarray(p, a.dtype), state.base, model.p)
        return x_next, state, Evaluation(f, norm, aux, accepted, verdict.code, tree.max_norm(grads))

    def _solve(
        self, fun: Callable, args: tuple, state: TrustRegionState, fresh: jax.Array
    ) -> tuple[jax.Array | None, ModelStep]:
        """The Hessian at x_k, if it is kept, and the step of the model there."""
        x, g = state.base, state.grads
        tolerance = forcing(state.gradient_norm, state.first_norm)
        if state.hessian is None:
            return None, truncated_cg(hessian_product(fun, x, args), g, tolerance, state.radius, self.max_products)
        old = state.hessian
        h = jax.lax.cond(fresh, lambda: jnp.asarray(hessian_matrix(fun, x, args), old.dtype), lambda: old)
        model = dogleg(h, to_vector(g), tolerance, state.radius, self.max_products)
        return h, model._replace(p=from_vector(model.p, x))
