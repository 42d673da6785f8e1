"""The transform protocol: init(params) → state, update(grads, state, params, **extra) → (updates, state)."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax

from funcgd.core.checked import checked_init, checked_update
from funcgd.core.fields import static
from funcgd.core.signature import accepts
from funcgd.core.types import OptState, Params, Updates
from funcgd.core.values import value


class EmptyState(NamedTuple):
    """The state of a transform that remembers nothing.

    >>> import funcgd as fg
    >>> fg.EmptyState()
    EmptyState()
    """


# What Optax calls the states of these transforms. Where a number is a schedule, the state is a `ScaleByScheduleState`.
AdaptiveGradClipState = AddDecayedWeightsState = ClipByGlobalNormState = ClipState = EmptyState
NormalizeState = ScaleByTrustRatioState = ScaleState = EmptyState


def init_empty_state(params: Params) -> EmptyState:
    """The `init` of a transform that remembers nothing.

    >>> import funcgd as fg
    >>> fg.init_empty_state({"w": 1.0})
    EmptyState()
    """
    del params
    return EmptyState()


class ScaleByScheduleState(NamedTuple):
    """The state of a transform that only counts, because one of its numbers is a schedule.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.clip(fg.linear_schedule(1.0, 0.1, 10)).init({"w": jnp.ones(2)}).count.dtype
    dtype('int32')
    """

    count: jax.Array  # (), int32: finished updates


class Transform:
    """The base of all gradient transforms; subclass it with `@fg.value` and write `init` and `update`.

    Both methods are pure. The arguments are checked before your code runs: leaves are floating or complex, gradients
    match the parameters, the state is what `init` makes, and what `needs` names was passed. `update` must accept and
    ignore extra keyword arguments; the training step passes `value`, `grad`, `value_fn` and `key`.

    `init, update = tx` unpacks.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> @fg.value
    ... class halve(fg.Transform):
    ...     factor: float = fg.number("(0, 1)", default=0.5)
    ...     def init(self, params):
    ...         return fg.EmptyState()
    ...     def update(self, grads, state, params=None, **extra):
    ...         return jax.tree.map(lambda g: self.factor * g, grads), state
    >>> tx = halve()
    >>> tx.update({"w": jnp.ones(2)}, tx.init({"w": jnp.ones(2)}))[0]["w"].tolist()
    [0.5, 0.5]
    """

    def init(self, params: Params) -> OptState:
        """The state before the first update; works under `jax.eval_shape`."""
        raise NotImplementedError(f"{type(self).__name__} must define `init(self, params)`.")

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        """One update: the transformed gradients, and the next state."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `update(self, grads, state, params=None, **extra)`."
        )

    @property
    def needs(self) -> frozenset[str]:
        """The optional arguments that `update` cannot do without: "params", or names of extras, also "a or b"."""
        return frozenset()

    @property
    def guards(self) -> bool:
        """Whether non-finite losses and gradients are dealt with in here, so that a loop may go on after one."""
        return False

    @property
    def per_example(self) -> bool:
        """Whether `update` takes the gradient of each example: one axis more than parameters, the first."""
        return False

    @property
    def watches(self) -> frozenset[str]:
        """The metrics that `observe` looks at, by their names in `fg.fit`."""
        return frozenset()

    def observe(self, state: OptState, metrics: dict[str, Any]) -> OptState:
        """The state after a look at metrics that are measured now and then, such as those of an epoch's end."""
        del metrics
        return state

    def eval_params(self, state: OptState, params: Params) -> Params:
        """The parameters to evaluate a model with: `params` themselves, unless the transform averages."""
        del state
        return params

    def __iter__(self) -> Iterator[Callable]:
        yield self.init
        yield self.update

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for name, wrap in (("init", checked_init), ("update", checked_update)):
            if name in cls.__dict__:
                setattr(cls, name, wrap(cls.__dict__[name]))


@value
class GradientTransformation(Transform):
    """The transform made of two functions, `init(params)` and `update(grads, state, params=None, **extra)`.

    Both are held statically, by identity. An `update` that does not take keyword extras is called without them.

    >>> import funcgd as fg
    >>> tx = fg.GradientTransformation(lambda params: (), lambda grads, state, params=None: (grads, state))
    >>> tx.update(2.0, tx.init(1.0))
    (2.0, ())
    """

    init_fn: Callable = static()
    update_fn: Callable = static()

    def init(self, params: Params) -> OptState:
        return self.init_fn(params)

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        return self.update_fn(grads, state, params, **{k: v for k, v in extra.items() if accepts(self.update_fn, k)})

    def __repr__(self) -> str:
        return f"GradientTransformation({_name(self.init_fn)}, {_name(self.update_fn)})"


