"""Forward and backward over a graph: the chain rule, operation by operation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from funcgd.calculus.graph_trace import Ref, Step

LARGEST = 2**12  # entries of a Jacobian that is formed whole


class Derivatives(NamedTuple):
    """What `differentiate` computes, by the number of the step."""

    values: dict[int, list[Any]]  # for each output
    gradients: dict[int, list[Any]]  # for each output: ∂f/∂value; None of what has none
    local: dict[int, list[Any]]  # for each input: ∂value/∂input, or None
    flows: dict[int, list[Any]]  # for each input: what goes back to it, the gradient times ∂value/∂input, or None


def differentiate(steps: dict[int, Step], output: Ref, given: dict[int, list[Any]]) -> Derivatives:
    """The value of every step, then from the last to the first the gradient of the output with respect to each.

        ∂f/∂u = Σ over the operations v that use u of ∂f/∂v · ∂v/∂u

    Args:
        steps: by number, in an order in which they can be computed.
        output: where the value of f is, one real number.
        given: the values of inputs and constants, in lists, because others have several.
    """
    values = dict(given)
    pull_backs: dict[int, Callable[..., list[Any]]] = {}
    for i, step in steps.items():
        if step.function is not None:
            inputs = [values[j][k] for j, k in step.inputs]
            varies = [
                steps[j].op != "constant" and _is_inexact(x) for (j, _), x in zip(step.inputs, inputs, strict=True)
            ]
            values[i], pull_backs[i] = _linearise(step, inputs, varies)

    gradients: dict[int, list[Any]] = {i: [None] * len(outputs) for i, outputs in values.items()}
    if steps[output[0]].op != "constant":
        gradients[output[0]][output[1]] = jnp.ones_like(values[output[0]][output[1]])
    flows, local = {}, {}
    for i in reversed(list(pull_backs)):
        reached = any(g is not None for g in gradients[i])
        gradients[i] = _filled(gradients[i], values[i])
        back = pull_backs[i](gradients[i])
        passes = [reached and depends for depends in _depend(pull_backs[i], gradients[i])]
        # What is 0 by structure is 0, and goes no further: beyond may be an infinite slope, and 0·∞ is NaN.
        flows[i] = [v if v is None or ok else jnp.zeros_like(v) for v, ok in zip(back, passes, strict=True)]
        local[i] = _jacobians(values[i], pull_backs[i], [values[j][k] for j, k in steps[i].inputs])
        for (j, k), flow, ok in zip(steps[i].inputs, flows[i], passes, strict=True):
            if ok:
                gradients[j][k] = flow if gradients[j][k] is None else gradients[j][k] + flow
    for i, step in steps.items():
        if step.op == "input":
            gradients[i] = _filled(gradients[i], values[i])
    return Derivatives(values, gradients, local, flows)


def _filled(gradients: list[Any], values: list[Any]) -> list[Any]:
    """Zeros where nothing came back, and None for integers and the like."""
    return [jnp.zeros_like(x) if g is None and _is_inexact(x) else g for g, x in zip(gradients, values, strict=True)]


def _linearise(step: Step, inputs: list[Any], varies: list[bool]) -> tuple[list[Any], Callable[..., list[Any]]]:
    """The outputs, and the map from their gradients to those of the inputs; None for an input that does not vary."""
    moving = [x for x, moves in zip(inputs, varies, strict=True) if moves]

    def of_moving(*xs: Any) -> list[Any]:
        rest = iter(xs)
        return step.function(*(next(rest) if moves else x for x, moves in zip(inputs, varies, strict=True)))  # pyright: ignore[reportOptionalCall]

    if step.forward_only and moving:
        outputs, transposed = of_moving(*moving), _by_columns(of_moving, moving)
    else:
        outputs, transposed = jax.vjp(of_moving, *moving)

    def pull_back(gradients: list[Any]) -> list[Any]:
        cotangents = [
            np.zeros(np.shape(x), jax.dtypes.float0) if g is None else g
            for g, x in zip(gradients, outputs, strict=True)
        ]
        back = iter(transposed(cotangents))
        return [next(back) if moves else None for moves in varies]

    return outputs, pull_back


def _by_columns(f: Callable[..., list[Any]], xs: list[Any]) -> Callable[..., list[Any]]:
    """The transposed derivative of what can be differentiated forward only: its Jacobians, column by column."""
    inexact = lambda *xs: [y if _is_inexact(y) else jnp.zeros(()) for y in f(*xs)]  # noqa: E731
    jacobians = jax.jacfwd(inexact, argnums=tuple(range(len(xs))))(*xs)  # for each output, of each input

    def transposed(cotangents: list[Any]) -> list[Any]:
        rows = [(g, row) for g, row in zip(cotangents, jacobians, strict=True) if _is_inexact(g)]
        return [
            sum((jnp.tensordot(g, row[i], np.ndim(g)) for g, row in rows), start=jnp.zeros_like(x))
            for i, x in enumerate(xs)
        ]

    return transposed


def _depend(pull_back: Callable[..., list[Any]], gradients: list[Any]) -> list[bool]:
    """Whether what goes back to each input depends on the gradients: not for stop_gradient, floor and the like."""
    closed, back = jax.make_jaxpr(pull_back, return_shape=True)(gradients)
    depending = set(closed.jaxpr.invars)
    for eqn in closed.jaxpr.eqns:
        if any(not isinstance(atom, Literal) and atom in depending for atom in eqn.invars):
            depending.update(eqn.outvars)
    depends = iter([not isinstance(atom, Literal) and atom in depending for atom in closed.jaxpr.outvars])
    return [v is not None and next(depends) for v in back]


def _jacobians(outputs: list[Any], pull_back: Callable[..., list[Any]], inputs: list[Any]) -> list[Any]:
    """∂output/∂input, of shape output.shape + input.shape, for each input; None where there is none to show.

    There is none for inputs that do not vary, several outputs, complex numbers, and where one is too large.
    """
    y = outputs[0]
    if len(outputs) > 1 or not _is_real(y):
        return [None] * len(inputs)
    shown = [_is_real(x) and y.size * x.size <= LARGEST for x in inputs]
    if not any(shown):
        return [None] * len(inputs)

    def rows(g: Any) -> list[Any]:
        return [v if show else None for v, show in zip(pull_back([g]), shown, strict=True)]

    if y.shape == ():
        return rows(jnp.ones_like(y))
    basis = jnp.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    return jax.tree.map(lambda v: v.reshape(*y.shape, *v.shape[1:]), jax.vmap(rows)(basis))


def _is_inexact(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)


def _is_real(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)
