"""Problems that are sums of squares."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.problems.problem import Problem


@dataclasses.dataclass(frozen=True)
class SumOfSquares:
    """The function f(x) = Σᵢ rᵢ(x)²; equal where its residuals are the same function, so that programs are shared."""

    residuals: Callable[[Any], jax.Array]

    def __call__(self, x: Any) -> jax.Array:
        """f(x)."""
        r = self.residuals(x)
        return jnp.sum(r * r)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LeastSquaresProblem(Problem):
    """A `Problem` whose function is a sum of squares, f(x) = Σᵢ rᵢ(x)², without a factor ½.

    Args:
        residuals: r, from an array of shape (n,) to one of shape (m,), in the dtype of its argument; gives `fun`.
        number: that of the problem in its source; None if it has none.
        local_minima: values of f at minima that are known and not global, also at those at infinity.

    The other arguments are those of `Problem` without `fun`; a `minimum` that nobody has published is NaN.

    Reference: Moré, Garbow, Hillstrom, Testing unconstrained optimization software, ACM TOMS 7, 1981.

    >>> import funcgd as fg
    >>> line = fg.problems.LeastSquaresProblem("line", [1.0], [[3.0]], 0.0, "school", residuals=lambda x: x - 3)
    >>> float(line.fun(line.x0))
    4.0
    """

    fun: Callable[[Any], Any] = dataclasses.field(init=False, kw_only=False)
    residuals: Callable[[Any], Any]
    number: int | None = None
    local_minima: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fun", SumOfSquares(self.residuals))
        super().__post_init__()
