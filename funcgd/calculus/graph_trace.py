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
    constant: Any = None  # [its value]
    forward_only: bool = False  # whether there is a while loop inside, which has no reverse mode


def trace(closed: ClosedJaxpr) -> tuple[dict[int, Step], Ref]:
    """The steps by number, in an order in which they can be computed, and where the first output is.

    Compiled functions and checkpoints are taken apart. One step each are control flow (cond, scan, while, with all that
    is inside) and functions with a derivative rule of their own, whose inside has another derivative. What depends on
    no input is a constant; what the output does not depend on is left out, except inputs.
    """
    steps, output = _flat(closed)
    steps = _folded(steps)
    used = {output[0]}
    for i in reversed(range(len(steps))):
        if i in used:
            used |= {j for j, _ in steps[i].inputs}
    kept = [i for i, step in enumerate(steps) if i in used or step.op == "input"]
    return {i: steps[i] for i in sorted(kept, key=lambda i: (steps[i].function is not None, i))}, output


def _flat(closed: ClosedJaxpr) -> tuple[list[Step], Ref]:
    steps = [Step("input") for _ in closed.jaxpr.invars]
    scalars: dict[Any, Ref] = {}

    def constant(x: Any) -> Ref:
        steps.append(Step("constant", constant=[x]))
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
            elif eqn.primitive.name == "convert_element_type" and eqn.invars[0].aval.dtype == eqn.outvars[0].aval.dtype:
                outputs = refs  # JAX marks so that a Python number has become an array; nothing is computed
            else:
                steps.append(Step(_name(eqn), tuple(refs), _function(jaxpr, eqn), None, "while" in _inside(eqn)))
                outputs = [(len(steps) - 1, i) for i in range(len(eqn.outvars))]
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [read(env, atom) for atom in jaxpr.outvars]

    output = walk(closed.jaxpr, closed.consts, [(i, 0) for i in range(len(steps))])[0]
    return steps, output


def _folded(steps: list[Step]) -> list[Step]:
    """Constants in place of the operations on constants alone."""
    fixed: set[int] = set()
    for i, step in enumerate(steps):
        if step.op != "input" and all(j in fixed for j, _ in step.inputs):
            fixed.add(i)
    operations = [i for i in sorted(fixed) if steps[i].function is not None]
    if not operations:
        return steps

    def compute(values: dict[int, list[Any]]) -> dict[int, list[Any]]:
        values = dict(values)
        for i in operations:
            values[i] = steps[i].function(*(values[j][k] for j, k in steps[i].inputs))  # pyright: ignore[reportOptionalCall]
        return {i: values[i] for i in operations}

    values = jax.jit(compute)({i: steps[i].constant for i in fixed if steps[i].function is None})
    return [Step("constant", constant=values[i]) if i in values else step for i, step in enumerate(steps)]


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
