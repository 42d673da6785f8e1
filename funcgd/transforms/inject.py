"""Hyperparameters in the state, to be read and set there, for scripts that know them so."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import KEY, as_optional_dtype, is_number, static
from funcgd.core.numerics import increment
from funcgd.core.schedule import resolve
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.types import Schedule
from funcgd.core.values import Held, code, value


@runtime_checkable
class StatefulSchedule(Protocol):
    """What gives a number that depends on more than the step, for `inject_hyperparams`.

    >>> import funcgd as fg
    >>> isinstance(fg.WrappedSchedule(fg.constant_schedule(0.1)), fg.StatefulSchedule)
    True
    """

    def init(self) -> Any:
        """The state before the first update."""

    def update(self, state: Any, **extra: Any) -> Any:
        """The state after an update, which was given these extras."""

    def __call__(self, state: Any, **extra: Any) -> Any:
        """The number, at this state and with these extras."""


class WrappedScheduleState(NamedTuple):
    """The state of a `WrappedSchedule`.

    >>> import funcgd as fg
    >>> int(fg.WrappedSchedule(fg.constant_schedule(0.1)).init().count)
    0
    """

    count: jax.Array  # (), int32: finished updates


@value
class WrappedSchedule:
    """A schedule as a `StatefulSchedule`, whose state is the step.

    Args:
        schedule_fn: step → number.

    >>> import funcgd as fg
    >>> rate = fg.WrappedSchedule(fg.linear_schedule(1.0, 0.0, 10))
    >>> float(rate(rate.update(rate.init())))  # doctest: +NUMBER
    0.9
    """

    schedule_fn: Schedule

    def init(self) -> WrappedScheduleState:
        """Step 0."""
        return WrappedScheduleState(jnp.zeros((), jnp.int32))

    def update(self, state: WrappedScheduleState, **extra: Any) -> WrappedScheduleState:
        """The next step."""
        del extra
        return WrappedScheduleState(increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra: Any) -> Any:
        del extra
        return resolve(self.schedule_fn, state.count)


class InjectStatefulHyperparamsState(NamedTuple):
    """The state of what `inject_hyperparams` makes.

    >>> import funcgd as fg
    >>> state = fg.inject_hyperparams(fg.sgd)(0.5).init({"w": 1.0})
    >>> {name: float(x) for name, x in state.hyperparams.items()}
    {'learning_rate': 0.5}
    """

    count: jax.Array  # (), int32: finished updates
    hyperparams: dict[str, Any]  # (), float32 (float64 under float64 parameters): those of the last update
    hyperparams_states: dict[str, Any]  # of those that are a `StatefulSchedule`
    inner_state: OptState  # that of the transform inside


InjectHyperparamsState = InjectStatefulHyperparamsState  # by its older name


@value
class InjectHyperparams(Transform):
    """The transform that `factory` makes of the hyperparameters in the state. Made by `fg.inject_hyperparams`.

    >>> import funcgd as fg
    >>> fg.inject_hyperparams(fg.sgd)(0.1).hyperparams
    (0.1,)
    """

    factory: Callable = static()
    names: tuple[str, ...] = static()
    hyperparams: tuple[Any, ...]
    others: tuple[tuple[str, Any], ...] = static(default=())  # arguments that are no hyperparameters
    dtype: str | None = static(default=None, convert=as_optional_dtype)

    title = "inject_hyperparams"

    def __post_init__(self) -> None:
        self._inner({name: _first(x) for name, x in self._items()})  # so that what is out of range is said now

    def init(self, params: Params) -> InjectStatefulHyperparamsState:
        dtype = self._dtype(params)
        numbers = {name: jnp.array(_first(x), dtype) for name, x in self._items()}
        states = {name: x.init() for name, x in self._items() if _is_stateful(x)}
        inner_state = self._inner(numbers).init(params)
        return InjectStatefulHyperparamsState(jnp.zeros((), jnp.int32), numbers, states, inner_state)

    def update(
        self, grads: Updates, state: InjectStatefulHyperparamsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, InjectStatefulHyperparamsState]:
        dtype, numbers, states = self._dtype((grads, params)), {}, {}
        for name, x in self._items():
            now = state.hyperparams[name]
            if _is_stateful(x):
                own = state.hyperparams_states[name]
                now, states[name] = x(own, **extra), x.update(own, **extra)
            elif callable(x):
                now = resolve(x, state.count)
            numbers[name] = jnp.asarray(now, dtype)
        updates, inner_state = self._inner(numbers).update(grads, state.inner_state, params, **extra)
        return updates, InjectStatefulHyperparamsState(increment(state.count), numbers, states, inner_state)

    @property
    def needs(self) -> frozenset[str]:
        return self._sample().needs

    @property
    def guards(self) -> bool:
        return self._sample().guards

    @property
    def watches(self) -> frozenset[str]:
        return self._sample().watches

    def observe(self, state: InjectStatefulHyperparamsState, metrics: dict[str, Any]) -> OptState:
        return state._replace(inner_state=self._inner(state.hyperparams).observe(state.inner_state, metrics))

    def eval_params(self, state: InjectStatefulHyperparamsState, params: Params) -> Params:
        return self._inner(state.hyperparams).eval_params(state.inner_state, params)

    def in_use(self, state: InjectStatefulHyperparamsState) -> dict[str, Any]:
        """The hyperparameters of the last update, for `fg.hyperparameters`."""
        return dict(state.hyperparams)

    def _items(self) -> list[tuple[str, Any]]:
        return list(zip(self.names, self.hyperparams, strict=True))

    def _sample(self) -> Transform:
        return self._inner({name: _first(x) for name, x in self._items()})

    def _inner(self, numbers: dict[str, Any]) -> Transform:
        others = {name: x.item for name, x in self.others}
        return as_transform("inject_hyperparams", self.factory(**others, **numbers))

    def _dtype(self, tree: Any) -> Any:
        return self.dtype or numerics.wide_dtype(*(jnp.result_type(x) for x in jax.tree.leaves(tree)))

    def __repr__(self) -> str:
        pairs = [*self._items(), *((name, x.item) for name, x in self.others)]
        named = tuple(name for name, x in self.others if _is_hyperparameter(self.factory, name, x.item))
        options = [f"static_args={named!r}"] if named else []
        options += [f"hyperparam_dtype={self.dtype!r}"] if self.dtype else []
        factory = ", ".join([code(self.factory), *options])
        return f"inject_hyperparams({factory})({', '.join(f'{name}={code(x)}' for name, x in pairs)})"


def inject_hyperparams(
    inner_factory: Callable[..., Any], static_args: str | Iterable[str] = (), hyperparam_dtype: Any = None
) -> Callable[..., InjectHyperparams]:
    """Transforms whose hyperparameters stand in their state: `state.hyperparams["learning_rate"]`, to be read and set.

    Optimizers of funcgd do not need it: their numbers are leaves, any of them may be a schedule, and
    `fg.hyperparameters(tx, state)` reads them. It is for scripts that set numbers in the state, and for functions that
    make optimizers of numbers. Numbers in the state count, not those in the transform; schedules overwrite theirs.

    Args:
        inner_factory: a function that makes a transform, of funcgd or any library with `init` and `update`. Numbers
            among its arguments, and functions as schedules of them, become hyperparameters; all else is static.
        static_args: names of arguments that are static though they look like hyperparameters. Those that are static
            fields of an optimizer of funcgd are by themselves.
        hyperparam_dtype: dtype of the numbers; None is float32, and float64 under float64 parameters.

    Returns:
        A function of the same arguments; each number may be a schedule there, or a `StatefulSchedule`, which is called
        with the extras of `update`.

    Raises:
        TypeError, ValueError: when called, as `inner_factory` does.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.inject_hyperparams(fg.adam)(learning_rate=fg.linear_schedule(0.1, 0.0, 10), b1=0.8)
    >>> state = tx.init({"w": jnp.ones(2, jnp.bfloat16)})
    >>> state.hyperparams["b1"] = jnp.float32(0.9)
    >>> _, state = tx.update({"w": jnp.ones(2, jnp.bfloat16)}, state)
    >>> {name: round(float(state.hyperparams[name]), 6) for name in ("learning_rate", "b1", "b2")}
    {'learning_rate': 0.1, 'b1': 0.9, 'b2': 0.999}
    """
    named = {static_args} if isinstance(static_args, str) else set(static_args)
    signature = inspect.signature(inner_factory)
    unknown = sorted(named - set(signature.parameters))
    if unknown:
        raise ValueError(
            f"inject_hyperparams: `static_args` must be arguments of {code(inner_factory)}, got {unknown[0]!r}."
        )

    def make(*args: Any, **kwargs: Any) -> InjectHyperparams:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, x in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                if x:
                    raise TypeError(f"inject_hyperparams: give the arguments of {code(inner_factory)} by name.")
            elif kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(x)
            else:
                arguments[name] = x
        names = tuple(n for n, x in arguments.items() if n not in named and _is_hyperparameter(inner_factory, n, x))
        others = tuple((n, Held(x)) for n, x in arguments.items() if n not in names)
        return InjectHyperparams(inner_factory, names, tuple(arguments[n] for n in names), others, hyperparam_dtype)

    return make


inject_stateful_hyperparams = inject_hyperparams  # by its older name


def _is_hyperparameter(factory: Callable, name: str, x: Any) -> bool:
    """Whether an argument of the factory is a number, or a schedule of one."""
    if isinstance(x, (bool, type)):
        return False
    if isinstance(factory, type) and dataclasses.is_dataclass(factory):
        kinds = {field.name: field.metadata.get(KEY, ("plain",))[0] for field in dataclasses.fields(factory)}
        return kinds[name] == "number" and x is not None
    return is_number(x) or callable(x)


def _is_stateful(x: Any) -> bool:
    return callable(x) and isinstance(x, StatefulSchedule)


def _first(x: Any) -> Any:
    """The number that a hyperparameter begins with."""
    return x(x.init()) if _is_stateful(x) else resolve(x, 0)
