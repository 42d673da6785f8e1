"""A function taken apart into its operations, from its jaxpr."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

Ref: TypeAlias = tuple[int, int]
"""Which step, and which of its outputs."""

# Calls whose inside counts. The primitives have had other names in other versions of JAX.
_INLINED = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One input, constant or operation."""

    op: str  # "input", "constant", or the name of the operation
    inputs: tuple[Ref, ...] = ()
    function: Callable[..., Any] | None = None  # inputs → list of outputs; None for inputs and constants
    constant: Any = None  # its value
    forward_only: bool = False  # whether there is a while loop inside, which has no reverse mode


def trace(closed: ClosedJaxpr) -> tuple[list[Step], Ref]:
    """The steps in an order in which they can be computed, the inputs first, and where the first output is.

    Compiled functions and checkpoints are taken apart. One step each are control flow (cond, scan, while, with all that
    is inside) and functions with a derivative rule of their own, whose inside has another derivative.
    """
    steps = [Step("input") for _ in closed.jaxpr.invars]
    scalars: dict[Any, Ref] = {}

    def constant(x: Any) -> Ref:
        steps.append(Step("constant", constant=x))
        return len(steps) - 1, 0

    def read(env: dict[Any, Ref], atom: Any) -> Ref:
        if not isinstance(atom, Literal):
            return env[atom]
        x = jnp.asarray(atom.val, atom.aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]
        key = (x.dtype, x.tobytes())
        if key not in scalars:
            scalars[key] = constant(x)
        return scalars[key]

    def walk(jaxpr: Any, consts: Any, inputs: list[Ref]) -> list[Ref]:
        env = dict(zip(jaxpr.constvars, map(constant, consts), strict=True))
        env.update(zip(jaxpr.invars, inputs, strict=True))
        for eqn in jaxpr.eqns:
            refs = [read(env, atom) for atom in eqn.invars]
            inside = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
            if eqn.primitive.name in _INLINED:
                outputs = walk(getattr(inside, "jaxpr", inside), getattr(inside, "consts", ()), refs)
            else:
                steps.append(Step(_name(eqn), tuple(refs), _function(jaxpr, eqn), None, "while" in _inside(eqn)))
                outputs = [(len(steps) - 1, i) for i in range(len(eqn.outvars))]
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [read(env, atom) for atom in jaxpr.outvars]

    output = walk(closed.jaxpr, closed.consts, [(i, 0) for i in range(len(steps))])[0]
    return steps, output


def _function(jaxpr: Any, eqn: Any) -> Callable[..., Any]:
    """The operation as a function of all its inputs.

    They become variables of their own: of x·x each factor then has its derivative.
    """
    variables = jax.make_jaxpr(lambda *xs: xs)(*(atom.aval for atom in eqn.invars)).jaxpr.invars
    single = jaxpr.replace(
        constvars=[], invars=variables, outvars=list(eqn.outvars), eqns=[eqn.replace(invars=variables)]
    )
    return jaxpr_as_fun(ClosedJaxpr(single, []))


def _name(eqn: Any) -> str:
    """What the operation is called: for a function with a rule of its own that function, for a power its exponent."""
    name = eqn.primitive.name
    if name == "integer_pow":
        return f"integer_pow({eqn.params['y']})"
    if name == "name":  # of jax.ad_checkpoint.checkpoint_name
        return eqn.params["name"]
    if name.startswith("custom_"):
        inside = eqn.params.get("call_jaxpr")
        info = getattr(getattr(inside, "jaxpr", inside), "debug_info", None)
        return getattr(info, "func_name", name).split(" ")[0]
    return name


def _inside(eqn: Any) -> Iterator[str]:
    """The names of the operation and of all those inside it, except where a rule stands for their derivative."""
    yield eqn.primitive.name
    if eqn.primitive.name.startswith("custom_"):
        return
    for param in jax.tree.leaves(eqn.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")):
        for inner in getattr(getattr(param, "jaxpr", param), "eqns", ()):
            yield from _inside(inner)
