"""A diagnosis of a network: which layers learn, and what to try where they do not."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.transform import as_transform
from funcgd.core.types import Batch, OptState, Params
from funcgd.core.values import Held, hold, release
from funcgd.diagnostics.columns import columns
from funcgd.diagnostics.layers import measure
from funcgd.diagnostics.objective import check_loss
from funcgd.diagnostics.verdict import exploding, vanishing, verdict
from funcgd.models import Model
from funcgd.training import partition

_SHOWN = {  # columns of the table
    "activation_norm": "‖a‖",
    "gradient_norm": "‖δ‖",
    "gradient_ratio": "ratio",
    "bound": "bound",
    "saturated": "saturated",
    "dead": "dead",
    "weight_norm": "‖θ‖",
    "weight_gradient_norm": "‖∇θ‖",
    "update_ratio": "update",
}


class Diagnosis(NamedTuple):
    """What `fg.diagnose` returns: numbers by layer, from input to output, and what they say. It prints as a table.

    A column has no entry where it means nothing, such as the share of dead units where none can die.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> model = fg.multilayer_perceptron([3, 4, 1], ["tanh", None])
    >>> batch = jnp.ones((2, 3)), jnp.zeros((2, 1))
    >>> found = fg.diagnose(model, model.init(jax.random.key(0)), batch, fg.l2_loss)
    >>> list(found.gradient_norm), found.vanishing, found.verdict
    (['layer1', 'layer2'], (), ("No layer's gradient vanishes or explodes.",))
    """

    loss: float
    activation: dict[str, str | None]  # its name, where it is known
    activation_norm: dict[str, float]  # root mean square over all entries
    gradient_norm: dict[str, float]  # ‖δ‖: root mean square over the examples, [loss]/[a]
    gradient_ratio: dict[str, float]  # ‖δ‖ relative to that of the last layer
    bound: dict[str, float]  # ∏ σ′max‖W‖ from there to the last layer, which the ratio cannot exceed
    saturated: dict[str, float]  # share of activations within 1 % of the range from their limits
    dead: dict[str, float]  # share of units that are 0 for all examples
    weight_norm: dict[str, float]  # of all parameters of the layer, biases too
    weight_gradient_norm: dict[str, float]
    update_ratio: dict[str, float]  # ‖Δθ‖/‖θ‖ of one step of the optimizer
    vanishing: tuple[str, ...]  # layers with a ratio below 1/1000
    exploding: tuple[str, ...]  # and above 1000
    verdict: tuple[str, ...]  # sentences

    def __repr__(self) -> str:
        shown = [name for name in _SHOWN if getattr(self, name)]
        rows = [["layer", "activation", *(_SHOWN[name] for name in shown)]]
        for layer, activation in self.activation.items():
            rows.append([layer, activation or "–", *(_cell(name, getattr(self, name).get(layer)) for name in shown)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self.verdict])


def diagnose(
    model: Any,
    params: Params,
    batch: Batch,
    loss: Callable,
    *,
    tx: Any = None,
    opt_state: OptState | None = None,
    layers: Sequence[str] | None = None,
) -> Diagnosis:
    """Where in a network the gradient vanishes or explodes, and which units are saturated or dead.

        δⁱ = ∂C/∂zⁱ,    ‖δⁱ‖ / ‖δᴹ‖ ≤ ∏ⱼ₌ᵢ … M−1  max|σ′ⱼ| ‖Wʲ⁺¹‖₂

    Layers are those of an `fg.multilayer_perceptron`, called layer1, layer2, …; or, in any function, the output and the
    places tagged by `x = jax.ad_checkpoint.checkpoint_name(x, "hidden")`. There δ is the gradient with respect to what
    is tagged; a tag that comes again is "hidden[1]"; and to each belong the parameters on the way to it since the tags
    before. There is a bound only for networks: between tags there may be anything, such as connections around them.

    Args:
        model: an `fg.multilayer_perceptron`; a function (params, x) → output, or something with such a method `apply`;
            or None, where `loss` is the one of `fg.fit` and has the tags.
        params: a pytree; its floating arrays train.
        batch: (x, y), or a dict with "x" and "y"; where model is None, what the loss takes. Examples on the first axis.
        loss: (output, target) of one example → a number, or one for each output, which are added up, as in
            `backpropagate`; examples are averaged. Where model is None, (params, batch) → a number.
        tx: the optimizer, for the ratio of update and weights.
        opt_state: its state; None is that before the first step.
        layers: names of those to show; None is all.

    Raises:
        ValueError: if there is no layer of a name, or a tag stands inside a loop.
        TypeError: if an argument is not as above. NaN is no error; the verdict says where it begins.

    Reference: Hochreiter, Untersuchungen zu dynamischen neuronalen Netzen, 1991; Glorot, Bengio, Understanding the
    difficulty of training deep feedforward neural networks, AISTATS 2010.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> model = fg.multilayer_perceptron([2] * 9, ["sigmoid"] * 8)
    >>> batch = jnp.array([[0.0, 1.0], [2.0, 0.0]]), jnp.ones((2, 2))
    >>> found = fg.diagnose(model, model.init(jax.random.key(1)), batch, fg.l2_loss)
    >>> found.vanishing[0], found.gradient_ratio["layer1"] < found.bound["layer1"] < 1e-3
    ('layer1', True)
    """
    who = "diagnose"
    check_loss(who, loss)
    try:
        names = as_names(layers)
    except TypeError as error:
        raise TypeError(f"{who}: `layers`: {error}") from None
    if opt_state is not None and tx is None:
        raise ValueError(f"{who}: `opt_state` is that of `tx`, but `tx` is None.")
    tx = None if tx is None else as_transform(who, tx)
    packed = partition.pack(who, "params", params)
    held = model if isinstance(model, Model) else Held(model)
    value, rows = jax.device_get(_numbers(held, hold(loss), packed, batch, tx, opt_state, who, names))
    bounds = np.cumprod([1.0] + [float(gain) for *_, gain in rows[-2::-1]])[::-1]  # from the last layer back
    known = {layer.item: float(bound) for (layer, *_), bound in zip(rows, bounds, strict=True)}
    kept = [row for row in rows if names is None or row[0].item in names]
    table = {name: {r[0].item: float(r[2][name]) for r in kept if name in r[2]} for name in _SHOWN if name != "bound"}
    bound = {row[0].item: known[row[0].item] for row in kept} if any(math.isfinite(row[3]) for row in rows) else {}
    activation = {row[0].item: row[1].item for row in kept}
    ratio = table["gradient_ratio"]
    said = verdict(float(value), activation, table, bound)
    return Diagnosis(
        float(value),
        activation,
        **table,
        bound=bound,
        vanishing=vanishing(ratio),
        exploding=exploding(ratio),
        verdict=said,
    )


def as_names(layers: Any) -> tuple[str, ...] | None:
    """The names of layers as a tuple; None for all.

    Raises:
        TypeError: if it is something else.
    """
    if layers is None:
        return None
    if not isinstance(layers, (list, tuple)) or not layers or not all(isinstance(name, str) for name in layers):
        raise TypeError(f"expected a list of names, or None for all, got {describe(layers)}.")
    return tuple(layers)


@functools.partial(jax.jit, static_argnames=("who", "names"))
def _numbers(
    model: Any, loss: Any, packed: Params, batch: Batch, tx: Any, opt_state: Any, who: str, names: Any
) -> tuple[jax.Array, list[tuple]]:
    """The loss, and (name, activation, numbers, gain) of each layer."""
    measured = measure(who, release(model), packed, batch, release(loss), names)
    trained, updates = partition.split(packed)[0], None
    if tx is not None:
        g, f = measured.gradient, measured.value_fn
        state = tx.init(trained) if opt_state is None else opt_state
        extra = {"value": measured.loss, "grad": g, "value_fn": f, "key": jax.random.key(0)}
        updates, _ = tx.update(g, state, trained, **extra)
    found = columns(measured, trained, updates)
    rows = zip(measured.layers, found, strict=True)
    return measured.loss, [(Held(r.name), Held(r.activation), numbers, r.gain) for r, numbers in rows]


def _cell(column: str, x: float | None) -> str:
    if x is None:
        return "–"
    return f"{100 * x:.0f} %" if column in ("saturated", "dead") and math.isfinite(x) else f"{x:.2g}"
