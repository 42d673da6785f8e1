"""Values that come with their own gradient: a function of everything numeric, and the rule that differentiates it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

from funcgd.core.fields import describe
from funcgd.core.validate import is_inexact
from funcgd.core.values import release
from funcgd.training.objective import Aux, check_scalar, parted


def is_array(x: Any) -> bool:
    """Whether x is an array, traced or not; Python numbers and everything else are structure."""
    return isinstance(x, (jax.Array, np.ndarray))


class Outcome(NamedTuple):
    """What a loss returned."""

    value: Any  # (), real
    metrics: dict[str, Any] | None  # None if the loss returned its value only
    model_state: Any

    def returned(self) -> Any:
        """In the form in which losses return it."""
        return self.value if self.metrics is None else (self.value, Aux(self.metrics, self.model_state))


def arrays_of(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The arrays in `tree`, and the function that puts them, or others, together with what else there is in it."""
    leaves, structure = jax.tree.flatten(tree)
    places = [i for i, x in enumerate(leaves) if is_array(x)]
    rest = [None if is_array(x) else x for x in leaves]

    def together(arrays: list[Any]) -> Any:
        filled = list(rest)
        for i, x in zip(places, arrays, strict=True):
            filled[i] = x
        return jax.tree.unflatten(structure, filled)

    return [leaves[i] for i in places], together


def parted_extra(extra: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a loss gets beside parameters and batch: (the random key and the model state as arrays, flags)."""
    numeric = {name: strong(x) for name, x in extra.items() if name in ("key", "model_state")}
    return numeric, {name: x for name, x in extra.items() if name not in numeric}


def strong(tree: Any) -> Any:
    """`tree` with its leaves as arrays, none of them of a weak type."""

    def settled(x: Any) -> jax.Array:
        return jnp.asarray(x, x.dtype if isinstance(x, jax.Array) else jnp.result_type(x))

    return jax.tree.map(settled, tree)


def call(who: str, held: Any, params: Any, batch: Any, extra: dict[str, Any]) -> Outcome:
    """What the loss returns.

    Raises:
        TypeError: if the loss returns anything but a real scalar, or that and an `Aux`.
    """
    value, aux = parted(release(held)(params, batch, **extra))
    check_scalar(who, "the loss", value)
    if aux is None:
        return Outcome(value, None, None)
    if not isinstance(aux, Aux):
        raise TypeError(f"{who}: the loss must return a value or (value, fg.Aux(…)), got {describe(aux)} beside it.")
    return Outcome(value, aux.metrics, aux.model_state)


class Traced(NamedTuple):
    """A function traced once; what it closes over stands open, as the first argument."""

    run: Callable[..., Any]  # (closed over, *args) → what the function returns
    closed_over: list[Any]
    shapes: Any  # of what it returns


def trace(function: Callable, *examples: Any) -> Traced:
    """Trace `function` at the shapes of `examples`.

    A custom derivative must have as arguments all that it is differentiated with respect to, and a function may close
    over such things: another loss's weights, a hyperparameter.
    """
    program, shapes = jax.make_jaxpr(function, return_shape=True)(*examples)

    def run(closed_over: list[Any], *args: Any) -> Any:
        out = eval_jaxpr(program.jaxpr, closed_over, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), out)

    return Traced(run, list(program.consts), shapes)


def with_gradient(compute: Callable[[Any, Any], tuple[Any, Any]], args: Any) -> Any:
    """The outcome of `compute` at `args`, differentiated in reverse mode by the gradient that comes with it.

    Only the value has a gradient; what stands beside it is constant to the derivative taken directly, and again a
    function of everything to derivatives of that derivative.

    Args:
        compute: (args, wanted) → (Outcome, gradients of the value), where `wanted` says for each leaf of `args` whether
            its gradient is needed, and the gradients are like `args`, with None where they are not.
        args: a pytree of arrays: all that the value depends on.
    """
    dtypes = jax.tree.map(jnp.result_type, args)

    @jax.custom_vjp
    def outcome(args: Any) -> Any:
        return compute(args, jax.tree.map(lambda _: False, args))[0]

    def forward(primals: Any) -> tuple[Any, Any]:
        wanted = jax.tree.map(lambda x: bool(x.perturbed and is_inexact(x.value)), primals)
        return compute(jax.tree.map(lambda x: x.value, primals), wanted)

    def backward(gradients: Any, cotangents: Any) -> tuple[Any]:
        c = cotangents.value
        if isinstance(c, jax.custom_derivatives.SymbolicZero):
            return (jax.tree.map(lambda _: None, dtypes),)

        def scaled(dtype: Any, g: Any) -> Any:
            return None if g is None else jnp.asarray(g * jnp.asarray(c, g.dtype), dtype)  # rounded once

        return (jax.tree.map(scaled, dtypes, gradients, is_leaf=lambda x: x is None),)

    outcome.defvjp(forward, backward, symbolic_zeros=True)
    return outcome(args)


def chosen(tree: Any, wanted: Any) -> Any:
    """The leaves of `tree` that are wanted; None in the places of the others."""
    return jax.tree.map(lambda x, w: x if w else None, tree, wanted)


def filled(some: Any, tree: Any) -> Any:
    """`tree` with the leaves that `some` has in their places."""
    return jax.tree.map(lambda x, own: own if x is None else x, some, tree, is_leaf=lambda x: x is None)
