"""The layers of a model on a batch: activations, gradients, and which parameters belong to them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from funcgd.calculus.backpropagation import backpropagate
from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.core.types import Batch, Params
from funcgd.core.validate import leading_axis
from funcgd.diagnostics.activations import steepest
from funcgd.diagnostics.objective import trained_objective
from funcgd.diagnostics.tags import TaggedFunction
from funcgd.losses import l2_loss, sum_of_squares
from funcgd.models import multilayer_perceptron
from funcgd.training import partition
from funcgd.training.evaluate import examples


class Layer(NamedTuple):
    """One layer on a batch of N."""

    name: str
    activation: str | None  # its name, if it is known
    a: jax.Array  # (N, …), the activations
    delta: jax.Array  # (N, …), √N ∂L/∂a: for a mean loss its norm is the root mean square of those of the examples
    leaves: tuple[int, ...]  # which leaves of what trains belong to it
    gain: Any  # (), σ′max‖W‖ between this layer and the next: what it can multiply gradients by at most; or NaN


class Measured(NamedTuple):
    """A model on a batch."""

    loss: jax.Array  # ()
    layers: list[Layer]  # from input to output
    gradient: Params  # like what trains
    value_fn: Callable[[Params], jax.Array]  # what trains → loss


def measure(
    who: str, model: Any, packed: Params, batch: Batch, loss: Callable, names: Sequence[str] | None
) -> Measured:
    """All layers of `model` at the parameters, on a batch; `names` are those that must be among them.

    Raises:
        ValueError: if there is no layer, or none of a name.
        TypeError: if the model is none, or the batch has not x and y.
    """
    found = _network if isinstance(model, multilayer_perceptron) else _tagged
    measured = found(who, model, packed, batch, loss, names)
    known = [layer.name for layer in measured.layers]
    if not known:
        raise ValueError(
            f"{who}: `loss` has no tagged layer; write x = jax.ad_checkpoint.checkpoint_name(x, 'hidden') in it, or "
            f"give the model."
        )
    for name in names or ():
        if name not in known:
            raise ValueError(f"{who}: `layers` names {name!r}, but there are only {', '.join(map(repr, known))}.")
    return measured


def _network(
    who: str, model: multilayer_perceptron, packed: Params, batch: Batch, loss: Callable, names: Any
) -> Measured:
    del names
    x, y = pair(who, batch)
    trained, carried = partition.split(packed)

    def backward(trained: Params) -> Any:
        return backpropagate(model, partition.unpack(partition.merge(trained, carried)), x, y, loss)

    found, params = backward(trained), partition.unpack(packed)
    gradient = jax.tree.map(lambda p, g: None if p is None else g, trained, found.gradient, is_leaf=lambda p: p is None)
    ends, activations = [0], model.activations
    for part in trained:
        ends.append(ends[-1] + len(jax.tree.leaves(part)))
    if not isinstance(activations, tuple):
        activations = (activations,) * (len(found.z) - 1) + ("identity",)
    layers = []
    for i, activation in enumerate(activations):
        known = activation if isinstance(activation, str) else None
        last = i + 1 == len(activations)
        gain = jnp.nan if last else steepest(known) * jnp.linalg.norm(numerics.widen(params[i + 1]["w"]), 2)
        a, delta = (jnp.atleast_2d(v) for v in (found.a[i + 1], found.delta[i]))
        leaves = tuple(range(ends[i], ends[i + 1]))
        layers.append(Layer(f"layer{i + 1}", known, a, delta / len(delta) ** 0.5, leaves, gain))
    return Measured(found.loss, layers, gradient, lambda trained: backward(trained).loss)


def _tagged(
    who: str, model: Any, packed: Params, batch: Batch, loss: Callable, names: Sequence[str] | None
) -> Measured:
    f, trained = trained_objective(who, loss if model is None else _with_model(who, model, loss), packed, batch)
    leaves, structure = jax.tree.flatten(trained)

    def wanted(tag: str) -> bool:
        return names is None or any(name.split("[")[0] == tag for name in names)

    tagged = TaggedFunction(who, lambda *leaves: f(structure.unflatten(leaves)), leaves, wanted)
    probes = [jnp.zeros(s.shape, s.dtype) for s in tagged.shapes]
    (value, activations), (gradient, deltas) = jax.value_and_grad(tagged, (0, 1), has_aux=True)(leaves, probes)
    n = examples(jax.tree.map(jnp.asarray, batch))
    layers = [
        Layer(tag.name, tag.activation, a, d * n**0.5, tuple(sorted(tag.sources)), jnp.nan)
        for tag, a, d in zip(tagged.tags, activations, deltas, strict=True)
    ]
    if model is not None and tagged.tags[-1].again:
        layers = layers[:-1]  # the model has tagged its result itself
    return Measured(value, layers, structure.unflatten(gradient), f)


def _with_model(who: str, model: Any, loss: Callable) -> Callable[[Params, Batch], jax.Array]:
    apply = getattr(model, "apply", model)
    if not callable(apply):
        raise TypeError(
            f"{who}: `model` must be an fg.multilayer_perceptron, a function (params, x) → output, something with a "
            f"method `apply` like that, or None; got {describe(model)}."
        )

    if loss is sum_of_squares:
        loss = l2_loss  # of one example, as in backpropagate

    def value(params: Params, batch: Batch) -> jax.Array:
        x, y = pair(who, batch)
        output = checkpoint_name(apply(params, x), "output")
        n = leading_axis(who, "the output of `model`", output)
        return jnp.sum(jax.vmap(lambda output, y: jnp.sum(loss(output, y)))(output, y)) / n

    return value


def pair(who: str, batch: Batch) -> tuple[Any, Any]:
    """x and y of a batch.

    Raises:
        TypeError: if it is neither a pair nor a dict with both.
    """
    if isinstance(batch, Mapping) and {"x", "y"} <= set(batch):
        return batch["x"], batch["y"]
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise TypeError(f"{who}: `batch` must be a pair (x, y), or a dict with 'x' and 'y'; got {describe(batch)}.")
