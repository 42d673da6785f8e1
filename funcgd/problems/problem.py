"""The Problem record: a function with a known answer."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from funcgd.core.fields import as_count


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise whose answer is known, with a start, constants and source.

    Args:
        name: how to call it in a table or a picture.
        fun: the function, from an array of shape (n,) to a scalar, in the dtype of its argument.
        x0: the start, shape (n,), float64 and read-only.
        minimizers: all global minimisers, shape (k, n), float64 and read-only; one row each. None if none is known.
        minimum: the value of `fun` there.
        source: where the function is published.
        smoothness: L, a Lipschitz constant of the gradient on the whole space; None if there is none.
        convexity: μ > 0 of a strongly convex function; None for others.
        domain: the box ((low, high), …) in which the function is usually searched and drawn; None if there is none.

    Raises:
        ValueError: if shapes do not fit together.

    Reference: Moré, Garbow, Hillstrom, Testing unconstrained optimization software, ACM TOMS 7, 1981.

    >>> import funcgd as fg
    >>> problem = fg.problems.Problem("parabola", lambda x: x @ x, [1.0], [[0.0]], 0.0, "school", 2, 2)
    >>> problem.minimizer.tolist(), problem.kappa
    ([0.0], 1.0)
    """

    name: str
    fun: Callable[[Any], Any]
    x0: Any
    minimizers: Any
    minimum: float
    source: str
    smoothness: float | None = None
    convexity: float | None = None
    domain: Sequence[tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        for name, dimensions in (("x0", 1), ("minimizers", 2)):
            x = getattr(self, name)
            x = np.empty((0, self.dimension)) if x is None and name == "minimizers" else np.array(x, np.float64)
            if x.ndim != dimensions or not x.shape[-1]:
                raise ValueError(f"Problem: `{name}` must have {dimensions} dimension(s), got shape {x.shape}.")
            x.flags.writeable = False
            object.__setattr__(self, name, x)
        if self.minimizers.shape[1] != self.dimension:
            raise ValueError(
                f"Problem: `minimizers` must have shape (k, {self.dimension}), as x0, got {self.minimizers.shape}."
            )
        if self.domain is not None and np.shape(self.domain) != (self.dimension, 2):
            raise ValueError(f"Problem: `domain` must have shape ({self.dimension}, 2), got {np.shape(self.domain)}.")

    @property
    def dimension(self) -> int:
        """n, the number of variables."""
        return self.x0.size

    @property
    def minimizer(self) -> np.ndarray:
        """The first of the minimisers, shape (n,).

        Raises:
            ValueError: if none is known.
        """
        if not len(self.minimizers):
            raise ValueError(f"Problem: `minimizers` of {self.name} are not known.")
        return self.minimizers[0]

    @property
    def kappa(self) -> float | None:
        """κ = L/μ, the condition number of a strongly convex function; None for others."""
        return None if self.smoothness is None or self.convexity is None else self.smoothness / self.convexity


def as_dimension(who: str, n: Any, least: int = 1) -> int:
    """The number of variables as a Python integer, or an error that names the problem."""
    try:
        return as_count(n, least)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: `dimension`: {error}") from error
