"""What the numbers of the layers say, in sentences."""

import math
from collections.abc import Iterable

from funcgd.diagnostics.activations import LIMITS, RECTIFIERS, steepest

Column = dict[str, float]

VANISHED = 1e-3  # of the gradient at the output: with one learning rate for all, such layers stand still
EXPLODED = 1e3
SATURATED = 0.5  # of the activations: more than half of what the layer knows passes no gradient
DEAD = 0.1  # of the units
LARGE_UPDATE = 0.1  # of the weights, in one step


def vanishing(ratio: Column) -> tuple[str, ...]:
    """The layers whose gradient vanishes."""
    return tuple(name for name, r in ratio.items() if r < VANISHED)


def exploding(ratio: Column) -> tuple[str, ...]:
    """The layers whose gradient explodes."""
    return tuple(name for name, r in ratio.items() if r > EXPLODED)


def verdict(
    loss: float, activation: dict[str, str | None], columns: dict[str, Column], bound: Column
) -> tuple[str, ...]:
    """Sentences: what is wrong, in which layers, and what to try."""
    said = [*_not_finite(loss, columns), *_gradients(activation, columns, bound)] or [
        "No layer's gradient vanishes or explodes."
    ]
    return (*said, *_units(activation, columns), *_updates(columns))


def _not_finite(loss: float, columns: dict[str, Column]) -> Iterable[str]:
    bad = [name for name, x in columns["activation_norm"].items() if not math.isfinite(x)]
    if bad:
        yield (
            f"Activations are NaN or infinite from {bad[0]} on: look at its input and weights. After some steps of "
            f"training, try a lower learning rate or fg.clip_by_global_norm; fg.skip_nonfinite leaves such steps out."
        )
    elif not math.isfinite(loss):
        yield f"The loss is {loss}, though all activations are finite: look at the loss itself, and at the targets."
    elif bad := [name for name, x in columns["gradient_norm"].items() if not math.isfinite(x)]:
        yield f"Activations and loss are finite, but the gradient is not, from {bad[-1]} back to {bad[0]}."


def _gradients(activation: dict[str, str | None], columns: dict[str, Column], bound: Column) -> Iterable[str]:
    ratio, norm = columns["gradient_ratio"], columns["gradient_norm"]
    if all(x == 0 for x in norm.values()):
        yield "No gradient at all: the loss is flat here."
        return
    if lost := vanishing(ratio):
        yield f"The gradient vanishes in {_listed(lost)}{_size(lost[0], ratio, bound)}"
        hidden = list(activation.values())[:-1]
        slow = sorted({name for name in hidden if name is not None and (name in LIMITS or steepest(name) < 1)})
        other = f"an activation whose slope stays 1, such as relu, in place of {_listed(slow)}; " if slow else ""
        yield (
            f"Try {other}larger initial weights (initializer Glorot for tanh, He for relu), unless units are "
            f"saturated; fewer layers, connections that skip some, or normalisation."
        )
    if grown := exploding(ratio):
        yield f"The gradient explodes in {_listed(grown)}{_size(grown[0], ratio, bound)}"
        yield (
            "Try clipping (fg.clip_by_global_norm, fg.clip), smaller initial weights (initializer Glorot or He), and "
            "regularisation (fg.l2_penalty, fg.add_decayed_weights)."
        )


def _size(name: str, ratio: Column, bound: Column) -> str:
    beside = f" (the bound ∏ σ′max‖W‖ is {bound[name]:.2g})" if math.isfinite(bound.get(name, math.nan)) else ""
    return f": what reaches {name} is {ratio[name]:.2g} of the gradient at the output{beside}."


def _units(activation: dict[str, str | None], columns: dict[str, Column]) -> Iterable[str]:
    if full := {name: x for name, x in columns["saturated"].items() if x >= SATURATED}:
        yield (
            f"Saturated: {_shares(full)}. Try smaller initial weights, scaled inputs, weight decay (fg.l2_penalty), or "
            f"relu; at the output, a cross-entropy of logits."
        )
    if dead := {name: x for name, x in columns["dead"].items() if x >= DEAD}:
        name = "ReLU units" if all(activation[name] in RECTIFIERS for name in dead) else "units"
        yield (
            f"Dead {name}, 0 for every example: {_shares(dead)}. Try leaky_relu or elu, He initialisation, or a lower "
            f"learning rate."
        )


def _updates(columns: dict[str, Column]) -> Iterable[str]:
    if large := {name: x for name, x in columns["update_ratio"].items() if x > LARGE_UPDATE}:
        yield f"One update changes weights by a large part: {_shares(large)}. Try a lower learning rate, or a warmup."


def _shares(column: Column) -> str:
    return ", ".join(f"{100 * x:.0f} % in {name}" for name, x in column.items())


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
