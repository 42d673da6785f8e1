"""Difference quotients: slopes from values of the function alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.direction import unit_direction
from funcgd.calculus.objective import objective, point
from funcgd.core import numerics, tree
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import describe, is_number, is_traced
from funcgd.core.types import Params

# h = ε^power · (size of x). Forward and central: where truncation equals rounding. Complex: the imaginary part is
# nowhere subtracted from anything, so that h may be so small that h² is far below rounding.
_POWERS = {"forward": 1 / 2, "central": 1 / 3, "complex": 3 / 2}
_CHUNK = 64  # entries whose perturbed copies of x are held at a time


def difference_quotient(
    fun: Callable, x: Params, direction: Params, *args: Any, scheme: str = "central", step: Any = None
) -> jax.Array:
    """The slope of the secant of `fun(·, *args)` through x along a direction, per unit of length.

        forward   (f(x + hp) − f(x)) / h             error O(h),  best about √ε
        central   (f(x + hp) − f(x − hp)) / 2h       error O(h²), best about ε^⅔
        complex   Im f(x + ihp) / h                  error O(h²), best about ε

    with p = direction / ‖direction‖₂. For h → 0 all are `directional_derivative`. The secant from x to y is the forward
    quotient along y − x with the step ‖y − x‖. Leaves below float32 reach `fun` as float32.

    The complex step needs a function that is analytic and takes complex numbers: no `abs`, norm or conjugate. At a kink
    forward is the slope ahead, central the mean of those ahead and behind. A step that is lost in rounding x gives NaN.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x: the point, a pytree of floating or complex arrays; real ones for the complex step.
        direction: a pytree like x, not zero. Zeros that are traced, where nothing can be raised, give 0.
        *args: what else `fun` takes.
        scheme: "forward", "central" or "complex".
        step: h > 0, in the unit of x. None is ε^½, ε^⅓ or ε^1.5, times Σ max(1, |xᵢ|)·pᵢ², where ε is that of the
            coarsest dtype among x, at least float32, and the value.

    Raises:
        TypeError: if `fun` returns anything else (a complex number for the complex step), or there are integers.
        ValueError: if the direction is zero or shaped unlike x, or scheme or step are not as above.

    Reference: Dennis, Schnabel, Numerical methods for unconstrained optimization, 1983, section 5.4; Squire, Trapp,
    Using complex variables to estimate derivatives of real functions, SIAM Review 40, 1998.

    >>> import funcgd as fg
    >>> [float(fg.difference_quotient(lambda x: x**2, 1.0, 1.0, scheme=s, step=0.5)) for s in ("forward", "central")]
    [2.5, 2.0]
    """
    who = "difference_quotient"
    f, x, eps = _prepare(who, fun, x, args, scheme, step)
    return _quotient(f, x, unit_direction(who, direction, x), scheme, step, eps)


def difference_gradient(fun: Callable, x: Params, *args: Any, scheme: str = "central", step: Any = None) -> Params:
    """The gradient of `fun(·, *args)` at x by one difference quotient for each entry.

        (∇f)ᵢ ≈ the quotient along eᵢ;    for complex x: that of Re xᵢ + i·that of Im xᵢ

    For n real entries it takes 2n evaluations (complex step: n), where `gradient` takes the time of two or three; it
    needs no derivative. They run in compiled chunks. To check a gradient, `check_gradient` does the same in float64.

    Args:
        fun, x, *args, scheme: see `difference_quotient`.
        step: h > 0, the same for all entries, in the unit of x. None is ε^½, ε^⅓ or ε^1.5, times max(1, |xᵢ|).

    Returns:
        A tree like x, in at least float32.

    Raises:
        TypeError, ValueError: see `difference_quotient`.

    Reference: Nocedal, Wright, Numerical optimization, 2nd edition, 2006, section 8.1.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.difference_gradient(lambda p: p["a"] * p["b"], {"a": 2.0, "b": 3.0}, step=0.5)["a"].tolist()
    3.0
    """
    f, x, eps = _prepare("difference_gradient", fun, x, args, scheme, step)
    v = to_vector(x)

    def entry(i: jax.Array) -> jax.Array:
        return _quotient(f, x, from_vector(jnp.zeros_like(v).at[i].set(1), x), scheme, step, eps)

    quotients = jax.lax.map(entry, jnp.arange(v.size), batch_size=min(_CHUNK, v.size))
    return from_vector(quotients, x)


def _prepare(who: str, fun: Callable, x: Params, args: tuple, scheme: str, step: Any) -> tuple[Callable, Params, float]:
    """(f, x in at least float32, ε)."""
    if scheme not in _POWERS:
        raise ValueError(f"{who}: `scheme` must be one of {', '.join(map(repr, _POWERS))}, got {scheme!r}.")
    if step is not None and not (is_traced(step) or (is_number(step) and jnp.ndim(step) == 0 and step > 0)):
        raise ValueError(f"{who}: `step` must be a positive number, got {describe(step)}.")
    x = jax.tree.map(numerics.widen, point(who, x, real=scheme == "complex"))
    strict = objective(who, fun, args, kind=jnp.complexfloating if scheme == "complex" else jnp.floating)

    def f(x: Params) -> jax.Array:
        with jax.numpy_dtype_promotion("standard"):  # constants in fun may be narrower than x, or real
            return strict(x)

    probe = jax.tree.map(lambda a: jax.lax.complex(a, a), x) if scheme == "complex" else x
    dtypes = [leaf.dtype for leaf in (*jax.tree.leaves(x), jax.eval_shape(f, probe))]
    return f, x, max(float(jnp.finfo(dtype).eps) for dtype in dtypes)


def _quotient(f: Callable, x: Params, p: Params, scheme: str, step: Any, eps: float) -> jax.Array:
    """The quotient along p, which has length 1 or 0."""
    h = eps ** _POWERS[scheme] * _size(x, p) if step is None else step
    is_zero = tree.max_norm(p) == 0
    if scheme == "complex":
        shifted = jax.tree.map(lambda a, b: jax.lax.complex(a, jnp.asarray(h, a.dtype) * b), x, p)
        slope = numerics.widen(jnp.imag(f(shifted)))
        return jnp.where(is_zero, 0, slope / jnp.where(is_zero, 1, jnp.asarray(h, slope.dtype)))

    def at(sign: int) -> Params:
        return jax.tree.map(lambda a, b: a + jnp.asarray(sign * h, a.dtype) * b, x, p)

    above, below = at(1), x if scheme == "forward" else at(-1)
    length = tree.real_vdot(p, tree.sub(above, below))  # the step that is really taken, after rounding
    rise = numerics.widen(f(above)) - numerics.widen(f(below))
    return jnp.where(is_zero, 0, rise / jnp.where(is_zero, 1, jnp.asarray(length, rise.dtype)))


def _size(x: Params, p: Params) -> jax.Array:
    """Σ max(1, |xᵢ|)·pᵢ²: the size of x where p moves it."""
    return tree.vdot(jax.tree.map(lambda a: jnp.maximum(1, jnp.abs(a)), x), jax.tree.map(numerics.square, p))
