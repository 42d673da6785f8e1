"""The method that a transform is."""

from collections.abc import Callable
from typing import Any

import jax

from funcgd.core import tree
from funcgd.core.apply_updates import apply_updates
from funcgd.core.method import Evaluation
from funcgd.core.transform import Transform
from funcgd.core.types import Params
from funcgd.core.values import value
from funcgd.training.step import ascent


@value
class FirstOrder:
    """The method that a transform is: one gradient, one update.

    Methods are values with `init(fun, x, args) -> state` and `step(fun, x, state, args) -> (x, state, evaluation)`,
    both pure, where `fun(x, args) -> (value, aux)`. The evaluation is that of the point before the step; where that is
    a trial and rejected, `accepted` is false, and the next x is another trial. So a step evaluates `fun` at one place.

    >>> import funcgd as fg
    >>> fg.FirstOrder(fg.sgd(0.1))
    FirstOrder(tx=sgd(learning_rate=0.1))
    """

    tx: Transform

    def init(self, fun: Callable, x: Params, args: tuple) -> Any:
        """The optimizer's state."""
        del fun, args
        return self.tx.init(x)

    def step(self, fun: Callable, x: Params, state: Any, args: tuple) -> tuple[Params, Any, Evaluation]:
        """One update, and the evaluation before it."""
        (f, aux), grads = jax.value_and_grad(fun, has_aux=True)(x, args)
        grads = ascent(grads)
        updates, state = self.tx.update(grads, state, x, value=f, grad=grads, value_fn=lambda x: fun(x, args)[0])
        return apply_updates(x, updates), state, Evaluation(f, tree.norm(grads), aux, gradient_max=tree.max_norm(grads))
