"""Sums of squares as objectives: functions that know the residuals they are made of."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.coordinates import to_vector
from funcgd.core.fields import describe, static
from funcgd.core.types import Params
from funcgd.core.validate import is_inexact
from funcgd.core.values import value


@value
class least_squares:
    """Half the sum of squared residuals, as an objective for `fg.minimize`.

        f(x) = ½ Σᵢ |rᵢ(x)|²

    Every method can minimise it; GaussNewton, LevenbergMarquardt and DoglegLeastSquares use the residuals themselves.
    For weights, multiply each residual by the root of its weight.

    Args:
        residuals: x, *args → a pytree of floating or complex arrays of any shapes.
        has_aux: whether `residuals` returns (the residuals, anything); say `has_aux=True` to `minimize`, too.

    Raises:
        TypeError: if `residuals` is no function, or returns anything but floating or complex arrays.

    Reference: Nocedal, Wright, Numerical optimization, 2nd edition, 2006, chapter 10.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> t, y = jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 5.0])
    >>> line = fg.least_squares(lambda x: x["slope"] * t + x["offset"] - y)
    >>> float(line({"slope": 2.0, "offset": 0.0}))
    1.5
    """

    residuals: Callable
    has_aux: bool = static(default=False)

    def __post_init__(self) -> None:
        if not callable(self.residuals):
            raise TypeError(
                f"least_squares: `residuals` must be a function x, *args → arrays, got {describe(self.residuals)}."
            )

    def __call__(self, x: Params, *args: Any) -> Any:
        """f(x), or (f(x), aux)."""
        r, aux = self.vector(x, *args)
        return (half_square(r), aux) if self.has_aux else half_square(r)

    def vector(self, x: Params, *args: Any) -> tuple[jax.Array, Any]:
        """(all residuals as one real vector, aux or None)."""
        out = self.residuals(x, *args)
        r, aux = out if self.has_aux else (out, None)
        wrong = [leaf for leaf in jax.tree.leaves(r) if not is_inexact(leaf)]
        if wrong or not jax.tree.leaves(r):
            found = describe(wrong[0]) if wrong else "no array"
            raise TypeError(f"least_squares: `residuals` must return floating or complex arrays, got {found}.")
        return to_vector(r), aux


class Residual:
    """What methods get as `fun` where the objective is a sum of squares: f, and what it is made of.

    >>> from funcgd.core.least_squares import Residual
    >>> fun = Residual(lambda x, args: (x**2 / 2, None), lambda x, args: (x, None))
    >>> fun(4.0, ()), fun.residuals(4.0, ())
    ((8.0, None), (4.0, None))
    """

    def __init__(self, f: Callable, residuals: Callable):
        self.f = f  # x, args → (value, aux)
        self.residuals = residuals  # x, args → (real vector, aux)

    def __call__(self, x: Params, args: tuple) -> tuple[Any, Any]:
        return self.f(x, args)


def residuals_of(who: str, fun: Callable) -> Callable:
    """The residuals of `fun`, as a function (x, args) → (real vector, aux).

    Raises:
        TypeError: if `fun` has none.
    """
    found = getattr(fun, "residuals", None)
    if found is None:
        raise TypeError(f"{who}: `fun` must be fg.least_squares(residuals), not a function that returns a scalar.")
    return found


def half_square(r: jax.Array) -> jax.Array:
    """½ Σ rᵢ², in the dtype of r."""
    return jnp.vdot(r, r, precision="highest") / 2
