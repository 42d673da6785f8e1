"""Block coordinate descent: a proximal gradient step in one leaf of the tree after the other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import tree
from funcgd.core.fields import describe, field, number
from funcgd.core.method import Evaluation
from funcgd.core.stop import StopReason
from funcgd.core.types import Params, Scalar
from funcgd.core.values import value
from funcgd.projections.norms import L2Norm
from funcgd.projections.regularizer import SCALED, Indicator, NoRegularizer, Regularizer
from funcgd.solvers import composite, first_steps
from funcgd.solvers.composite import Smooth
from funcgd.solvers.proximal_gradient import as_regularizer

MAX_TRIALS = 40


class BlockState(NamedTuple):
    """The state of `BlockCoordinateDescent`.

    >>> from funcgd.solvers.block_coordinate_descent import BlockState
    >>> BlockState._fields
    ('base', 'steps', 'block', 'trials', 'still', 'first')
    """

    base: Smooth  # f at x_k
    steps: jax.Array  # (number of leaves,), η of each
    block: jax.Array  # (), int32: the leaf in which x differs from x_k
    trials: jax.Array  # (), int32: trials in this leaf that were rejected
    still: jax.Array  # (), int32: leaves in turn in which nothing moved
    first: jax.Array  # (), bool: whether x is the start


def as_sum_over_leaves(owner: str, name: str, x: Any) -> Any:
    """`x` as a regularizer, none that is known to tie leaves together."""
    x = as_regularizer(owner, name, x)
    if isinstance(x, L2Norm) or (isinstance(x, Indicator) and x.projection in SCALED):
        raise TypeError(f"{owner}: `{name}` must be a sum over the leaves of x, got {describe(x)}.")
    return x


@value
class BlockCoordinateDescent:
    """Minimise f + h by proximal gradient steps in one leaf of x after the other, in turn.

        x_b ← prox_{η_b h}(x_b − η_b ∇_b f(x)),    b = 1, …, B, 1, …

    Each leaf has an η of its own: that of Barzilai and Borwein along its last step, shrunk until f along the leaf lies
    below its quadratic model, so that no step goes up. That pays where leaves have different units or curvatures, or
    where f is convex in each leaf and not in all together, as in matrix factorisation. `minimize` reports f + h, and in
    place of the gradient the gradient mapping of all leaves, with the η of the next one. It ends with NO_DECREASE where
    no leaf moves any more. To go through single entries of a quadratic exactly, take `CoordinateDescent`.

    Args:
        regularizer: h, a sum over the leaves, such as `fg.L1Norm(0.1)`, `fg.GroupLasso(0.1)` or
            `fg.Indicator(fg.projection_non_negative)`.
        step_size: η of all leaves, [param]²/[loss]; None finds one for each at each step.

    Raises:
        TypeError: if h is none, or known to tie leaves together.

    Order 1. Cost: one evaluation for each trial, some 1.0 to 1.3 for each step; a sweep takes B steps. Memory: three
    times that of x.

    Reference: Tseng, Yun, A coordinate gradient descent method for nonsmooth separable minimization, Math. Program.
    117, 2009; Xu, Yin, A block coordinate descent method for regularized multiconvex optimization, SIAM J. Imaging
    Sci. 6, 2013.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> f = lambda p: 0.5 * (p["w"] - 3.0) ** 2 + 5000 * (p["b"] - 0.5) ** 2
    >>> method, stop = fg.BlockCoordinateDescent(fg.L1Norm(1.0)), fg.stop.gradient_norm(1e-3)
    >>> run = fg.minimize(f, {"w": 0.0, "b": 0.0}, method, max_steps=99, stop=stop)
    >>> round(float(run.params["w"]), 4), round(float(run.params["b"]), 4)
    (2.0, 0.4999)
    """

    regularizer: Regularizer = field("plain", as_sum_over_leaves, default=NoRegularizer())
    step_size: Scalar | None = number("(0, inf)", default=None, schedule=False)

    def feasible(self, x: Params) -> Params:
        """x, or a point near it where h is finite."""
        return self.regularizer.prox(x, 0.0)

    def init(self, fun: Callable, x: Params, args: tuple) -> BlockState:
        """The state before the first evaluation."""
        value, _ = jax.eval_shape(fun, x, args)
        base = Smooth(x, jnp.zeros((), value.dtype), jax.tree.map(jnp.zeros_like, x))
        steps, none = jnp.ones(len(jax.tree.leaves(x)), value.dtype), jnp.int32(0)
        return BlockState(base, steps, none, none, none, jnp.bool_(True))

    def step(self, fun: Callable, x: Params, state: BlockState, args: tuple) -> tuple[Params, BlockState, Evaluation]:
        """One evaluation, at x: an iterate, or a trial that is rejected; and a step in one leaf from there."""
        new, aux = composite.evaluate(fun, x, args)
        total = new.value + jnp.asarray(self.regularizer.value(x), new.value.dtype)
        accepted, steps = self._judge(state, new)
        base = tree.where(accepted, new, state.base)
        moved_on = jnp.where(state.first, 0, (state.block + 1) % steps.size)
        block = jnp.where(accepted, moved_on, state.block)
        trials = jnp.where(accepted, 0, state.trials + 1)
        here = ~state.first & tree.equal(x, state.base.x)
        still = jnp.where(accepted, jnp.where(here, state.still + 1, 0), state.still)
        eta = steps[block]
        moved = self.regularizer.prox(tree.add_scale(base.x, -eta, base.grads), eta)
        norm, largest = composite.mapping_norms(base.x, moved, eta)
        over = (still >= steps.size) | (trials >= MAX_TRIALS)
        code = jnp.where(over, jnp.int32(StopReason.NO_DECREASE), jnp.int32(0))
        state = BlockState(base, steps, block, trials, still, jnp.bool_(False))
        return _in_one_leaf(block, moved, base.x), state, Evaluation(total, norm, aux, accepted, code, largest)

    def optimality(self, fun: Callable, x: Params, args: tuple) -> Params:
        """What is 0 at a solution, for its derivative: x − prox_h(x − ∇f)."""
        at_x, _ = composite.evaluate(fun, x, args)
        return tree.sub(x, self.regularizer.prox(tree.sub(x, at_x.grads), 1.0))

    def _judge(self, state: BlockState, new: Smooth) -> tuple[Any, jax.Array]:
        """Whether a point becomes an iterate, and η of all leaves after it."""
        if self.step_size is not None:
            return True, jnp.full_like(state.steps, self.step_size)
        eta = state.steps[state.block]
        found = composite.compare(state.base, new)
        finite = jnp.isfinite(new.value) & jnp.isfinite(found.bend)
        accepted = state.first | (finite & composite.is_majorized(found, state.base, new, eta))
        eta = jnp.where(accepted, composite.spectral(found, eta), composite.shorter(found, eta))
        first = jnp.full_like(state.steps, first_steps.short(new.grads, eta.dtype))
        return accepted, jnp.where(state.first, first, state.steps.at[state.block].set(eta))


def _in_one_leaf(block: jax.Array, moved: Params, x: Params) -> Params:
    """`moved` in the leaf with that number, x in the others."""
    leaves, structure = jax.tree.flatten(x)
    pairs = enumerate(zip(jax.tree.leaves(moved), leaves, strict=True))
    return structure.unflatten([jnp.where(block == i, new, old) for i, (new, old) in pairs])
