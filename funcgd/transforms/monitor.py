"""Look at updates from inside a chain."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import as_optional_dtype, describe, number, static
from funcgd.core.schedule import next_count
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

    measurements: dict[str, Any]  # by name, what was measured of the last updates, or its average; zeros before
    count: jax.Array | None = None  # (), int32: finished updates; None where nothing is averaged


@value
class measure_with_ema:
    """A measure for `monitor` whose exponential moving average is kept.

        m ← βm + (1 − β)x,   kept is m / (1 − βᵗ)   (m without `debias`)

    Args:
        measure: updates → a pytree of arrays; the average of booleans is how often they are true.
        decay: β in [0, 1); averages reach back about 1/(1 − β) updates.
        debias: divide by the weight gathered so far.
        accumulator_dtype: dtype of the average; None is at least float32.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> often = fg.measure_with_ema(lambda updates: fg.tree.norm(updates) > 1, decay=0.5)
    >>> tx = fg.chain(fg.monitor({"clipped": often}), fg.clip_by_global_norm(1.0))
    >>> state = tx.init(0.0)
    >>> for g in (0.5, 2.0, 3.0):
    ...     _, state = tx.update(g, state)
    ...     print(round(float(fg.tree.get(state, "clipped")), 3), end=" ")
    0.0 0.667 0.857
    """

    measure: Callable = static()
    decay: float = number("[0, 1)", schedule=False)
    debias: bool = static(default=True)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)

    def __call__(self, updates: Updates) -> Any:
        """What is measured now, in the dtype of the average."""

        def wide(x: jax.Array) -> jax.Array:
            return jnp.asarray(numerics.widen(x), self.accumulator_dtype)

        return jax.tree.map(wide, self.measure(updates))

    def average(self, updates: Updates, old: Any, count: jax.Array) -> Any:
        """The average with one update more, which is the one of this count."""
        weight = numerics.bias_correction(self.decay, count) if self.debias else 1.0

        def renewed(x: jax.Array, mean: jax.Array) -> jax.Array:
            dtype = numerics.wide_dtype(mean.dtype)
            rate = jnp.asarray((1 - self.decay) / weight, dtype)
            mean = numerics.widen(mean, dtype)
            with jax.numpy_dtype_promotion("standard"):  # for complex measures
                return mean + rate * (numerics.widen(x, dtype) - mean)

        return _measured(lambda updates: jax.tree.map(renewed, self(updates), old), updates, old)


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
        measures: a mapping name → measure, each updates → a pytree of arrays, or such a one within `measure_with_ema`.
            Held statically.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.chain(fg.monitor({"norm": fg.tree.norm, "largest": fg.tree.max_norm}), fg.sgd(0.1))
    >>> _, state = tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))
    >>> sorted((name, float(x)) for name, x in fg.tree.get(state, "measurements").items())
    [('largest', 4.0), ('norm', 5.0)]
    """

    measures: Any = static(convert=as_measures)

    def init(self, params: Params) -> MonitorState:
        averages = any(isinstance(measure, measure_with_ema) for _, measure in self.measures)
        measurements = {name: _zeros(measure, params) for name, measure in self.measures}
        return MonitorState(measurements, jnp.zeros((), jnp.int32) if averages else None)

    def update(
        self, grads: Updates, state: MonitorState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MonitorState]:
        count, new = next_count(state.count), {}
        for name, measure in self.measures:
            old = state.measurements[name]
            if isinstance(measure, measure_with_ema) and count is not None:
                new[name] = measure.average(grads, old, count)
            else:
                new[name] = _measured(measure, grads, old)
        return grads, MonitorState(new, count)
