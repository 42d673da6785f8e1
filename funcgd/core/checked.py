"""The checks around every `init` and `update`: what a user gets wrong is said before anything is computed."""

import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import validate
from funcgd.core.schedule import check_single

_local = threading.local()  # .outermost: the value whose call is running; it is checked, so its parts need no check


def _checked(check: Callable, method: Callable, self: Any, /, *args: Any, **extra: Any) -> Any:
    if outermost() is not None:
        return method(self, *args, **extra)
    if dataclasses.is_dataclass(self):
        check_single(self)
    check(self, *args, **extra)
    _local.outermost = self
    try:
        return method(self, *args, **extra)
    finally:
        _local.outermost = None


def outermost() -> Any:
    """The value whose `init` or `update` was called, and which now calls those of its parts; None outside of a call."""
    return getattr(_local, "outermost", None)


def checked_init(method: Callable) -> Callable:
    """`init` behind a check that all leaves of the parameters are floating or complex."""

    def check(self: Any, params: Any) -> None:
        validate.check_leaves(f"{_title(self)}.init", "params", params)

    @functools.wraps(method)
    def init(self: Any, params: Any) -> Any:
        return _checked(check, method, self, params)

    return init


def checked_update(method: Callable) -> Callable:
    """`update` behind checks of what it needs, of the gradients against the parameters, and of the state."""

    def check(self: Any, grads: Any, state: Any, params: Any, /, **extra: Any) -> None:
        who = f"{_title(self)}.update"
        for need in sorted(self.needs):
            names = need.split(" or ")
            if all((params if name == "params" else extra.get(name)) is None for name in names):
                more = "" if need == "params" else f", {names[0]}=…"
                raise ValueError(
                    f"{who}: needs `{'` or `'.join(names)}`; call update(grads, state, params{more}). "
                    f"Chains of other libraries may drop extras: use fg.chain."
                )
        validate.check_leaves(who, "grads", grads)
        source = "as in params"
        if self.per_example:
            source = "as in params, behind an axis over the examples"
            grads = validate.one_of_each(who, "grads", grads)
        trained = getattr(params, "__trained__", params)  # where parameters are pairs, such as `LookaheadParams`
        if params is not None:
            validate.check_like(who, "grads", grads, source, trained)
        like = grads if trained is params else params
        validate.check_like(who, "state", state, "as init makes it for these gradients", _expected_state(self, like))

    @functools.wraps(method)
    def update(self: Any, grads: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        return _checked(check, method, self, grads, state, params, **extra)

    return update


def _title(self: Any) -> str:
    return getattr(self, "title", type(self).__name__)


_states: dict[Any, Any] = {}  # abstract states by structure and shapes, so that eager updates pay for the check once


def _expected_state(self: Any, grads: Any) -> Any:
    leaves, structure = jax.tree.flatten(grads)
    avals = tuple((np.shape(g), jnp.result_type(g)) for g in leaves)
    key = (jax.tree.structure(self), structure, avals, jnp.result_type(float))  # the last one says whether x64 is on
    state = _states.get(key, _states)
    if state is _states:  # nothing there; None may be a state
        state = jax.eval_shape(self.init, structure.unflatten([jax.ShapeDtypeStruct(*aval) for aval in avals]))
        if len(_states) >= 256:
            _states.clear()
        _states[key] = state
    return state
