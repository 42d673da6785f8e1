"""The piecewise constant schedule: multiply at given steps."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import as_vector, describe, field, number, shortest
from funcgd.core.schedule import at, is_concrete
from funcgd.core.types import Scalar
from funcgd.core.values import code, value
from funcgd.schedules.steps import as_step, boundary_steps, real


def as_pair(owner: str, name: str, x: Any) -> tuple[Any, Any]:
    """The boundaries and the scales, two vectors of the same length, from a dict or a pair of sequences."""
    if x is None or isinstance(x, Mapping):
        items = sorted((x or {}).items(), key=lambda item: item[0])
        x = [boundary for boundary, _ in items], [scale for _, scale in items]
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise TypeError(
            f"{owner}: `{name}` must be a dict {{boundary: scale}} or a pair (boundaries, scales), got {describe(x)}."
        )
    boundaries, scales = (as_vector(owner, f"{name}[{i}]", part) for i, part in enumerate(x))
    if np.shape(boundaries) != np.shape(scales):
        raise ValueError(
            f"{owner}: `{name}` must have one scale for each boundary, "
            f"got {len(boundaries)} boundaries and {len(scales)} scales."
        )
    if is_concrete(boundaries) and (np.any(boundaries < 0) or np.any(np.diff(boundaries) <= 0)):
        raise ValueError(f"{owner}: the boundaries in `{name}` must be ≥ 0 and ascending, got {boundaries.tolist()}.")
    if is_concrete(scales) and not np.all((scales >= 0) & (scales < np.inf)):
        raise ValueError(f"{owner}: the scales in `{name}` must be in [0, inf), got {scales.tolist()}.")
    return boundaries, scales


@value
class piecewise_constant_schedule:
    """A value that is multiplied by a scale at each boundary, and is constant between them.

        f(t) = a · ∏ sᵢ over all i with t ≥ bᵢ

    The scales are relative, and act together: after all boundaries the value is a·s₁⋯sₙ. A scale takes effect at its
    boundary: f(bᵢ − 1) is without sᵢ, f(bᵢ) with it. A boundary at 0 acts from the first step on.

    Args:
        init_value: a, unit of what is scheduled.
        boundaries_and_scales: a dict {bᵢ: sᵢ} in any order, or the pair (boundaries, scales) of sequences, with
            boundaries b ≥ 0 ascending, in steps, and scales s in [0, ∞) without unit. None has no boundary.

    Raises:
        ValueError: if the boundaries are not ascending, or there is not one scale for each.

    Boundaries and scales are leaves of the pytree; the derivative with respect to a boundary is 0.

    Reference: He, Zhang, Ren, Sun, Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385, section
    3.4.

    >>> import funcgd as fg
    >>> rate = fg.piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})
    >>> [float(rate(step)) for step in (9, 10, 19, 20)]  # doctest: +NUMBER
    [1.0, 0.5, 0.5, 0.05]
    >>> rate
    piecewise_constant_schedule(init_value=1.0, boundaries_and_scales={10: 0.5, 20: 0.1})
    """

    init_value: Scalar = number(schedule=False)
    boundaries_and_scales: Any = field("pair", as_pair, default=None)

    def __call__(self, step: Any) -> jax.Array:
        boundaries, scales = self.boundaries_and_scales
        reached = as_step(step)[..., None] >= boundary_steps(type(self).__name__, boundaries).whole
        return real(at(self, 0).init_value) * jnp.prod(jnp.where(reached, real(scales), 1), axis=-1)

    def __repr__(self) -> str:
        boundaries, scales = self.boundaries_and_scales
        shown = [f"init_value={code(self.init_value)}"]
        if not is_concrete(boundaries) or np.ndim(boundaries) != 1:
            shown.append(f"boundaries_and_scales=({code(boundaries)}, {code(scales)})")
        elif len(boundaries):
            keys = [shortest(b) for b in boundaries]
            keys = [repr(int(b)) if b.is_integer() else code(b) for b in keys]
            pairs = zip(keys, scales, strict=True)
            shown.append(f"boundaries_and_scales={{{', '.join(f'{b}: {code(s)}' for b, s in pairs)}}}")
        return f"{type(self).__name__}({', '.join(shown)})"
