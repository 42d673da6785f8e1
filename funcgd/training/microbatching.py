"""Micro-batches: a function of a batch, computed piece by piece in the memory of a piece."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import as_count
from funcgd.core.validate import common_length
from funcgd.training.accumulators import AccumulationType, Accumulator, Pieces, accumulators_of

__all__ = [
    "AccumulationType",
    "Accumulator",
    "MicroGradAux",
    "micro_grad",
    "micro_vmap",
    "microbatch",
    "reshape_batch_axis",
]


def reshape_batch_axis(tree: Any, microbatch_size: int, axis: int = 0) -> Any:
    """Cut an axis of N examples into two: N/m micro-batches of m examples each.

    Micro-batch i has the examples i, i + N/m, i + 2N/m, …, so that where the axis is sharded, the examples of every
    micro-batch are, too, and none moves to another device.

    Args:
        tree: arrays with N examples along `axis`.
        microbatch_size: m, which divides N.
        axis: where the examples are; there come the two new axes, first that of the micro-batches.

    Raises:
        ValueError: if m does not divide N.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.microbatching.reshape_batch_axis(jnp.arange(6), 2).tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    m = _as_size("reshape_batch_axis", microbatch_size)

    def cut(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        at = range(x.ndim)[axis]
        if x.shape[at] % m:
            raise ValueError(
                f"reshape_batch_axis: `microbatch_size` must divide the number of examples, got {m} and {x.shape[at]}."
            )
        return x.reshape(*x.shape[:at], m, -1, *x.shape[at + 1 :]).swapaxes(at, at + 1)

    return jax.tree.map(cut, tree)


def microbatch(
    fun: Callable,
    argnums: int | Sequence[int],
    microbatch_size: int | None,
    accumulator: Any = AccumulationType.SUM,
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    num_real_microbatches: Any = None,
) -> Callable:
    """`fun` of a batch, computed over micro-batches one after the other; what they give is put together as you say.

    Micro-batches are those of `reshape_batch_axis`. Where m does not divide N, the last N mod m examples are a
    shorter one, and count accordingly in means. Sums and means are held in at least float32 and rounded once.

    The memory of one piece is all that is needed, if the gradient is taken inside: micro-batch the function that
    computes it (`micro_grad`), not the other way round. For losses in the loops there is `fg.accumulate`.

    Args:
        fun: any function. For means over weights, return numerator and denominator, and divide their sums.
        argnums: which arguments have an axis over the examples; arrays, or trees of them.
        microbatch_size: m; None is one micro-batch of all examples.
        accumulator: an `AccumulationType` or `Accumulator`, or a tree of them like the first levels of the result.
        argnames: which keyword arguments have that axis, too.
        in_axes: where it is: a number, or one for each of `argnums` and then `argnames`.
        num_real_microbatches: compute only the first so many, a number that may be traced; the others count as zeros
            (but for `RUNNING_MEAN`). So batches of several lengths share a compilation. m must divide N then.

    Raises:
        TypeError, ValueError: when called, if there is no such argument, lengths differ, or results have no such form.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> weighted = lambda x, w: (jnp.sum(w * x), jnp.sum(w))
    >>> total, weight = fg.microbatch(weighted, (0, 1), 2)(jnp.arange(5.0), jnp.array([1.0, 1, 1, 1, 0]))
    >>> float(total / weight)
    1.5
    """
    argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    argnames = (argnames,) if isinstance(argnames, str) else tuple(argnames)
    axes = (in_axes,) * len(argnums + argnames) if isinstance(in_axes, int) else tuple(in_axes)
    if len(axes) != len(argnums + argnames) or not axes:
        raise ValueError(
            f"microbatch: `in_axes` must have one number for each of `argnums` and `argnames`, of which there must be "
            f"one at least; got {axes} for {argnums + argnames}."
        )
    size = None if microbatch_size is None else _as_size("microbatch", microbatch_size)
    if size is None and num_real_microbatches is not None:
        raise ValueError("microbatch: `num_real_microbatches` needs a `microbatch_size`, got None.")

    @functools.wraps(fun)
    def of_batch(*args: Any, **kwargs: Any) -> Any:
        batch = _batch_of(argnums, argnames, args, kwargs)
        n = _examples(dict(zip(argnums + argnames, zip(batch, axes, strict=True), strict=True)))
        pieces = Pieces(n, min(size or n, n))
        if pieces.rest and num_real_microbatches is not None:
            raise ValueError(
                f"microbatch: with `num_real_microbatches`, `microbatch_size` must divide the number of examples, got "
                f"{pieces.size} and {n}."
            )

        def on(part: list[Any]) -> Any:
            given = list(args)
            for i, x in zip(argnums, part[: len(argnums)], strict=True):
                given[i] = x
            return fun(*given, **{**kwargs, **dict(zip(argnames, part[len(argnums) :], strict=True))})

        return _over(on, pieces, batch, axes, accumulator, num_real_microbatches)

    return of_batch


def _as_size(who: str, microbatch_size: Any) -> int:
    try:
        return as_count(microbatch_size)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: `microbatch_size`: {error}") from error


def _batch_of(argnums: tuple, argnames: tuple, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
    for i in argnums:
        if not -len(args) <= i < len(args):
            raise TypeError(f"microbatch: argument {i} has the examples, but {len(args)} arguments came by position.")
    for name in argnames:
        if name not in kwargs:
            raise TypeError(f"microbatch: argument `{name}` has the examples, and must be passed by its name.")
    return [args[i] for i in argnums] + [kwargs[name] for name in argnames]


def _examples(arguments: dict[Any, tuple[Any, int]]) -> int:
    """The number of examples that all arrays of the arguments, by their names, have along their axes."""
    lengths = {}
    for name, (tree, axis) in arguments.items():
        for path, x in jax.tree_util.tree_leaves_with_path(tree):
            where = f"{f'argument {name}' if isinstance(name, int) else name}{jax.tree_util.keystr(path)}"
            if not -np.ndim(x) <= axis < np.ndim(x):
                raise ValueError(
                    f"microbatch: `{where}` must have an axis {axis} over the examples, got shape {np.shape(x)}."
                )
            lengths[where] = np.shape(x)[axis]
    return common_length("microbatch", "batch", lengths)


def _over(fun: Callable, pieces: Pieces, batch: list[Any], axes: tuple, accumulator: Any, real: Any) -> Any:
    """What `fun` gives for the micro-batches of `batch`, put together."""

    def part(x: Any, axis: int, begin: int, end: int) -> jax.Array:
        return jax.lax.slice_in_dim(jnp.asarray(x), begin, end, axis=axis)

    def stacked(x: Any, axis: int) -> jax.Array:
        x, axis = part(x, axis, 0, pieces.count * pieces.size), range(np.ndim(x))[axis]
        return jnp.moveaxis(reshape_batch_axis(x, pieces.size, axis), axis, 0)

    xs = _on_leaves(stacked, batch, axes)
    shapes = jax.eval_shape(fun, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs))
    leaves, structure = jax.tree.flatten(shapes)
    rules = accumulators_of(accumulator, shapes, pieces)

    def renewed(carry: list[Any], values: Any, i: Any) -> list[Any]:
        values = structure.flatten_up_to(values)
        return [a.update(c, v, i) for a, c, v in zip(rules, carry, values, strict=True)]

    def step(carry: list[Any], x: tuple[jax.Array, Any]) -> tuple[list[Any], None]:
        i, some = x
        if real is None:
            return renewed(carry, fun(some), i), None
        return jax.lax.cond(i < real, lambda c: renewed(c, fun(some), i), lambda c: c, carry), None

    carry = [a.init(s) for a, s in zip(rules, leaves, strict=True)]
    carry, _ = jax.lax.scan(step, carry, (jnp.arange(pieces.count, dtype=jnp.int32), xs))
    if pieces.rest:
        last = _on_leaves(lambda x, axis: part(x, axis, pieces.n - pieces.rest, pieces.n), batch, axes)
        carry = renewed(carry, fun(last), pieces.count)
    return structure.unflatten([a.finalize(c) for a, c in zip(rules, carry, strict=True)])


def _on_leaves(f: Callable[[Any, int], Any], batch: list[Any], axes: tuple) -> list[Any]:
    return [jax.tree.map(lambda x, axis=axis: f(x, axis), tree) for tree, axis in zip(batch, axes, strict=True)]


def micro_vmap(
    fun: Callable,
    in_axes: int | Sequence[int | None] | None = 0,
    out_axes: int = 0,
    *,
    microbatch_size: int | None = None,
    vmap_fn: Callable = jax.vmap,
    accumulator: Any = AccumulationType.CONCAT,
    num_real_microbatches: Any = None,
) -> Callable:
    """`jax.vmap` over micro-batches: m examples at once, and the micro-batches one after the other.

    Args:
        fun: a function of one example.
        in_axes: for each argument by position, the axis over the examples, or None; one for all, or a sequence.
            Keyword arguments have it in front, as in `jax.vmap`.
        out_axes: 0.
        microbatch_size: m; None is all.
        vmap_fn: what to use in place of `jax.vmap`, called with (fun, in_axes, out_axes).
        accumulator: with CONCAT a result for each example; with SUM and means one for all, in at least float32.
        num_real_microbatches: see `microbatch`.

    Raises:
        ValueError: if `out_axes` is something else, or no argument has examples.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.micro_vmap(lambda x: x**2, microbatch_size=2)(jnp.arange(5)).tolist()
    [0, 1, 4, 9, 16]
    """
    if out_axes != 0:
        raise ValueError(f"micro_vmap: `out_axes` must be 0, got {out_axes!r}.")

    @functools.wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = (in_axes,) * len(args) if in_axes is None or isinstance(in_axes, int) else tuple(in_axes)
        if len(axes) != len(args):
            raise ValueError(
                f"micro_vmap: `in_axes` must have one entry for each of {len(args)} arguments, got {axes}."
            )
        argnums = [i for i, axis in enumerate(axes) if axis is not None]
        places = [axis for axis in axes if axis is not None] + [0] * len(kwargs)

        def of_some(*args: Any, **kwargs: Any) -> Any:
            out = vmap_fn(lambda args, kwargs: fun(*args, **kwargs), (axes, 0), 0)(args, kwargs)
            leaves, structure = jax.tree.flatten(out)
            rules = accumulators_of(accumulator, out, Pieces(1, 1))
            return structure.unflatten([a.aggregate(x) for a, x in zip(rules, leaves, strict=True)])

        return microbatch(
            of_some,
            argnums,
            microbatch_size,
            accumulator,
            argnames=tuple(kwargs),
            in_axes=places,
            num_real_microbatches=num_real_microbatches,
        )(*args, **kwargs)

    return mapped


class MicroGradAux(NamedTuple):
    """What `micro_grad` returns beside gradients, each for every example.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> _, aux = fg.micro_grad(lambda w, x: jnp.sum(w * x))(2.0, jnp.array([1.0, 3.0]))
    >>> aux.values.tolist()
    [2.0, 6.0]
    """

    values: Any  # (N,): of the function
    metrics: Any  # of `metrics_fn`
    aux: Any  # what the function returns beside its value, if `has_aux`


def micro_grad(
    fun: Callable,
    has_aux: bool = False,
    argnums: int | Sequence[int] = 0,
    *,
    batch_argnums: int | Sequence[int] = 1,
    keep_batch_dim: bool = True,
    microbatch_size: int | None = None,
    accumulator: Any = AccumulationType.SUM,
    transform_fn: Callable[[Any], Any] = lambda grads: grads,
    metrics_fn: Callable[[Any], Any] = lambda grads: None,
    num_real_microbatches: Any = None,
) -> Callable:
    """The gradients of examples, each transformed, then put together; never more than m of them in memory.

        G = Σₙ T(∇f(θ, xₙ)),   or another accumulator

    Args:
        fun: `fun(params, batch, …)` → a real scalar, or (scalar, anything) with `has_aux`.
        argnums: with respect to which arguments.
        batch_argnums: which arguments have a leading axis over the N examples.
        keep_batch_dim: whether `fun` wants batches, of one example then; else single examples.
        microbatch_size: m; None is N.
        accumulator: SUM or another, see `microbatch`.
        transform_fn: T, gradient → any tree: to clip it, or to have its square beside it.
        metrics_fn: gradient → what to return of each example, such as its norm.
        num_real_microbatches: see `microbatch`.

    Returns:
        A function with the arguments of `fun` → (G, `MicroGradAux`); sums and means G are in at least float32.

    Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, arXiv:1607.00133, whose clipped
    gradients are one such sum.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> loss = lambda w, x: jnp.mean((w - x) ** 2) / 2
    >>> clipped = fg.micro_grad(loss, microbatch_size=2, transform_fn=lambda g: jnp.clip(g, -1, 1), metrics_fn=abs)
    >>> grads, aux = clipped(1.0, jnp.array([0.5, 1.0, 9.0]))
    >>> float(grads), aux.metrics.tolist()
    (-0.5, [0.5, 0.0, 8.0])
    """
    batched = (batch_argnums,) if isinstance(batch_argnums, int) else tuple(batch_argnums)

    @functools.wraps(fun)
    def gradients(*args: Any, **kwargs: Any) -> tuple[Any, MicroGradAux]:
        def one(*args: Any) -> tuple[Any, MicroGradAux]:
            if keep_batch_dim:
                args = tuple(jax.tree.map(lambda x: x[None], x) if i in batched else x for i, x in enumerate(args))
            value, grads = jax.value_and_grad(fun, argnums, has_aux=has_aux)(*args, **kwargs)
            value, aux = value if has_aux else (value, None)
            return transform_fn(grads), MicroGradAux(value, metrics_fn(grads), aux)

        axes = [0 if i in batched else None for i in range(len(args))]
        return micro_vmap(
            one,
            axes,
            microbatch_size=microbatch_size,
            accumulator=(accumulator, AccumulationType.CONCAT),
            num_real_microbatches=num_real_microbatches,
        )(*args)

    return gradients
