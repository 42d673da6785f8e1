"""The computational graph of a function: its operations, with values, local gradients and backward gradients."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.calculus.graph_derivatives import Derivatives, differentiate
from funcgd.calculus.graph_layout import layered
from funcgd.calculus.graph_table import short, table
from funcgd.calculus.graph_trace import Ref, Step, trace
from funcgd.core.fields import describe, is_traced
from funcgd.core.validate import is_inexact


class GraphNode(NamedTuple):
    """An input, a constant or an operation of a `ComputationalGraph`.

    A node with several outputs, such as a scan, has tuples of values and gradients; the nodes that use one call it
    "v1[0]".

    >>> import funcgd as fg
    >>> fg.computational_graph(lambda x, y: x * y, 2.0, 3.0)["v1"].local_gradients
    [Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True)]
    """

    name: str  # of an input that of the argument, of a number that number, else c1, c2, … and v1, v2, …
    op: str  # "input", "constant", or the operation as JAX calls it
    inputs: list[str]  # the names of what it takes
    value: Any  # an array
    local_gradients: list[Any]  # for each input ∂value/∂input, shape value.shape + input.shape; None if not formed
    gradient: Any  # ∂f/∂value, an array like it; None for constants, integers and the like
    layer: int  # for drawing: 0 for inputs, else one more than the last of its inputs
    position: float  # for drawing: the place in the layer, centred at 0


class GraphEdge(NamedTuple):
    """A use of one node's value by another, in a `ComputationalGraph`.

    >>> import funcgd as fg
    >>> graph = fg.computational_graph(lambda x: x * x, 3.0)
    >>> [(edge.source, edge.target, float(edge.gradient)) for edge in graph.edges]
    [('x', 'v1', 3.0), ('x', 'v1', 3.0)]
    """

    source: str
    target: str
    local_gradient: Any  # ∂target/∂source by this use; None if not formed
    gradient: Any  # what flows back: ∂f/∂target · ∂target/∂source; the source's gradient is the sum over its uses


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ComputationalGraph:
    """What `computational_graph` returns: it prints as a table, and `graph["v1"]` is a node.

    >>> import funcgd as fg
    >>> graph = fg.computational_graph(lambda x: 2.0 * x, 3.0)
    >>> graph.output, float(graph.value), [float(g) for g in graph.gradient]
    ('v1', 6.0, [2.0])
    """

    nodes: list[GraphNode]  # in the order in which they are computed, inputs and constants first
    edges: list[GraphEdge]
    output: str  # the name of the node that is f
    value: jax.Array  # of f
    gradient: tuple[Any, ...]  # for each argument, a tree like it

    def __getitem__(self, name: str) -> GraphNode:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(
            f"ComputationalGraph: there is no node {name!r}; there are {', '.join(n.name for n in self.nodes)}."
        )

    def __repr__(self) -> str:
        rows = [("node", "operation", "inputs", "value", "local gradients", "gradient")]
        for n in self.nodes:
            rows.append(
                (n.name, n.op, ", ".join(n.inputs), short(n.value), short(n.local_gradients), short(n.gradient))
            )
        return table(rows)


def computational_graph(fun: Callable[..., Any], *args: Any) -> ComputationalGraph:
    """The operations that f = fun(*args) is made of, differentiated one by one from the last to the first.

        ∂f/∂u = Σ ∂f/∂v · ∂v/∂u     over the operations v that use u; the factors ∂v/∂u are the local gradients

    The operations are those of the jaxpr that JAX makes of fun. What is inside `jax.jit` and `jax.checkpoint` is shown.
    Control flow (cond, scan, while) is one node, and so is a function with a derivative rule of its own, such as ReLU,
    since the rule is the point. What f does not depend on is left out; what depends on no argument is a constant. The
    gradient is that of `jax.grad`; while loops, which it refuses, have one here: it is taken forward, column by column.

    Local gradients of arrays are Jacobians; they are None above 4096 entries, and for nodes with several outputs.

    Args:
        fun: a function that returns one real number.
        args: its arguments: real floating numbers, arrays, or pytrees of them. What is no variable is brought along,
            `lambda x: fun(x, labels)`, and is a constant.

    Raises:
        TypeError: if an argument is not real and floating, or traced, or fun returns something else.

    Reference: Bauer, Computational graphs and rounding error, SIAM Journal on Numerical Analysis 11, 1974.

    >>> import funcgd as fg
    >>> fg.computational_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    node  operation  inputs  value  local gradients  gradient
    x     input              -2                      -4
    y     input              5                       -4
    z     input              -4                      3
    v1    add        x, y    3      1; 1             -4
    v2    mul        v1, z   -12    -4; 3            1
    """
    names = _check(fun, args)
    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, args))
    closed, result = jax.make_jaxpr(fun, return_shape=True)(*jax.tree.unflatten(structure, leaves))
    _check_result(result)
    steps, output = trace(closed)
    given = {i: step.constant or [leaves[i]] for i, step in steps.items() if step.function is None}
    d = jax.jit(lambda given: differentiate(steps, output, given))(given)
    names = _names(names, steps)
    nodes = _nodes(steps, names, d)
    edges = [
        GraphEdge(names[j], names[i], local, flow)
        for i, step in steps.items()
        if step.function
        for (j, _), local, flow in zip(step.inputs, d.local[i], d.flows[i], strict=True)
    ]
    gradient = jax.tree.unflatten(structure, [d.gradients[i][0] for i in range(len(leaves))])
    return ComputationalGraph(nodes, edges, names[output[0]], d.values[output[0]][output[1]], gradient)


def _names(arguments: list[str], steps: dict[int, Step]) -> dict[int, str]:
    names: dict[int, str] = {}
    counts = {"c": 0, "v": 0}
    for i, step in steps.items():
        number = short(step.constant) if step.constant and [x.shape for x in step.constant] == [()] else None
        name = arguments[i] if step.op == "input" else number
        letter = "c" if step.op == "constant" else "v"
        while name is None or name in names.values() or (step.op != "input" and name in arguments):
            counts[letter] += 1
            name = f"{letter}{counts[letter]}"
        names[i] = name
    return names


def _nodes(steps: dict[int, Step], names: dict[int, str], d: Derivatives) -> list[GraphNode]:
    inputs = {names[i]: [names[j] for j, _ in step.inputs] for i, step in steps.items()}
    places = layered(inputs, [names[i] for i, step in steps.items() if step.op == "constant"])

    def called(ref: Ref) -> str:
        return names[ref[0]] + (f"[{ref[1]}]" if len(d.values[ref[0]]) > 1 else "")

    def whole(parts: list[Any]) -> Any:
        return tuple(parts) if len(parts) > 1 else parts[0]

    return [
        GraphNode(
            names[i],
            step.op,
            [called(ref) for ref in step.inputs],
            whole(d.values[i]),
            d.local.get(i, []),
            whole(d.gradients[i]),
            *places[names[i]],
        )
        for i, step in steps.items()
    ]


def _check(fun: Any, args: tuple[Any, ...]) -> list[str]:
    """The names of the leaves of args, all of which must be real floating numbers that are known."""
    if not callable(fun):
        raise TypeError(f"computational_graph: `fun` must be a function, got {describe(fun)}.")
    names = []
    for argument, x in zip(_argument_names(fun, args), args, strict=True):
        for path, leaf in jax.tree_util.tree_leaves_with_path(x):
            names.append(argument + jax.tree_util.keystr(path))
            where = f"computational_graph: `{names[-1]}`"
            if is_traced(leaf):
                raise TypeError(f"{where} is traced; a graph of known values is made outside of jit, grad and vmap.")
            if not is_inexact(leaf) or jnp.iscomplexobj(leaf):
                raise TypeError(
                    f"{where} must be a real floating number or array, got {describe(leaf)}. Numbers are written as "
                    f"2.0; what is no variable is brought along: lambda x: fun(x, n)."
                )
    return names


def _argument_names(fun: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """The parameters of `fun` that the positional arguments go to; args[0], args[1], … where that is unknown."""
    try:
        bound = inspect.signature(fun).bind(*args)
    except (TypeError, ValueError):
        return [f"args[{i}]" for i in range(len(args))]
    names = []
    for name, x in bound.arguments.items():
        several = bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}[{i}]" for i in range(len(x))] if several else [name]
    return names


def _check_result(result: Any) -> None:
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        got = f"a {type(result).__name__}" if shape is None else f"shape {shape} and dtype {dtype}"
        raise TypeError(f"computational_graph: `fun` must return one real floating number, got {got}.")