GradientTransformationExtraArgs = GradientTransformation  # every `update` takes extras


def _name(function: Callable) -> str:
    return getattr(function, "__name__", repr(function))


def as_transform(who: str, tx: Any) -> Transform:
    """`tx` itself, or a value around the functions of a foreign transform: a pair, or anything with init and update.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(tx, Transform):
        return tx
    if isinstance(tx, type) and issubclass(tx, Transform):
        name = tx.__name__
        raise TypeError(f"{who}: expected a transform, got its class `{name}`; write {name}(…), with its numbers.")
    init, update = getattr(tx, "init", None), getattr(tx, "update", None)
    if init is None and isinstance(tx, tuple) and len(tx) == 2:
        init, update = tx
    if not (callable(init) and callable(update)) or isinstance(tx, type):
        raise TypeError(f"{who}: expected a transform (with `init` and `update`), got {tx!r}.")
    return GradientTransformation(init, update)


@value
class Composed(Transform):
    """The base of named optimizers: a value whose fields are its hyperparameters and which is used as `compose()` says.

    >>> import funcgd as fg
    >>> @fg.value
    ... class clipped_sgd(fg.Composed):
    ...     learning_rate: float = fg.number("[0, inf)")
    ...     max_norm: float = fg.number("[0, inf)", default=1.0)
    ...     def compose(self):
    ...         return fg.chain(fg.clip_by_global_norm(self.max_norm), fg.sgd(self.learning_rate))
    >>> clipped_sgd(0.1)
    clipped_sgd(learning_rate=0.1, max_norm=1.0)
    """

    def compose(self) -> Transform:
        """The chain of transforms that this optimizer is."""
        raise NotImplementedError(f"{type(self).__name__} must define `compose(self)`.")

    def init(self, params: Params) -> OptState:
        return self.compose().init(params)

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        return self.compose().update(grads, state, params, **extra)

    @property
    def needs(self) -> frozenset[str]:
        return self.compose().needs

    @property
    def guards(self) -> bool:
        return self.compose().guards

    @property
    def per_example(self) -> bool:
        return self.compose().per_example

    @property
    def watches(self) -> frozenset[str]:
        return self.compose().watches

    def observe(self, state: OptState, metrics: dict[str, Any]) -> OptState:
        return self.compose().observe(state, metrics)

    def eval_params(self, state: OptState, params: Params) -> Params:
        return self.compose().eval_params(state, params)


@value
class stateless(Transform):
    """The transform that applies `f(updates, params)` and remembers nothing; f is held statically.

    >>> import funcgd as fg, jax
    >>> flip = fg.stateless(lambda updates, params: jax.tree.map(lambda g: -g, updates))
    >>> flip.update(2.0, flip.init(1.0))
    (-2.0, EmptyState())
    """

    f: Callable = static()

    def init(self, params: Params) -> EmptyState:
        del params
        return EmptyState()

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        return self.f(grads, params), state


@value
class stateless_with_tree_map(Transform):
    """The transform that applies `f(update, parameter)` to every leaf and remembers nothing; f is held statically.

    Without `params` the second argument is None.

    >>> import funcgd as fg
    >>> decay = fg.stateless_with_tree_map(lambda g, p: g + 0.1 * p)
    >>> decay.update({"w": 2.0}, decay.init({"w": 10.0}), {"w": 10.0})[0]
    {'w': 3.0}
    """

    f: Callable = static()

    def init(self, params: Params) -> EmptyState:
        return init_empty_state(params)

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        if params is None:
            return jax.tree.map(lambda g: self.f(g, None), grads), state
        return jax.tree.map(self.f, grads, params), state


@value
class identity(Transform):
    """The transform that changes nothing.

    >>> import funcgd as fg
    >>> fg.identity().update(2.0, fg.identity().init(1.0))
    (2.0, EmptyState())
    """

    def init(self, params: Params) -> EmptyState:
        del params
        return EmptyState()

    def update(
        self, grads: Updates, state: EmptyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, EmptyState]:
        return grads, state
