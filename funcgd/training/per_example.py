"""From one example to a batch, by vmap."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.types import Batch, Params
from funcgd.core.validate import leading_axis
from funcgd.core.values import value
from funcgd.training.objective import Aux


@value
class mean_loss:
    """The batch loss that is the mean of a loss for one example, built by `vmap`.

        L(θ) = (1/N) Σₙ ℓ(θ, xₙ)

    A value: two of them around the same function are equal and share compilations.

    Args:
        per_example_loss: `ℓ(params, example)` → a scalar, or (scalar, `fg.Aux`), whose metrics and model state are
            averaged too. Parameters named `key` (another key for each example) and `model_state` are filled in.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> loss = fg.mean_loss(lambda w, example: (w * example["x"] - example["y"]) ** 2)
    >>> float(loss(2.0, {"x": jnp.array([1.0, 2.0]), "y": jnp.array([1.0, 1.0])}))
    5.0
    """

    per_example_loss: Callable

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.per_example_loss)

    def __call__(self, params: Params, batch: Batch, **extra: Any) -> Any:
        n = leading_axis("mean_loss", "batch", batch)
        if "key" in extra:
            extra["key"] = jax.random.split(extra["key"], n)
        axes = {name: 0 if name == "key" else None for name in extra}

        def one(example: Any, extra: dict[str, Any]) -> Any:
            return self.per_example_loss(params, example, **extra)

        out = jax.vmap(one, in_axes=(0, axes))(batch, extra)
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), out)


def per_example_grad(loss: Callable) -> Callable[[Params, Batch], Params]:
    """The gradient of every example of a batch: `vmap` of `jax.grad`.

    Args:
        loss: `loss(params, example)` → a real scalar, for one example.

    Returns:
        A function (params, batch) → gradients like `params`, each with a leading axis over the examples.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.per_example_grad(lambda w, x: (w * x) ** 2)(1.0, jnp.array([1.0, 2.0])).tolist()
    [2.0, 8.0]
    """

    def gradients(params: Params, batch: Batch) -> Params:
        leading_axis("per_example_grad", "batch", batch)

        def value_of(params: Params, example: Any) -> Any:
            out = loss(params, example)
            return out[0] if isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], Aux) else out

        return jax.vmap(jax.grad(value_of), in_axes=(None, 0))(params, batch)

    return gradients
