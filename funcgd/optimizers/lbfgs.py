"""L-BFGS as a transform: the direction from the last few pairs of steps and gradients, and a search along it."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, number, static
from funcgd.core.pairs import Pairs, add_pair, no_curvature, no_pairs, times_inverse_hessian
from funcgd.core.transform import Composed, Params, Transform, Updates, as_transform, identity
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.line_searches.search import LineSearch
from funcgd.transforms.scale import scale, scale_by_learning_rate
from funcgd.transforms.scale_by_linesearch import scale_by_linesearch, scale_by_zoom_linesearch
from funcgd.transforms.slots import moment


class ScaleByLBFGSState(NamedTuple):
    """The state of `scale_by_lbfgs`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.scale_by_lbfgs(memory_size=5).init({"w": jnp.ones(2)})
    >>> state.memory.rows["w"].shape  # two rows for each of five pairs and a free slot
    (12, 2)
    """

    count: jax.Array  # (), int32: finished updates
    params: Params  # those of the last update, at least float32
    updates: Updates  # the gradient there, at least float32
    memory: Pairs  # the last pairs of their differences


@value
class scale_by_lbfgs(Transform):
    """Multiply the gradient by the inverse Hessian that the last few steps suggest.

        u = Hg,   H = what BFGS makes of γI and the last m pairs (s, y),   s = θₖ − θₖ₋₁,   y = gₖ − gₖ₋₁

    γ = sᵀy/yᵀy of the last pair, and min(1, 1/‖g‖) before there is one: then u has at most length 1. A pair with
    yᵀs ≤ ε‖y‖‖s‖, ε the precision of the dtype, is skipped. Where Hg does not lead downhill, or the parameters have not
    moved since the last update (a search that failed), the pairs are forgotten and u = γg.

    The update has the unit of the parameters; use it with steps of length 1 or a line search. Gradients should be
    those of one function: the noise of batches spoils y.

    Args:
        memory_size: m, how many pairs to keep; 3 to 20.
        scale_init_precond: False is γ = 1.

    `update` needs the parameters. Cost: O(mn) operations. Memory: 2(m + 2)n numbers, at least float32.

    Reference: Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35, 1980; Byrd, Nocedal,
    Schnabel, Representations of quasi-Newton matrices, Math. Program. 63, 1994.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_lbfgs()
    >>> _, state = tx.update(8.0, tx.init(1.0), 1.0)
    >>> float(tx.update(4.0, state, 0.5)[0])  # f = 4θ², whose minimum is at 0.5 − 0.5
    0.5
    """

    memory_size: int = static(default=10, convert=as_count)
    scale_init_precond: bool = static(default=True)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> ScaleByLBFGSState:
        memory = no_pairs(moment(params), self.memory_size)
        return ScaleByLBFGSState(jnp.zeros((), jnp.int32), moment(params), moment(params), memory)

    def update(
        self, grads: Updates, state: ScaleByLBFGSState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByLBFGSState]:
        x, g = _like(params, state.params), _like(grads, state.updates)
        if not jax.tree.leaves(g):
            return g, state
        u, memory = _advance(state, x, g, self.scale_init_precond)
        return u, ScaleByLBFGSState(numerics.increment(state.count), x, g, memory)


def _like(x: Any, slots: Any) -> Any:
    """A copy of x in the dtypes of `slots`."""
    return jax.tree.map(lambda a, slot: jnp.array(a, slot.dtype), x, slots)


@functools.partial(jax.jit, static_argnames="scaled")  # so that an update without jit is one program, too
def _advance(state: ScaleByLBFGSState, x: Params, g: Updates, scaled: bool) -> tuple[Updates, Pairs]:
    """The direction at x, and the memory after it."""
    changes = tree.sub(x, state.params), tree.sub(g, state.updates)
    s, y = jax.tree.map(lambda a: jnp.where(state.count > 0, a, 0), changes)
    memory = add_pair(state.memory, s, y)
    norm = jnp.asarray(tree.norm(g), memory.scale.dtype)
    alone = 1 / jnp.maximum(1, norm) if scaled else jnp.ones_like(norm)
    gamma = jnp.where(jnp.any(memory.sy > 0) & scaled, memory.scale, alone)
    u = times_inverse_hessian(memory._replace(scale=gamma), g)
    downhill = tree.real_vdot(g, u) >= 0  # else rounding errors or overflow
    again = jnp.isfinite(norm) & ~(downhill & (tree.real_vdot(s, s) > 0))
    return tree.where(again, tree.scale(alone, g), u), no_curvature(memory, again)


@value
class lbfgs(Composed):
    """L-BFGS: quasi-Newton steps from the last few pairs of steps and gradients, of a length that a search finds.

        θ ← θ − αηHg

    For deterministic objectives, in loops of your own: trials are made inside `update`, which needs the parameters and
    the extras `value`, `grad` and `value_fn`, as `fg.fit`, `fg.make_step` and `fg.minimize` pass them. What the last
    trial has found is in the state: `value_and_grad_from_state` takes it from there. In `fg.minimize` the method
    `fg.LBFGS` evaluates less and knows when to end.

    Args:
        learning_rate: η in [0, ∞), without a unit; None is 1.
        memory_size, scale_init_precond: see `scale_by_lbfgs`.
        linesearch: a transform that scales the update by α, or a line search such as `fg.HagerZhang()`; None for α = 1,
            which is sure to descend only near a minimum.

    Where no search helps, because the precision is exhausted or the objective not smooth, updates are 0, and `failed`
    in the state is true. Cost: one evaluation for each trial, mostly one, and O(mn) operations. Memory: (2m + 5)n.

    Reference: Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35, 1980; Liu, Nocedal, On the
    limited memory BFGS method for large scale optimization, Math. Program. 45, 1989.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, valley = fg.lbfgs(), fg.problems.rosenbrock()
    >>> run = fg.minimize(valley.fun, [-1.2, 1.0], tx, max_steps=100, stop=fg.stop.gradient_norm(1e-3))
    >>> [round(float(x), 2) for x in run.params], int(fg.tree.get(run.state, "num_linesearch_steps"))
    ([1.0, 1.0], 1)
    """

    learning_rate: ScalarOrSchedule | None = number("[0, inf)", default=None)
    memory_size: int = static(default=10, convert=as_count)
    scale_init_precond: bool = static(default=True)
    linesearch: Any = scale_by_zoom_linesearch(20, initial_guess_strategy="one")

    def __post_init__(self) -> None:
        search = self.linesearch
        if isinstance(search, LineSearch):
            search = scale_by_linesearch(search, "one")
        object.__setattr__(self, "linesearch", search if search is None else as_transform("lbfgs", search))

    def compose(self) -> Transform:
        return chain(
            scale_by_lbfgs(self.memory_size, self.scale_init_precond),
            scale(-1.0) if self.learning_rate is None else scale_by_learning_rate(self.learning_rate),
            identity() if self.linesearch is None else self.linesearch,
        )
