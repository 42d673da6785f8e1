"""Adafactor: adaptive steps whose second moments are kept as rows and columns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.average import ema
from funcgd.transforms.clip_units import clip_by_block_rms
from funcgd.transforms.scale import Counted, scale, scale_by_learning_rate
from funcgd.transforms.slots import second_moment
from funcgd.transforms.units import norm
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class FactoredState(NamedTuple):
    """The state of `scale_by_factored_rms`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.scale_by_factored_rms().init(jnp.ones((200, 300)))
    >>> state.v_row.shape, state.v_col.shape, state.v.shape
    ((200,), (300,), (1,))
    """

    count: jax.Array  # (), int32: finished updates
    v_row: Updates  # real, at least float32: means of |g|² along the longest axis; of shape (1,) without factors
    v_col: Updates  # the same along the second longest
    v: Updates  # like the parameters, the average of |g|² itself; of shape (1,) with factors


@value
class scale_by_factored_rms(Transform):
    """Divide by a running root mean square that is kept as rows and columns, the direction of Adafactor.

        β = 1 − t^−γ
        r ← βr + (1 − β)·meanⱼ(|gᵢⱼ|² + ε),   c ← βc + (1 − β)·meanᵢ(|gᵢⱼ|² + ε)
        uᵢⱼ = gᵢⱼ / √(rᵢcⱼ / mean(r)),   0 where that is 0

    This is for arrays whose two longest sides have at least `min_dim_size_to_factor` entries; others keep |g|² entry by
    entry. Of more than two axes, the two longest are factored. The first β is 0, so that no bias correction is needed.

    Args:
        factored: False keeps everything entry by entry.
        decay_rate: γ in [0, ∞).
        step_offset: finished updates of an earlier run, by which t is less (1 at least).
        min_dim_size_to_factor: the least length of a side.
        epsilon: ε ≥ 0, unit of the gradient squared.

    Reference: Shazeer, Stern, Adafactor: adaptive learning rates with sublinear memory cost, ICML 2018,
    arXiv:1804.04235.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.scale_by_factored_rms(min_dim_size_to_factor=2), jnp.zeros((2, 2))
    >>> tx.update(jnp.array([[1.0, 2.0], [2.0, 4.0]]), tx.init(params))[0].tolist()  # of rank one: exact
    [[1.0, 1.0], [1.0, 1.0]]
    """

    factored: bool = static(default=True)
    decay_rate: ScalarOrSchedule = number("[0, inf)", default=0.8)
    step_offset: ScalarOrSchedule = number("[0, inf)", default=0.0)
    min_dim_size_to_factor: int = static(default=128, convert=as_count)
    epsilon: ScalarOrSchedule = number("[0, inf)", default=1e-30)

    def init(self, params: Params) -> FactoredState:
        def slot(which: int) -> Any:
            return jax.tree.map(lambda v: jnp.zeros(self._shapes(v.shape)[which], v.dtype), second_moment(params))

        return FactoredState(jnp.zeros((), jnp.int32), slot(0), slot(1), slot(2))

    def _axes(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """The longest and the second longest axis, if this array is factored."""
        *_, second, longest = sorted(range(len(shape)), key=lambda i: shape[i]) if len(shape) > 1 else (0, 0)
        if not self.factored or len(shape) < 2 or shape[second] < self.min_dim_size_to_factor:
            return None
        return longest, second

    def _shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        axes = self._axes(shape)
        if axes is None:
            return (1,), (1,), shape
        longest, second = ((*shape[:i], *shape[i + 1 :]) for i in axes)
        return longest, second, (1,)

    def update(
        self, grads: Updates, state: FactoredState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, FactoredState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        h.rate = jnp.maximum(jnp.asarray(t, float) - h.step_offset, 1.0) ** -h.decay_rate  # 1 − β

        def rule(h: Any, g: jax.Array, row: jax.Array, col: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            root_n = max(g.size, 1) ** 0.5
            g = numerics.saturate(numerics.saturate(g) * root_n) / root_n  # so that Σ|g|² is finite
            square, axes = numerics.square(g) + h.epsilon, self._axes(g.shape)
            if axes is None:
                v = v + h.rate * (square - v)
                return g / numerics.root(_steady(v)), row, col, v
            longest, second = axes
            row = row + h.rate * (jnp.mean(square, longest) - row)
            col = col + h.rate * (jnp.mean(square, second) - col)
            rows, cols = jnp.expand_dims(_steady(row), longest), jnp.expand_dims(_steady(col), second)
            relative = numerics.divide(rows, jnp.mean(rows, second, keepdims=True))
            return g / numerics.root(relative) / numerics.root(cols), row, col, v

        updates, row, col, v = lift(rule, h, grads, state.v_row, state.v_col, state.v)
        return updates, FactoredState(t, row, col, v)


def _steady(v: jax.Array) -> jax.Array:
    """v, with derivative 0 below 1/√max: there that of a quotient by v or √v has powers of v that overflow."""
    return jnp.where(v > float(jnp.finfo(v.dtype).max) ** -0.5, v, jax.lax.stop_gradient(v))


@value
class scale_by_param_block_norm(Counted):
    """Multiply each leaf's update by the norm of its parameters, at least `min_scale`.

        u = max(‖θ‖₂, s)·g

    Args:
        min_scale: s ≥ 0, unit of the parameters.

    Raises:
        ValueError: at update, if `params` are missing.

    Reference: You, Gitman, Ginsburg, 2017 (see `lars`), where g is normalized first.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.scale_by_param_block_norm(), jnp.array([3.0, -4.0])
    >>> tx.update(jnp.ones(2), tx.init(params), params)[0].tolist()
    [5.0, 5.0]
    """

    min_scale: ScalarOrSchedule = number("[0, inf)", default=1e-3)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array, p: jax.Array) -> jax.Array:
            return jnp.maximum(norm(p, tuple(range(p.ndim))), h.min_scale) * g

        h = self.numbers(state)
        return lift(rule, h, grads, read=(params,)), self.next_state(state)


@value
class scale_by_param_block_rms(Counted):
    """Multiply each leaf's update by the root mean square of its parameters, at least `min_scale`.

        u = max(√mean|θ|², s)·g

    Args:
        min_scale: s ≥ 0, unit of the parameters.

    Raises:
        ValueError: at update, if `params` are missing.

    Reference: Shazeer, Stern, ICML 2018, section 8 (see `scale_by_factored_rms`).

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.scale_by_param_block_rms(), jnp.array([3.0, -3.0])
    >>> tx.update(jnp.ones(2), tx.init(params), params)[0].tolist()  # doctest: +NUMBER
    [3.0, 3.0]
    """

    min_scale: ScalarOrSchedule = number("[0, inf)", default=1e-3)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        def rule(h: Any, g: jax.Array, p: jax.Array) -> jax.Array:
            rms = norm(p, tuple(range(p.ndim))) / max(p.size, 1) ** 0.5
            return jnp.maximum(rms, h.min_scale) * g

        h = self.numbers(state)
        return lift(rule, h, grads, read=(params,)), self.next_state(state)


@value
class adafactor(Composed):
    """Adafactor: adaptive steps in proportion to each array's parameters, for a fraction of Adam's memory.

        u as in `scale_by_factored_rms`
        d = u / max(1, RMS(u)/c) · η · max(RMS(θ), 10⁻³)
        θ ← θ − (m + λθ),   m ← βm + (1 − β)d, or d without momentum

    Args:
        learning_rate: η in [0, ∞), without a unit: the relative length of a step; None is 1. The paper has
            min(10⁻², 1/√t).
        min_dim_size_to_factor, decay_rate, factored: see `scale_by_factored_rms`.
        decay_offset: its `step_offset`.
        multiply_by_parameter_scale: whether RMS(θ) multiplies the step; without, η has the unit of the parameters.
        clipping_threshold: c > 0, the largest root mean square of an array's u; None is without.
        momentum: β in [0, 1); None is without, which needs no memory.
        dtype_momentum: dtype that stores m; None is at least float32.
        weight_decay_rate: λ in [0, ∞), which η does not multiply; None is without.
        eps: ε ≥ 0, see `scale_by_factored_rms`.
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.

    Reference: Shazeer, Stern, ICML 2018, arXiv:1804.04235.

    >>> import funcgd as fg
    >>> fg.adafactor(0.01).clipping_threshold
    1.0
    """

    learning_rate: ScalarOrSchedule | None = number("[0, inf)", default=None)
    min_dim_size_to_factor: int = static(default=128, convert=as_count)
    decay_rate: ScalarOrSchedule = number("[0, inf)", default=0.8)
    decay_offset: ScalarOrSchedule = number("[0, inf)", default=0.0)
    multiply_by_parameter_scale: bool = static(default=True)
    clipping_threshold: ScalarOrSchedule | None = number("(0, inf)", default=1.0, optional=True)
    momentum: ScalarOrSchedule | None = number("[0, 1)", default=None)
    dtype_momentum: Any = static(default=None, convert=as_optional_dtype)
    weight_decay_rate: ScalarOrSchedule | None = number("[0, inf)", default=None)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-30)
    factored: bool = static(default=True)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        parts: list[Transform] = [
            scale_by_factored_rms(
                self.factored, self.decay_rate, self.decay_offset, self.min_dim_size_to_factor, self.eps
            )
        ]
        if self.clipping_threshold is not None:
            parts.append(clip_by_block_rms(self.clipping_threshold))
        if self.learning_rate is not None:
            parts.append(scale_by_learning_rate(self.learning_rate, flip_sign=False))
        if self.multiply_by_parameter_scale:
            parts.append(scale_by_param_block_rms())
        if self.momentum is not None:
            parts.append(ema(self.momentum, debias=False, accumulator_dtype=self.dtype_momentum))
        if self.weight_decay_rate is not None:
            parts.append(add_decayed_weights(self.weight_decay_rate, self.weight_decay_mask))
        return chain(*parts, scale(-1.0))
