"""Places in a function that `jax.ad_checkpoint.checkpoint_name` has tagged: their values, and gradients there."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from funcgd.diagnostics.activations import STEEPEST

# Calls whose inside is computed once, with the same derivative. Names of primitives differ between versions of JAX.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")
_PRIMITIVES = {"tanh": "tanh", "logistic": "sigmoid"}


class Tag(NamedTuple):
    """A tagged place."""

    name: str  # with [1], [2], … behind it where it comes again
    activation: str | None  # the function whose result was tagged, if it is known
    sources: frozenset[int]  # which arguments got here since the tags before
    again: bool  # whether it is the place of the tag before under another name


class _Known(NamedTuple):
    value: Any
    sources: frozenset[int] = frozenset()
    activation: str | None = None
    tagged: bool = False


class TaggedFunction:
    """A function of arrays, taken apart at its tags.

    Args:
        who: the function that asks, for errors.
        fun: *arrays → an array.
        args: arrays, or their shapes and dtypes.
        wanted: which tags inside of loops are missed, by name.
    """

    def __init__(self, who: str, fun: Callable, args: list[Any], wanted: Callable[[str], bool]):
        self.who, self.wanted = who, wanted
        self.closed = jax.make_jaxpr(fun)(*args)
        self.tags: list[Tag] = []
        self.shapes = jax.eval_shape(lambda *args: self(args, None)[1], *args)

    def __call__(self, args: Any, probes: list[jax.Array] | None) -> tuple[jax.Array, list[jax.Array]]:
        """The value of the function, and those of the tagged places, where `probes` are added.

        A derivative with respect to a probe, at zeros, is that with respect to the place.
        """
        self.tags, self.values, self.probes = [], [], probes
        inputs = [_Known(x, frozenset([i])) for i, x in enumerate(args)]
        (output,) = self._walk(self.closed.jaxpr, self.closed.consts, inputs)
        return output.value, self.values

    def _walk(self, jaxpr: Any, consts: Any, inputs: list[_Known]) -> list[_Known]:
        env: dict[Any, _Known] = dict(zip(jaxpr.constvars, map(_Known, consts), strict=True))
        env.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> _Known:
            if not isinstance(atom, Literal):
                return env[atom]
            return _Known(jnp.asarray(atom.val, atom.aval.dtype))  # pyright: ignore[reportAttributeAccessIssue]

        for eqn in jaxpr.eqns:
            known = [read(atom) for atom in eqn.invars]
            inside = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
            if eqn.primitive.name == "name" and jnp.issubdtype(known[0].value.dtype, jnp.inexact):
                outputs = [self._tagged(eqn.params["name"], known[0])]
            elif eqn.primitive.name in _CALLS and any(_names(eqn)):
                outputs = self._walk(getattr(inside, "jaxpr", inside), getattr(inside, "consts", ()), known)
            else:
                self._refuse_inside(eqn)
                sources = frozenset().union(*(k.sources for k in known))
                values = _compute(jaxpr, eqn, lambda v: read(v).value)
                outputs = [_Known(x, sources, _activation(eqn, i)) for i, x in enumerate(values)]
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _tagged(self, name: str, known: _Known) -> _Known:
        again = sum(tag.name.rsplit("[", 1)[0] == name for tag in self.tags)
        value = known.value
        if self.probes is not None:
            value = value + self.probes[len(self.tags)]
        self.tags.append(Tag(f"{name}[{again}]" if again else name, known.activation, known.sources, known.tagged))
        self.values.append(value)
        return _Known(value, frozenset(), known.activation, True)

    def _refuse_inside(self, eqn: Any) -> None:
        if eqn.primitive.name == "name":
            return
        for name in _names(eqn):
            if self.wanted(name):
                raise ValueError(
                    f"{self.who}: the tag {name!r} stands inside a `{eqn.primitive.name}`, where it may have many "
                    f"values or none; tag what comes out of it, or choose others by `layers`."
                )


def _compute(jaxpr: Any, eqn: Any, read: Callable[[Any], Any]) -> list[Any]:
    variables = list(dict.fromkeys(atom for atom in eqn.invars if not isinstance(atom, Literal)))
    single = jaxpr.replace(constvars=[], invars=variables, outvars=list(eqn.outvars), eqns=[eqn])
    return jaxpr_as_fun(ClosedJaxpr(single, []))(*map(read, variables))


def _names(eqn: Any) -> Iterator[str]:
    """The tags in an operation."""
    if eqn.primitive.name == "name":
        yield eqn.params["name"]
    for param in jax.tree.leaves(eqn.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")):
        for inner in getattr(getattr(param, "jaxpr", param), "eqns", ()):
            yield from _names(inner)


def _activation(eqn: Any, i: int) -> str | None:
    """The name of the activation that an operation is, or that computes output i inside it."""
    name = eqn.primitive.name
    if name == "max" and any(isinstance(atom, Literal) and atom.val == 0 for atom in eqn.invars):
        return "relu"
    inside = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
    if inside is None or name in ("scan", "while", "cond"):
        return _PRIMITIVES.get(name)
    if eqn.params.get("name") in STEEPEST:
        return eqn.params["name"]
    jaxpr = getattr(inside, "jaxpr", inside)
    made = {v: (inner, j) for inner in jaxpr.eqns for j, v in enumerate(inner.outvars)}
    output = jaxpr.outvars[i]
    return None if isinstance(output, Literal) or output not in made else _activation(*made[output])
