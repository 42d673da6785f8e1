"""The delta rule: how a single unit learns from its error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.losses.check import first_bad, known
from funcgd.models.activations import as_activation, resolve_activation


class DeltaRule(NamedTuple):
    """What `delta_rule` computes, of one example and of a batch.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.delta_rule("linear", jnp.array([1.0]), jnp.array([2.0]), 5.0)
    DeltaRule(output=Array(2., dtype=float32), delta=Array(-3., dtype=float32), gradient=Array([-6.], dtype=float32))
    """

    output: jax.Array  # () or (N,), ŷ
    delta: jax.Array  # () or (N,), δ = ∂L/∂z of each example's own L
    gradient: jax.Array  # (n,), ∂L/∂w: of a batch, the mean over its examples


def delta_rule(unit: str | Callable[[jax.Array], jax.Array], w: Any, x: Any, y: Any) -> DeltaRule:
    """The gradient of a single unit's squared error, by its δ.

        z = wᵀx,    ŷ = σ(z),    L = ½(y − ŷ)²
        δ = −(y − ŷ) σ′(z),    ∂L/∂w = δ x         so that w ← w − ηδx learns

    The unit decides on σ and σ′:

        "linear"        ŷ = z                   δ = −(y − z)
        "sigmoid"       ŷ = σ(z) = 1/(1 + e⁻ᶻ)   δ = −(y − ŷ) ŷ(1 − ŷ)
        "softplus", "relu", "tanh", …, or a function of a number: by its derivative
        "perceptron"    ŷ = 1 if z > 0 else −1   δ = −(y − ŷ)/2: 0 where ŷ is right, else −y

    The step of the perceptron has no derivative to descend by. Rosenblatt's rule leaves it out: it adds ηyx where the
    unit is wrong, and after finitely many mistakes there are none, if any w makes none. So its "gradient" is not that
    of L, but that of `perceptron_loss` (at z = 0 alone they differ). A bias is a weight whose input is 1.

    Args:
        unit: one of these names, a function, or None for "linear".
        w: the weights, shape (n,), floating and real.
        x: one example, shape (n,), or a batch of N, shape (N, n).
        y: its target, shape () or (N,); −1 or 1 for a perceptron.

    Raises:
        ValueError, TypeError: if shapes do not match, numbers are complex, weights integers, or the name is unknown.

    Reference: Widrow, Hoff, Adaptive switching circuits, IRE WESCON Convention Record, 1960; Rosenblatt, The
    perceptron, Psychological Review 65, 1958.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> w, x = jnp.array([0.0, 0.0]), jnp.array([1.0, 2.0])
    >>> output, delta, gradient = fg.delta_rule("sigmoid", w, x, 1.0)
    >>> float(output), float(delta), gradient.tolist()
    (0.5, -0.125, [-0.125, -0.25])
    """
    w, x, y = _check(w, x, y)
    z = x @ w
    if unit == "perceptron":
        _check_signs(y)
        output = jnp.where(z > 0, jnp.ones_like(z), -jnp.ones_like(z))
        delta = -(y - output) / 2
    else:
        output, slope = jax.jvp(_activation(unit), (z,), (jnp.ones_like(z),))
        if output.shape != z.shape:
            raise ValueError(f"delta_rule: `unit` must keep the shape; it turned {z.shape} into {output.shape}.")
        delta = -(y - output) * slope
    gradient = delta * x if x.ndim == 1 else delta @ x / len(x)
    return DeltaRule(output, delta, gradient)


def _activation(unit: Any) -> Callable[[jax.Array], jax.Array]:
    try:
        name = as_activation(None if unit == "linear" else unit)
    except (TypeError, ValueError) as error:
        raise type(error)(f"delta_rule: `unit`: {error}") from error
    if name in ("softmax", "log_softmax"):
        raise ValueError(f"delta_rule: `unit` must act on one number, but {name!r} is of a layer of them.")
    return resolve_activation(name)


def _check(w: Any, x: Any, y: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    w, x, y = jnp.asarray(w), jnp.asarray(x), jnp.asarray(y)
    for name, v in (("w", w), ("x", x), ("y", y)):
        if jnp.iscomplexobj(v):
            raise TypeError(f"delta_rule: `{name}` must be real, got {v.dtype}.")
    if not jnp.issubdtype(w.dtype, jnp.floating):
        raise TypeError(f"delta_rule: `w` must be floating, got {w.dtype}.")
    if w.ndim != 1 or x.ndim not in (1, 2) or x.shape[-1] != len(w) or not x.size:
        raise ValueError(
            f"delta_rule: `w` must have shape (n,), and `x` (n,) or (N, n) with N ≥ 1; got {w.shape} and {x.shape}."
        )
    if y.shape != x.shape[:-1]:
        raise ValueError(f"delta_rule: `y` must have shape {x.shape[:-1]}, one target for each example, got {y.shape}.")
    return w, x.astype(w.dtype), y.astype(w.dtype)


def _check_signs(y: jax.Array) -> None:
    if known(y):
        targets = np.asarray(y)
        first_bad("delta_rule", targets, abs(targets) != 1, "{-1, 1} for a perceptron", "y")
