"""Check a gradient against difference quotients."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.calculus.objective import objective
from funcgd.core.fields import as_count, is_traced
from funcgd.core.numerics import float64_mode
from funcgd.core.types import Params
from funcgd.core.validate import check_key, check_leaves

# order: (k, weight) of the central quotient Σ weight·(f(x + kh) − f(x − kh)) / h
_QUOTIENTS = {2: ((1, 1 / 2),), 4: ((1, 2 / 3), (2, -1 / 12))}
_CHUNK = 64  # perturbed copies of x that are held and evaluated at a time


class GradientCheck(NamedTuple):
    """What `check_gradient` found; entries that were not checked are NaN in the trees.

    >>> import funcgd as fg
    >>> report = fg.check_gradient(lambda x: x**3, 2.0)
    >>> report.worst_path, report.worst_error < 1e-8
    ('', True)
    """

    worst_error: float  # the largest relative error, ∞ where a number is not finite
    worst_path: str  # where it is, such as "['w'][3, 2]"; of directions "directions[1]"
    worst_analytic: float  # the entry of jax.grad there
    worst_numeric: float  # the difference quotient there
    error: Any  # like x, float64: relative errors; of directions one for each, as in the next two
    analytic: Any  # like x, float64: jax.grad
    numeric: Any  # like x, float64: difference quotients


def check_gradient(
    f: Callable,
    x: Params,
    *args: Any,
    step: float | None = None,
    tolerance: float = 1e-6,
    order: int = 2,
    entries: int | None = None,
    directions: int | None = None,
    key: jax.Array | None = None,
) -> GradientCheck:
    """Check that the gradient of `f(·, *args)` at x agrees with central difference quotients, computed in float64.

        order 2:  nᵢ = (f(x + hᵢeᵢ) − f(x − hᵢeᵢ)) / 2hᵢ,    hᵢ = step · max(1, |xᵢ|)
        order 4:  nᵢ = (8(f₊₁ − f₋₁) − (f₊₂ − f₋₂)) / 12hᵢ,  where f₊ₖ = f(x + k·hᵢeᵢ)

        errorᵢ = |aᵢ − nᵢ| / (max(|aᵢ|, |nᵢ|) + 10⁻³ max(|f(x)|, maxⱼ|nⱼ|))

    The error does not change when f is scaled; its last term keeps the rounding of f out of entries that are nearly 0.
    All leaves of x go to f as float64, and mixed dtypes are promoted inside, so that constants in f may be float32; an
    f that itself computes in a lower precision needs a larger step and tolerance. The 2n or 4n evaluations for n
    entries run in compiled chunks; where n is large, `directions` check all entries at once, by few evaluations.

    Second derivatives are checked as the gradient of a slope: `check_gradient(lambda x: ∇f(x)·v, x)`, see the example.
    A kink, such as ReLU at 0, is an error as well: there is no derivative, and the quotient is a mean of two slopes.

    Args:
        f: x, *args → a real number, or a pair of that and anything.
        x: where, a pytree of real floating arrays; None is an empty node.
        *args: what else f takes, such as a batch.
        step: relative step > 0; None is ε^⅓ for order 2 and ε^⅕ for order 4, which balances truncation and rounding.
        tolerance: the largest error that passes, > 0; with `float("inf")` one always gets the report.
        order: 2 or 4, the order of the truncation error in h.
        entries: check only so many entries, drawn with `key`; None is all.
        directions: in place of entries, check the slope along so many random directions of length 1, drawn with `key`.
        key: the random key of the draw.

    Returns:
        A `GradientCheck` with the worst entry, and the errors, gradients and quotients as trees like x.

    Raises:
        ValueError: if an entry is outside the tolerance, naming the worst by its path; if f(x) is not finite.
        TypeError: if f does not return a real scalar, or x has integer or complex leaves, or is traced.

    Reference: Nocedal, Wright, Numerical optimization, 2nd edition, 2006, section 8.1.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> fg.check_gradient(lambda p: jnp.sum(p["w"] ** 2) + p["b"], {"w": jnp.ones(3), "b": 0.5}).analytic["w"].tolist()
    [2.0, 2.0, 2.0]
    >>> slope = lambda x: fg.directional_derivative(lambda x: x[0] ** 2 * x[1], x, jnp.array([1.0, 0.0]))
    >>> fg.check_gradient(slope, jnp.array([1.0, 3.0])).analytic.tolist()
    [6.0, 2.0]
    >>> fg.check_gradient(lambda w: jnp.sum(jax.nn.relu(w)), jnp.array([1.0, 0.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: check_gradient: `x[1]` must have the same derivative both ways, got 0 by jax.grad, 0.5 by ... a kink.
    """
    _check_numbers(step, tolerance, order)
    _check_argument(x)
    leaves, structure = jax.tree.flatten(x)
    shapes = [np.shape(leaf) for leaf in leaves]
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    flat = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves] or [np.zeros(0)])
    checked, p = _choose(flat.size, entries, directions, key)
    if not checked.size:
        raise ValueError("check_gradient: `x` must have at least one entry, got none.")

    def unflatten(v: Any) -> Any:
        parts = [v[a:b].reshape(shape) for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]
        return structure.unflatten(parts)

    scalar = objective("check_gradient", f, args, name="f")
    size = np.finfo(np.float64).eps ** (1 / (order + 1)) if step is None else step
    h = _steps(flat, checked, p, size)
    evaluated = _evaluate(lambda v: scalar(unflatten(v)), flat, checked, p, h, len(_QUOTIENTS[order]))
    value, gradient, above, below = evaluated
    if not np.isfinite(value):
        raise ValueError(f"check_gradient: `f` must be finite at x, got {value}.")

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        analytic = gradient[checked] if p is None else p @ gradient
        numeric = sum(weight * (above[k - 1] - below[k - 1]) for k, weight in _QUOTIENTS[order]) / h
        scale = max(abs(value), np.max(abs(numeric), where=np.isfinite(numeric), initial=0))
        magnitude = np.maximum(abs(analytic), abs(numeric)) + 1e-3 * scale
        error = abs(analytic - numeric) / np.where(magnitude == 0, 1, magnitude)
        error = np.where(np.isfinite(error), error, np.inf)
        sides = (above[0] - value) / h, (value - below[0]) / h

    def report(numbers: np.ndarray) -> Any:
        if p is not None:
            return numbers
        full = np.full(flat.size, np.nan)
        full[checked] = numbers
        return unflatten(full)

    i = int(np.argmax(error))
    path = f"directions[{i}]" if p is not None else _path(x, ends, shapes, int(checked[i]))
    a, n = float(analytic[i]), float(numeric[i])
    if not error[i] <= tolerance:
        right, left, others = float(sides[0][i]), float(sides[1][i]), np.sum(error > tolerance) - 1
        prefix, kind = ("x", "entries") if p is None else ("", "directions")
        kink = f" The one-sided quotients are {left:.3g} and {right:.3g}: there may be a kink."
        raise ValueError(
            f"check_gradient: `{prefix}{path}` must have the same derivative both ways, got {a:.10g} by jax.grad, "
            f"{n:.10g} by the difference quotient. The relative error {error[i]:.3g} is above the tolerance "
            f"{tolerance:g}; so are {others} others of {error.size} {kind}."
            f"{kink * bool(abs(right - left) > 0.01 * magnitude[i])}"
        )
    return GradientCheck(float(error[i]), path, a, n, report(error), report(analytic), report(numeric))


def _steps(x: np.ndarray, checked: np.ndarray, p: np.ndarray | None, size: float) -> np.ndarray:
    """(k,): the lengths h of the steps."""
    sizes = np.maximum(1, np.abs(x))
    if p is not None:
        return size * (p**2 @ sizes)
    return (x[checked] + size * sizes[checked]) - x[checked]  # the step that is really taken, after rounding


def _evaluate(
    f: Callable[[Any], Any], x: np.ndarray, checked: np.ndarray, p: np.ndarray | None, h: np.ndarray, count: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """(f(x), ∇f(x), f(x + kh) for k = 1 … count, f(x − kh)), the last two of shape (count, len(checked))."""
    width = min(_CHUNK, checked.size)
    chunks = -(-checked.size // width)
    index, length = np.resize(checked, (chunks, width)), np.resize(h, (chunks, width))  # the last chunk is filled up
    multiples = np.array([sign * k for sign in (1, -1) for k in range(1, count + 1)], np.float64)

    def run(x: jax.Array, p: jax.Array | None, index: jax.Array, length: jax.Array, multiples: jax.Array) -> Any:
        def at(i: jax.Array, h: jax.Array, multiple: jax.Array) -> jax.Array:
            moved = x.at[i].add(multiple * h) if p is None else x + multiple * h * p[i]
            return jnp.asarray(f(moved), jnp.float64)

        along_multiples = jax.vmap(at, in_axes=(None, None, 0))
        along_checked = jax.vmap(along_multiples, in_axes=(0, 0, None))
        value, gradient = jax.value_and_grad(f)(x)
        return value, gradient, jax.lax.map(lambda chunk: along_checked(chunk[0], chunk[1], multiples), (index, length))

    with float64_mode(), jax.numpy_dtype_promotion("standard"):
        value, gradient, values = jax.device_get(jax.jit(run)(x, p, index, length, multiples))
    values = values.reshape(-1, 2 * count)[: checked.size].T
    return float(value), np.asarray(gradient, np.float64), values[:count], values[count:]


def _choose(
    n: int, entries: int | None, directions: int | None, key: jax.Array | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(the numbers of the entries, None), or (the numbers of the directions, the directions as rows)."""
    if entries is None and directions is None:
        return np.arange(n), None
    if entries is not None and directions is not None:
        raise ValueError(
            f"check_gradient: `entries` and `directions` exclude each other, got {entries!r} and {directions!r}."
        )
    name, given = ("entries", entries) if directions is None else ("directions", directions)
    try:
        count = as_count(given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"check_gradient: `{name}`: {error}") from error
    check_key("check_gradient", key)
    if directions is None:
        return np.sort(np.asarray(jax.random.permutation(key, n))[:count]), None  # pyright: ignore[reportArgumentType]
    p = np.asarray(jax.random.normal(key, (count, n)), np.float64)  # pyright: ignore[reportArgumentType]
    return np.arange(count if n else 0), p / np.linalg.norm(p, axis=1, keepdims=True)


def _path(x: Params, ends: np.ndarray, shapes: list[tuple[int, ...]], i: int) -> str:
    leaf = int(np.searchsorted(ends, i, side="right")) - 1
    path, _ = jax.tree_util.tree_leaves_with_path(x)[leaf]
    index = ", ".join(str(k) for k in np.unravel_index(i - ends[leaf], shapes[leaf]))
    return jax.tree_util.keystr(path) + f"[{index}]" * bool(shapes[leaf])


def _check_numbers(step: float | None, tolerance: float, order: int) -> None:
    for name, number in (("step", step), ("tolerance", tolerance)):
        if number is not None and not number > 0:
            raise ValueError(f"check_gradient: `{name}` must be positive, got {number!r}.")
    if order not in _QUOTIENTS:
        raise ValueError(f"check_gradient: `order` must be 2 or 4, got {order!r}.")


def _check_argument(x: Params) -> None:
    check_leaves("check_gradient", "x", x)
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        where = f"check_gradient: `x{jax.tree_util.keystr(path)}`"
        if is_traced(leaf):
            raise TypeError(f"{where} is traced; check_gradient runs outside of jit, grad and vmap.")
        if jnp.iscomplexobj(leaf):
            raise TypeError(f"{where} must be real, got {jnp.result_type(leaf)}; write f in real and imaginary parts.")
