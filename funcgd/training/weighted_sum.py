"""A loss that is a weighted sum of losses."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics, signature
from funcgd.core.fields import describe, field, is_number, plain, static
from funcgd.core.signature import instance_signature
from funcgd.core.types import Batch, Params, Scalar
from funcgd.core.values import value
from funcgd.training import objective
from funcgd.training.objective import Aux, check_scalar, parted
from funcgd.training.penalties import Penalty
from funcgd.training.per_example import as_loss, mean_loss


def as_names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """`names` as a tuple of strings."""
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"expected a sequence of strings, got {describe(names)}.")
    return tuple(names)


def as_losses(owner: str, name: str, losses: Any) -> tuple:
    """`losses` as a tuple of callables."""
    if not isinstance(losses, (list, tuple)):
        raise TypeError(f"{owner}: `{name}` must be a sequence of losses, got {describe(losses)}.")
    if not losses:
        raise ValueError(f"{owner}: `{name}` must hold at least one loss, got none.")
    return tuple(as_loss(owner, f"{name}[{i}]", loss) for i, loss in enumerate(losses))


def as_numbers(owner: str, name: str, numbers: Any) -> tuple:
    """`numbers` as a tuple of floats."""
    if not isinstance(numbers, (list, tuple)) and np.ndim(numbers) != 1:
        raise TypeError(f"{owner}: `{name}` must be a sequence of numbers, got {describe(numbers)}.")
    for i, x in enumerate(numbers):
        if not is_number(x):
            raise TypeError(f"{owner}: `{name}[{i}]` must be a number, got {describe(x)}.")
    return plain(owner, name, tuple(numbers))


@value
class weighted_sum:
    """The sum of losses times their weights; it reports each of them as a metric.

        L(θ) = Σᵢ wᵢ Lᵢ(θ)

    A value: the weights are numbers of it, so other weights do not recompile, and one may differentiate with respect
    to them. Metrics that the losses report are passed on under their own names.

    Args:
        losses: Lᵢ(params, batch) → a real scalar, or (scalar, `fg.Aux`). Those that have a parameter named `key` get a
            key each; those that have one named `model_state` or `training` all get the same, and at most one may return
            a new model state.
        weights: wᵢ, real numbers, one for each loss.
        names: under which the losses are reported; None is the names of the functions.

    Raises:
        TypeError, ValueError: at construction, if there are not as many weights and names as losses, or names are
            missing or not unique; when called, if a loss returns no scalar, two report the same metric, or two return a
            model state.

    >>> import funcgd as fg
    >>> def data(w, batch):
    ...     return (w - batch) ** 2
    >>> def prior(w, batch):
    ...     return w**2
    >>> loss = fg.weighted_sum([data, prior], [1.0, 0.5])
    >>> loss
    weighted_sum(losses=(data, prior), weights=(1.0, 0.5))
    >>> value, aux = loss(2.0, 5.0)
    >>> float(value), aux.metrics
    (11.0, {'data': 9.0, 'prior': 4.0})
    """

    losses: Sequence[Callable] = field("plain", as_losses)
    weights: Sequence[Scalar] = field("plain", as_numbers)
    names: Sequence[str] | None = static(default=None, convert=as_names)

    def __post_init__(self) -> None:
        n, titles = len(self.losses), self._titles
        for what, x in (("weights", self.weights), ("names", titles)):
            if len(x) != n:
                raise ValueError(f"weighted_sum: `{what}` must be {n}, one for each loss, got {len(x)}.")
        for i, title in enumerate(titles):
            if title is None:
                raise ValueError(f"weighted_sum: `losses[{i}]` has no name; give `names`, one for each loss.")
            if title == "loss":
                raise ValueError(
                    f"weighted_sum: `losses[{i}]` is named 'loss', as the sum will be; give `names`, one for each loss."
                )
            if title in titles[:i]:
                raise ValueError(f"weighted_sum: two losses are named {title!r}; give `names`, one for each loss.")

    @property
    def _titles(self) -> list[Any]:
        return list(self.names) if self.names is not None else [_name(loss) for loss in self.losses]

    @instance_signature
    def __signature__(self) -> inspect.Signature:
        extra = ("key", "model_state", "training")
        wanted = [name for name in extra if any(signature.names(loss, name) for loss in self.losses)]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind) for name in ("params", "batch", *wanted)])

    def init_model_state(self) -> Any:
        """That of the one loss inside which has one; None if there is none."""
        states = [objective.initial_model_state(loss) for loss in self.losses]
        states = [state for state in states if state is not None]
        if len(states) > 1:
            raise ValueError("weighted_sum: at most one loss may have a model state, got several that start with one.")
        return states[0] if states else None

    def __call__(self, params: Params, batch: Batch, **extra: Any) -> tuple[jax.Array, Aux]:
        terms: list[jax.Array] = []
        metrics: dict[str, Any] = {}
        model_state, source = None, None
        for i, (title, loss, weight) in enumerate(zip(self._titles, self.losses, self.weights, strict=True)):
            if np.shape(weight):
                raise ValueError(
                    f"weighted_sum: `weights[{i}]` has shape {np.shape(weight)}, so this is a stack of values "
                    f"(fg.stack, fg.grid). Use it under jax.vmap, or take one member with fg.unstack."
                )
            own = {name: x for name, x in extra.items() if signature.names(loss, name)}
            if "key" in own:
                own["key"] = jax.random.fold_in(own["key"], i)
            term, aux = parted(loss(params, batch, **own))
            aux = Aux() if aux is None else aux
            check_scalar("weighted_sum", f"`{title}`", term)
            if not isinstance(aux, Aux):
                raise TypeError(
                    f"weighted_sum: `{title}` must return a value or (value, fg.Aux(…)), got {describe(aux)} beside it."
                )
            for name, x in ((title, term), *aux.metrics.items()):
                if name in metrics:
                    raise ValueError(
                        f"weighted_sum: {name!r} is reported twice, the second time by `{title}`; rename the metric, "
                        f"or give other `names`."
                    )
                metrics[name] = x
            if aux.model_state is not None:
                if source is not None:
                    raise ValueError(
                        f"weighted_sum: at most one loss may return a model state, got one of `{source}` and one of "
                        f"`{title}`."
                    )
                model_state, source = aux.model_state, title
            dtype = numerics.wide_dtype(jnp.result_type(term))
            terms.append(jnp.asarray(weight, dtype) * jnp.asarray(term, dtype))
        dtype = numerics.wide_dtype(*(term.dtype for term in terms))
        total = sum((jnp.asarray(term, dtype) for term in terms), jnp.zeros((), dtype))
        return total, Aux(metrics, model_state)


def _name(loss: Any) -> str | None:
    """The name of the function inside `loss`; None if it has none."""
    if isinstance(loss, mean_loss):
        return _name(loss.per_example_loss)
    if isinstance(loss, Penalty):
        return _name(loss.loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    return None if name == "<lambda>" else name
