"""GaLore: another optimizer's direction, in the subspace of the gradient's first singular vectors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, describe, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Composed, OptState, Params, Transform, Updates, as_transform
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adam import scale_by_adam
from funcgd.transforms.kronecker import significant
from funcgd.transforms.matrices import Axes, as_dimension_numbers, axes_of
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask


class GaLoreDimensionNumbers(NamedTuple):
    """Which axes of an array are the rows and which the columns of a matrix; all others count matrices.

    >>> import funcgd as fg
    >>> fg.GaLoreDimensionNumbers(reduction_axis=0, output_axis=(1, 2))  # attention, (width, heads, width of a head)
    GaLoreDimensionNumbers(reduction_axis=0, output_axis=(1, 2))
    """

    reduction_axis: int | tuple[int, ...] = 0
    output_axis: int | tuple[int, ...] = 1


class GaLoreState(NamedTuple):
    """The state of `scale_by_galore`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.scale_by_galore(rank=2).init({"w": jnp.ones((4, 6)), "b": jnp.ones(6)})
    >>> state.projector["w"].shape, state.base_optimizer_state.mu["w"].shape, state.projector["b"]
    ((4, 2), (2, 6), None)
    """

    count: jax.Array  # (), int32: finished updates
    base_optimizer_state: OptState  # of the transform inside, for projected matrices and for other leaves as they are
    projector: (
        Any  # for each matrix (…, short side, rank), at least float32, orthonormal columns; None for other leaves
    )


def as_base(tx: Any) -> Any:
    """`tx` as a transform that needs no parameters.

    Raises:
        TypeError: if it is no transform.
        ValueError: if it needs the parameters, or the loss, which are not those of the subspace.
    """
    if tx is None:
        return None
    tx = as_transform("scale_by_galore", tx)
    needs = tx.needs & {"params", "grad", "value_fn"}
    if needs:
        raise ValueError(
            f"scale_by_galore: `base_optimizer` must be a direction of gradients alone, but {describe(tx)} needs "
            f"{', '.join(sorted(needs))}. For weight decay use that of galore."
        )
    return tx


@value
class scale_by_galore(Transform):
    """Run another transform on gradients projected to few dimensions, and project its updates back.

        P = the first r columns of U where G = UΣVᴴ,  in the first step and then every few
        R = PᴴG,   N = base(R),   U = αPN                       for m × n matrices with m ≤ n

    For m > n it is R = GP with columns of V. The state of the base is that of r × n numbers in place of m × n. Other
    leaves go to the base as they are. Derivatives take P for a constant.

    As published, the state stays when P changes. Singular vectors have no sign, so that here each is turned towards the
    one before it: else some of the momentum would be reversed by chance. Entries of R that may be rounding errors are
    0: what a gradient of rank less than r lacks is no direction.

    Args:
        rank: r; of a matrix that has fewer rows or columns, those.
        update_proj_gap: how many steps there are from one P to the next.
        scale: α, for projected matrices.
        base_optimizer: a direction that needs no parameters; None is `scale_by_adam()`.
        weight_dimension_numbers: which leaves are matrices, and how; as for `muon`, with `GaLoreDimensionNumbers`.

    Raises:
        TypeError, ValueError: if `base_optimizer` is no transform, or needs the parameters.

    Reference: Zhao et al., GaLore: memory-efficient LLM training by gradient low-rank projection, ICML 2024,
    arXiv:2403.03507.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, g = fg.scale_by_galore(rank=1), jnp.array([[2.0, 2.0], [2.0, 2.0]])
    >>> tx.update(g, tx.init(g))[0].tolist()  # Adam's step (1, 1) of one row, shared by two  # doctest: +NUMBER
    [[0.7, 0.7], [0.7, 0.7]]
    """

    rank: int = static(default=128, convert=as_count)
    update_proj_gap: int = static(default=200, convert=as_count)
    scale: ScalarOrSchedule = number(default=1.0)
    base_optimizer: Transform | None = None
    weight_dimension_numbers: Any = static(default=None, convert=as_dimension_numbers)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_optimizer", as_base(self.base_optimizer))

    @property
    def needs(self) -> frozenset[str]:
        return self._base().needs

    def init(self, params: Params) -> GaLoreState:
        def start(x: Any, axes: Axes | None) -> tuple[Any, Any]:
            if axes is None:
                return x, None
            full = jax.eval_shape(lambda x: _matrices(x, axes), x)
            *batch, m, n = full.shape
            rank = min(self.rank, m, n)
            low = (rank, n) if m <= n else (m, rank)
            return jnp.zeros((*batch, *low), full.dtype), jnp.zeros((*batch, min(m, n), rank), full.dtype)

        leaves, structure = jax.tree.flatten(params)
        rows = [start(x, a) for x, a in zip(leaves, self._axes(params), strict=True)]
        low, projector = (structure.unflatten([row[i] for row in rows]) for i in (0, 1))
        return GaLoreState(jnp.zeros((), jnp.int32), self._base().init(low), projector)

    def update(
        self, grads: Updates, state: GaLoreState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, GaLoreState]:
        (leaves, structure), h = jax.tree.flatten(grads), at(self, state.count)
        axes = self._axes(grads if params is None else params)
        matrices = [None if a is None else _matrices(g, a) for g, a in zip(leaves, axes, strict=True)]
        old = structure.flatten_up_to(state.projector)
        projector = jax.lax.cond(
            state.count % self.update_proj_gap == 0,
            lambda old: [None if x is None else _projector(x, p) for x, p in zip(matrices, old, strict=True)],
            lambda old: old,
            old,
        )
        low = [g if x is None else _project(x, p) for g, x, p in zip(leaves, matrices, projector, strict=True)]
        extra = {name: x for name, x in extra.items() if name not in ("grad", "value_fn")}
        updates, base = self._base().update(structure.unflatten(low), state.base_optimizer_state, None, **extra)

        def lifted(u: Any, g: Any, a: Axes | None, p: Any) -> jax.Array:
            if a is None:
                return numerics.widen(u)
            back = lift(lambda h, u, p: h.scale * _project_back(u, p, a.sizes(g.shape)), h, u, read=(p,))
            return a.array(back, g.shape)

        columns = zip(structure.flatten_up_to(updates), leaves, axes, projector, strict=True)
        updates = structure.unflatten([lifted(*row) for row in columns])
        return updates, GaLoreState(numerics.increment(state.count), base, structure.unflatten(projector))

    def _base(self) -> Transform:
        return scale_by_adam() if self.base_optimizer is None else self.base_optimizer

    def _axes(self, params: Params) -> list[Axes | None]:
        axes = axes_of("scale_by_galore", self.weight_dimension_numbers, params)
        return [a if jnp.size(x) else None for a, x in zip(axes, jax.tree.leaves(params), strict=True)]


def _matrices(g: Any, axes: Axes) -> jax.Array:
    return axes.matrices(numerics.widen(jnp.asarray(g)))


@jax.jit
def _projector(x: jax.Array, old: jax.Array) -> jax.Array:
    """The first singular vectors on the shorter side, as many as there were, turned towards the old ones."""
    u, _, vh = jnp.linalg.svd(jax.lax.stop_gradient(x), full_matrices=False)
    sides = u if x.shape[-2] <= x.shape[-1] else jnp.conj(jnp.swapaxes(vh, -1, -2))
    p = sides[..., : old.shape[-1]]
    along = jnp.sum(jnp.conj(p) * old, axis=-2, keepdims=True)
    length = jnp.abs(along)
    with jax.numpy_dtype_promotion("standard"):  # complex numbers by their lengths
        return p * jnp.where(length > 0, along / jnp.where(length > 0, length, 1), 1)


@jax.jit
def _project(x: jax.Array, p: jax.Array) -> jax.Array:
    low = jnp.conj(jnp.swapaxes(p, -1, -2)) @ x if x.shape[-2] <= x.shape[-1] else x @ p
    return significant(low, x, (-2, -1))


def _project_back(u: jax.Array, p: jax.Array, sizes: tuple[int, int]) -> jax.Array:
    return p @ u if sizes[0] <= sizes[1] else u @ jnp.conj(jnp.swapaxes(p, -1, -2))


@value
class galore(Composed):
    """GaLore: Adam, or another direction, in a subspace of the gradient, to save the memory of its state.

        W ← W − η·(αPN + λW),   N = base(PᴴG)

    Args:
        learning_rate: η in [0, ∞), unit of the parameters.
        rank, update_proj_gap, scale, base_optimizer, weight_dimension_numbers: see `scale_by_galore`.
        weight_decay: λ in [0, ∞).
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Zhao et al., ICML 2024, arXiv:2403.03507.

    >>> import funcgd as fg
    >>> fg.galore(0.01, rank=4, base_optimizer=fg.scale_by_lion())
    galore(learning_rate=0.01, rank=4, scale=1.0, base_optimizer=scale_by_lion(b1=0.9, b2=0.99), weight_decay=0.0)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    rank: int = static(default=128, convert=as_count)
    update_proj_gap: int = static(default=200, convert=as_count)
    scale: ScalarOrSchedule = number(default=1.0)
    base_optimizer: Transform | None = None
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    mask: Mask = static(default=None, convert=as_mask)
    weight_dimension_numbers: Any = static(default=None, convert=as_dimension_numbers)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_optimizer", as_base(self.base_optimizer))

    def compose(self) -> Transform:
        direction = scale_by_galore(
            self.rank, self.update_proj_gap, self.scale, self.base_optimizer, self.weight_dimension_numbers
        )
        return chain(
            direction,
            add_decayed_weights(self.weight_decay, self.mask),
            scale_by_learning_rate(self.learning_rate),
        )
