"""Look at updates from inside a chain."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import describe, static
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.values import value


class SnapshotState(NamedTuple):
    """The state of `snapshot`.

    >>> import funcgd as fg
    >>> fg.snapshot("norm", fg.tree.norm).init({"w": 1.0}).measurement["norm"].dtype
    dtype('float32')
    """

    measurement: dict[str, Any]  # by its name, what was measured of the last updates; zeros before


class MonitorState(NamedTuple):
    """The state of `monitor`.

    >>> import funcgd as fg
    >>> sorted(fg.monitor({"norm": fg.tree.norm, "largest": fg.tree.max_norm}).init({"w": 1.0}).measurements)
    ['largest', 'norm']
    """

    measurements: dict[str, Any]  # by name, what was measured of the last updates; zeros before


def _zeros(measure: Callable, params: Params) -> Any:
    """Zeros like what is measured, were the parameters updates."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(measure, params))


def _measured(measure: Callable, updates: Updates, old: Any) -> Any:
    return jax.tree.map(lambda x, old: jnp.asarray(x, old.dtype), measure(updates), old)


@value
class snapshot(Transform):
    """Let the updates pass, and keep something measured of them in the state.

    Read it with `fg.tree.get(state, name)`. What the measure returns keeps the dtype that it has for the parameters.

    Args:
        measure_name: what it is called in the state.
        measure: updates → a pytree of arrays, for example `fg.tree.norm`. Held statically.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.chain(fg.snapshot("norm", fg.tree.norm), fg.clip_by_global_norm(1.0), fg.sgd(0.1))
    >>> _, state = tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))
    >>> float(fg.tree.get(state, "norm"))
    5.0
    """

    measure_name: str = static()
    measure: Callable = static()

    def init(self, params: Params) -> SnapshotState:
        return SnapshotState({self.measure_name: _zeros(self.measure, params)})

    def update(
        self, grads: Updates, state: SnapshotState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, SnapshotState]:
        measured = _measured(self.measure, grads, state.measurement[self.measure_name])
        return grads, SnapshotState({self.measure_name: measured})


def as_measures(measures: Any) -> tuple[tuple[str, Callable], ...]:
    """`measures` as pairs, hashable.

    Raises:
        TypeError: if they are no mapping from names to functions.
    """
    pairs = tuple(measures.items()) if isinstance(measures, Mapping) else measures
    if not isinstance(pairs, tuple) or not all(isinstance(p, tuple) and len(p) == 2 and callable(p[1]) for p in pairs):
        raise TypeError(f"expected a mapping name → function of the updates, got {describe(measures)}.")
    return pairs


@value
class monitor(Transform):
    """Let the updates pass, and keep several things measured of them in the state: `snapshot` for more than one.

    Args:
        measures: a mapping name → measure, each updates → a pytree of arrays. Held statically.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.chain(fg.monitor({"norm": fg.tree.norm, "largest": fg.tree.max_norm}), fg.sgd(0.1))
    >>> _, state = tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))
    >>> sorted((name, float(x)) for name, x in fg.tree.get(state, "measurements").items())
    [('largest', 4.0), ('norm', 5.0)]
    """

    measures: Any = static(convert=as_measures)

    def init(self, params: Params) -> MonitorState:
        return MonitorState({name: _zeros(measure, params) for name, measure in self.measures})

    def update(
        self, grads: Updates, state: MonitorState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MonitorState]:
        old = state.measurements
        return grads, MonitorState({name: _measured(measure, grads, old[name]) for name, measure in self.measures})
