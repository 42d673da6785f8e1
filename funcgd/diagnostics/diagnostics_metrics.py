"""The numbers of a diagnosis as metrics of a run."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from funcgd.core.fields import field, static
from funcgd.core.types import Batch, Params
from funcgd.core.values import value
from funcgd.diagnostics.columns import columns
from funcgd.diagnostics.diagnose import as_names
from funcgd.diagnostics.layers import measure
from funcgd.training import partition
from funcgd.training.per_example import as_loss


@value
class diagnostics_metrics:
    """The numbers of `diagnose` as a pure function (params, batch) → dict, for a compiled run.

    It is what `fg.fit` takes as `metrics`, evaluated on validation data at the end of each epoch; called inside a loss
    its dict may go into `fg.Aux(metrics=…)`, where it costs another gradient in each step, and is not differentiated.
    Names are those of layer and column: "layer1/gradient_norm", "layer1/dead". There is no bound and no update among
    them. A value: equal ones share compilations.

    Args:
        model, loss, layers: see `diagnose`.

    Raises:
        TypeError, ValueError: see `diagnose`.

    Reference: see `diagnose`.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> model = fg.multilayer_perceptron([3, 4, 1], "relu")
    >>> metrics = jax.jit(fg.diagnostics_metrics(model, fg.l2_loss, layers=["layer1"]))
    >>> found = metrics(model.init(jax.random.key(0)), {"x": jnp.ones((2, 3)), "y": jnp.zeros((2, 1))})
    >>> [name for name in found if "weight" not in name]
    ['layer1/activation_norm', 'layer1/dead', 'layer1/gradient_norm', 'layer1/gradient_ratio']
    """

    model: Any = static()
    loss: Callable = field("plain", as_loss)
    layers: Sequence[str] | None = static(default=None, convert=as_names)

    def __call__(self, params: Params, batch: Batch) -> dict[str, jax.Array]:
        who = "diagnostics_metrics"
        packed = jax.lax.stop_gradient(partition.pack(who, "params", params))
        measured = measure(who, self.model, packed, batch, self.loss, self.layers)
        rows = zip(measured.layers, columns(measured, partition.split(packed)[0]), strict=True)
        return {
            f"{layer.name}/{name}": x
            for layer, numbers in rows
            if self.layers is None or layer.name in self.layers
            for name, x in numbers.items()
        }
