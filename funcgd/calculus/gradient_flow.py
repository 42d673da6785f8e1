"""Gradient flow: descent with infinitely small steps, and its discretisations."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.calculus.gradient import gradient_of
from funcgd.calculus.objective import objective, point
from funcgd.core import numerics
from funcgd.core.fields import as_count, describe, is_number, is_traced
from funcgd.core.types import Params


def gradient_flow(fun: Callable, x0: Params, t1: Any, steps: int, *args: Any, method: str = "rk4") -> Params:
    """The path of steepest descent from x₀, which time follows from 0 to t₁.

        dx/dt = −∇f(x),  x(0) = x₀;    n steps of length h = t₁/n

        "euler"   x ← x − h∇f(x)                                  error O(h):  gradient descent with learning rate h
        "rk4"     x ← x + h/6 (k₁ + 2k₂ + 2k₃ + k₄),              error O(h⁴): the classical rule of Runge and Kutta
                  where kᵢ = −∇f at x, x + hk₁/2, x + hk₂/2, x + hk₃

    Along the flow f falls with the rate ‖∇f‖². Where the largest curvature is L, Euler is stable for h < 2/L, as
    descent is, and rk4 for h < 2.785/L; beyond that the numbers grow until they are not finite.

    Args:
        fun: x, *args → a real scalar, or a pair of that and anything.
        x0: x₀, a pytree of floating or complex arrays; those below float32 become float32.
        t1: t₁ > 0, unit [x]²/[f], as that of a learning rate.
        steps: n ≥ 1.
        *args: what else `fun` takes.
        method: "euler" or "rk4".

    Returns:
        A tree like x₀ whose leaves have a leading axis of n + 1: row k is x at the time k·h, row 0 is x₀.

    Raises:
        TypeError: if `fun` returns anything else, or x₀ has a leaf of integers.
        ValueError: if t₁, steps or method are not as above.

    Reference: Hairer, Nørsett, Wanner, Solving ordinary differential equations I, 2nd edition, 1993, section II.1.

    >>> import funcgd as fg
    >>> fg.gradient_flow(lambda x: x**2, 1.0, 0.5, 2, method="euler").tolist()
    [1.0, 0.5, 0.25]
    """
    who = "gradient_flow"
    f, x0, h, steps = *_prepare(who, fun, x0, args, method), *_time_step(who, t1, steps)
    ascent = gradient_of(f)

    def move(x: Params, length: Any, *slopes: tuple[float, Params]) -> Params:
        def leaf(a: jax.Array, *ks: jax.Array) -> jax.Array:
            total = sum(weight * k for (weight, _), k in zip(slopes, ks, strict=True))
            return a - jnp.asarray(length, a.dtype) * total

        return jax.tree.map(leaf, x, *(k for _, k in slopes))

    def euler(x: Params) -> Params:
        return move(x, h, (1, ascent(x)))

    def rk4(x: Params) -> Params:
        k1 = ascent(x)
        k2 = ascent(move(x, h / 2, (1, k1)))
        k3 = ascent(move(x, h / 2, (1, k2)))
        k4 = ascent(move(x, h, (1, k3)))
        return move(x, h / 6, (1, k1), (2, k2), (2, k3), (1, k4))

    rule = {"euler": euler, "rk4": rk4}[method]

    def step(x: Params, _: None) -> tuple[Params, Any]:
        x = rule(x)
        return x, x

    _, path = jax.lax.scan(step, x0, length=steps)
    return jax.tree.map(lambda a, rows: jnp.concatenate([a[None], rows]), x0, path)


def _prepare(who: str, fun: Callable, x0: Params, args: tuple, method: str) -> tuple[Callable, Params]:
    if method not in ("euler", "rk4"):
        raise ValueError(f"{who}: `method` must be 'euler' or 'rk4', got {method!r}.")
    return objective(who, fun, args), jax.tree.map(numerics.widen, point(who, x0))


def _time_step(who: str, t1: Any, steps: int) -> tuple[Any, int]:
    try:
        steps = as_count(steps)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: `steps`: {error}") from error
    if not is_traced(t1) and not (is_number(t1) and jnp.ndim(t1) == 0 and 0 < t1 < float("inf")):
        raise ValueError(f"{who}: `t1` must be a positive number, got {describe(t1)}.")
    return t1 / steps, steps
