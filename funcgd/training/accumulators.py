"""How the results of micro-batches become one."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import describe
from funcgd.core.validate import is_inexact


class AccumulationType(enum.Enum):
    """How the results of micro-batches become one.

    - MEAN: their mean; one of fewer examples weighs less.
    - SUM: their sum.
    - RUNNING_MEAN: their mean, renewed with each: only those that were computed count.
    - CONCAT: an axis over the examples is put together again, in the order of the batch; scalars become an array.

    >>> import funcgd as fg
    >>> [kind.name for kind in fg.AccumulationType]
    ['MEAN', 'SUM', 'RUNNING_MEAN', 'CONCAT']
    """

    MEAN = 1
    SUM = 2
    RUNNING_MEAN = 3
    CONCAT = 4


@dataclasses.dataclass(frozen=True)
class Accumulator:
    """A rule of your own, by which the results of micro-batches become one; of each leaf of the result by itself.

    Args:
        init: shape and dtype of one result → what is carried on.
        update: (carried, result, number of the micro-batch, from 0) → carried, of the same shapes and dtypes.
        finalize: carried → the result of all.
        aggregate: results with an axis over examples in front → one, in `micro_vmap`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> largest = fg.Accumulator(
    ...     init=lambda like: jnp.full(like.shape, -jnp.inf, like.dtype),
    ...     update=lambda carried, result, i: jnp.maximum(carried, result),
    ...     finalize=lambda carried: carried,
    ...     aggregate=lambda results: results.max(0),
    ... )
    >>> float(fg.micro_vmap(jnp.sin, microbatch_size=4, accumulator=largest)(jnp.arange(100.0)))  # doctest: +NUMBER
    0.9999
    """

    init: Callable[[jax.ShapeDtypeStruct], Any]
    update: Callable[[Any, jax.Array, Any], Any]
    finalize: Callable[[Any], Any]
    aggregate: Callable[[jax.Array], Any]


class Pieces(NamedTuple):
    """A batch of n examples as `count` micro-batches of `size` examples, and a shorter one of the `rest`."""

    n: int
    size: int

    @property
    def count(self) -> int:
        return self.n // self.size

    @property
    def rest(self) -> int:
        return self.n % self.size

    def is_rest(self, i: Any) -> bool:
        """Whether i is the number of the rest, which is a Python integer; those of the others are traced."""
        return isinstance(i, int) and i == self.count

    def weight(self, i: Any) -> float:
        """How much micro-batch i counts: 1, and less if it is the rest."""
        return self.rest / self.size if self.is_rest(i) else 1.0

    def weight_up_to(self, i: Any) -> Any:
        """How much the micro-batches from the first to i count together."""
        return self.n / self.size if self.is_rest(i) else i + 1


def accumulators_of(accumulator: Any, results: Any, pieces: Pieces) -> list[Accumulator]:
    """The accumulator for each leaf of `results`, of a tree that says so for its first levels.

    Raises:
        TypeError: if something else is among them.
    """

    def spread(kind: Any, part: Any) -> Any:
        if isinstance(kind, AccumulationType):
            return jax.tree.map(lambda leaf: _built_in(kind, leaf, pieces), part)
        if isinstance(kind, Accumulator):
            return jax.tree.map(lambda _: kind, part)
        raise TypeError(
            f"microbatch: `accumulator` must be an fg.AccumulationType or fg.Accumulator, got {describe(kind)}."
        )

    return jax.tree.leaves(jax.tree.map(spread, accumulator, results))


def _built_in(kind: AccumulationType, leaf: Any, pieces: Pieces) -> Accumulator:
    if kind is AccumulationType.CONCAT:
        return _concatenation(pieces)
    result = leaf.dtype if is_inexact(leaf) else jnp.sum(jnp.zeros(1, leaf.dtype)).dtype
    if kind is not AccumulationType.SUM and not is_inexact(leaf):
        result = numerics.wide_dtype()
    held = numerics.widen(jnp.zeros((), result)).dtype if jnp.issubdtype(result, jnp.inexact) else result

    def init(like: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.zeros(like.shape, held)

    def add(total: jax.Array, x: jax.Array, i: Any) -> jax.Array:
        return total + jnp.asarray(x, held)

    def add_share(total: jax.Array, x: jax.Array, i: Any) -> jax.Array:
        return total + pieces.weight(i) * jnp.asarray(x, held)

    def renew(mean: jax.Array, x: jax.Array, i: Any) -> jax.Array:
        share = pieces.weight(i) / jnp.asarray(pieces.weight_up_to(i), mean.real.dtype)
        return mean + jnp.asarray(share, held) * (jnp.asarray(x, held) - mean)

    update = {AccumulationType.SUM: add, AccumulationType.MEAN: add_share, AccumulationType.RUNNING_MEAN: renew}[kind]
    weight = pieces.n / pieces.size if kind is AccumulationType.MEAN else 1
    reduce = jnp.sum if kind is AccumulationType.SUM else jnp.mean
    return Accumulator(
        init,
        update,
        finalize=lambda total: jnp.asarray(total if weight == 1 else total / weight, result),
        aggregate=lambda results: reduce(jnp.asarray(results, held), axis=0),
    )


def _concatenation(pieces: Pieces) -> Accumulator:
    """Micro-batch i has the examples i, i + k, i + 2k, … of the first k·m, so they are columns of (m, k) numbers."""

    def init(like: jax.ShapeDtypeStruct) -> tuple[jax.Array, jax.Array | None]:
        if like.shape and like.shape[0] != pieces.size:
            raise ValueError(
                f"microbatch: what is to be concatenated must be a scalar or have a leading axis over the examples of "
                f"a micro-batch, here {pieces.size}; got shape {like.shape}."
            )
        columns = (*like.shape[:1], pieces.count, *like.shape[1:])
        rest = (pieces.rest, *like.shape[1:]) if like.shape else (1,)
        return jnp.zeros(columns, like.dtype), jnp.zeros(rest, like.dtype) if pieces.rest else None

    def update(carry: tuple[jax.Array, Any], x: jax.Array, i: Any) -> tuple[jax.Array, Any]:
        columns, rest = carry
        if pieces.is_rest(i):
            return columns, jnp.asarray(x, columns.dtype).reshape(rest.shape)
        axis = min(jnp.ndim(x), 1)  # of scalars there is one row
        return jax.lax.dynamic_update_index_in_dim(columns, jnp.asarray(x, columns.dtype), i, axis), rest

    def finalize(carry: tuple[jax.Array, Any]) -> jax.Array:
        columns, rest = carry
        together = columns if columns.ndim == 1 else columns.reshape(-1, *columns.shape[2:])
        return together if rest is None else jnp.concatenate([together, rest])

    return Accumulator(init, update, finalize, aggregate=lambda results: results)
