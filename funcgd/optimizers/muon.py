"""Muon: momentum whose matrices are orthogonalised, and AdamW for all that is no matrix."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.chain import chain
from funcgd.core.fields import as_count, as_optional_dtype, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, OptState, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.adam import adamw
from funcgd.transforms.mask import Fixed, Mask, as_mask, flags_of
from funcgd.transforms.matrices import Axes, as_dimension_numbers, axes_of, matrices_of
from funcgd.transforms.newton_schulz import PRECONDITIONINGS, as_coefficients, coefficients_of, orthogonalize
from funcgd.transforms.partition import partition
from funcgd.transforms.scale import Counted, scale_by_learning_rate
from funcgd.transforms.slots import moment
from funcgd.transforms.units import split_norm
from funcgd.transforms.weight_decay import add_decayed_weights


class MuonDimensionNumbers(NamedTuple):
    """Which axes of an array W are the rows and which the columns of a matrix, where a layer computes xW.

    Several axes are taken together, as the window and the channels of a convolution are. All other axes count
    matrices, such as heads or experts.

    >>> import funcgd as fg
    >>> fg.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)  # a convolution
    MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    """

    reduction_axis: int | tuple[int, ...] = 0
    output_axis: int | tuple[int, ...] = 1


class MuonState(NamedTuple):
    """The state of `scale_by_muon`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> fg.scale_by_muon(normuon_b2=0.95).init({"w": jnp.ones((2, 3))}).nu["w"].shape
    (3,)
    """

    count: jax.Array | None  # (), int32: finished updates, where a number is a schedule, and with `adaptive`
    mu: Updates  # like the parameters, at least float32 or `mu_dtype`: mean of the gradient, its unit
    nu: Updates | None = None  # with `normuon_b2`: (…, columns), real, at least float32: mean of squares, no unit


@value
class scale_by_muon(Transform):
    """Orthogonalise momentum, the direction of Muon.

        M ← βM + (1 − β)G,   N = βM + (1 − β)G with `nesterov`, else M
        O ≈ UVᴴ where N = UΣVᴴ, by Newton–Schulz iterations

        X₀ = N / (‖N‖ + ε),   Xₖ₊₁ = aXₖ + (bA + cA²)Xₖ with A = XₖXₖᴴ,   O = X₅

    Singular values of O are in about [0.7, 1.2], less where those of N are below a hundredth of ‖N‖; zeros stay. O has
    no unit, and does not change when the loss is scaled (but for ε). Tall and wide matrices are treated alike, a batch
    of them one by one. With `normuon_b2`, columns (neurons) get equal shares:

        v ← β₂v + (1 − β₂)·meanᵢ|Oᵢⱼ|²,   Ô = O / √v,   O ← Ô·√min(m, n) / ‖Ô‖

    Departure from NorMuon: no ε in the last division, where 0/0 is 0.

    Args:
        ns_coeffs: (a, b, c); or such a triple for each iteration; or "standard", or "dion".
        ns_steps: how many iterations, where the triple is one for all.
        beta: β in [0, 1).
        eps: ε ≥ 0, unit of the gradient.
        mu_dtype: dtype that stores M; None is at least float32.
        nesterov: look one step ahead.
        adaptive: multiply O by ⟨N, O⟩ ≈ Σσ, where N is corrected for bias: an update with the gradient's unit.
        preconditioning: the norm of X₀: "frobenius"; "schatten" (of order 4) and "spectral" are nearer to the largest
            singular value; "aol" divides each row or column by a bound of its own.
        weight_dimension_numbers: None (all leaves have two axes), or what the leaves are, see `muon`.
        normuon_b2: β₂ in [0, 1); None is without.
        ns_dtype: dtype of the iterations; "bfloat16" suffices. None is at least float32.

    References: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Li et al., NorMuon: making
    Muon more efficient and scalable, 2025, arXiv:2510.05491; Bernstein, Newhouse, Old optimizer, new norm, 2024,
    arXiv:2409.20325 (`adaptive`); Grishina et al., 2025, arXiv:2506.10935; Boissin et al., 2025, arXiv:2512.04632.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.scale_by_muon()
    >>> tx.update(jnp.diag(jnp.array([9.0, 2.0])), tx.init(jnp.zeros((2, 2))))[0].tolist()  # doctest: +NUMBER
    [[0.7, 0.0], [0.0, 0.7]]
    """

    ns_coeffs: Any = static(default=(3.4445, -4.775, 2.0315), convert=as_coefficients)
    ns_steps: int = static(default=5, convert=as_count)
    beta: ScalarOrSchedule = number("[0, 1)", default=0.95)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=True)
    adaptive: bool = static(default=False)
    preconditioning: str = static(default="frobenius", one_of=PRECONDITIONINGS)
    weight_dimension_numbers: Any = static(default=None, convert=as_dimension_numbers)
    normuon_b2: ScalarOrSchedule | None = number("[0, 1)", default=None)
    ns_dtype: Any = static(default=None, convert=as_optional_dtype)

    def init(self, params: Params) -> MuonState:
        (leaves, structure), axes, nu = jax.tree.flatten(params), self._axes(params), None
        if self.normuon_b2 is not None:
            nu = structure.unflatten([_neurons(x, a) for x, a in zip(leaves, axes, strict=True)])
        count = jnp.zeros((), jnp.int32) if self.adaptive else init_count(self)
        return MuonState(count, moment(params, self.mu_dtype), nu)

    def update(
        self, grads: Updates, state: MuonState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MuonState]:
        def momentum(h: Any, g: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
            m = numerics.ema(m, g, h.beta)
            return numerics.ema(m, g, h.beta) if self.nesterov else m, m

        h, axes = at(self, state.count), self._axes(grads if params is None else params)
        ahead, mu = lift(momentum, h, grads, state.mu)
        leaves, structure = jax.tree.flatten(ahead)
        n = [a.matrices(x) for x, a in zip(leaves, axes, strict=True)]
        coefficients = coefficients_of(self.ns_coeffs, self.ns_steps)
        o, nu = orthogonalize(n, h.eps, coefficients, self.preconditioning, self.ns_dtype), state.nu
        if nu is not None:
            o, nu = lift(_normalize_neurons, h, structure.unflatten(o), nu)
            o = jax.tree.leaves(o)
        if self.adaptive:
            t = jnp.asarray(next_count(state.count), float)
            h.weight = numerics.bias_correction(h.beta, t + 1 if self.nesterov else t)
            o = lift(_times_dual_norm, h, o, read=(n,))
        updates = [a.array(y, x.shape) for a, x, y in zip(axes, leaves, o, strict=True)]
        return structure.unflatten(updates), MuonState(next_count(state.count), mu, nu)

    def _axes(self, params: Params) -> list[Axes]:
        return matrices_of("scale_by_muon", self.weight_dimension_numbers, params)


def _neurons(x: Any, axes: Axes) -> jax.Array:
    """A zero for each column of each matrix in x."""
    shape = jax.eval_shape(axes.matrices, x).shape
    return jnp.zeros((*shape[:-2], shape[-1]), numerics.wide_dtype(jnp.result_type(x)))


def _normalize_neurons(h: Any, o: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
    m, n = o.shape[-2:]
    v = numerics.ema(v, jnp.sum(numerics.square(o), axis=-2) / max(m, 1), h.normuon_b2)
    equal = o / numerics.root(v)[..., None, :]
    scale, r = split_norm(equal, (-2, -1))
    return numerics.divide(equal / scale, r) * min(m, n) ** 0.5, v


def _times_dual_norm(h: Any, o: jax.Array, n: jax.Array) -> jax.Array:
    inner = jnp.real(jnp.conj(numerics.saturate(n)) * o)
    return jnp.sum(inner, axis=(-2, -1), keepdims=True) / h.weight * o


@value
class scale_by_shape(Counted):
    """Multiply matrices by a number that depends on their shape (m, n), m rows in and n columns out.

        u = √max(1, n/m)·g          where `consistent_rms` is None
        u = ρ·√max(m, n)·g          else

    Orthonormal g change the layer's outputs alike with the first, whatever the width (Jordan); with the second, their
    root mean square entry is ρ, as that of Adam's steps is about 0.2 (Liu et al.), so that both can share a rate.

    Args:
        weight_dimension_numbers: as for `scale_by_muon`.
        consistent_rms: ρ > 0.

    References: Jordan et al., 2024; Liu et al., Muon is scalable for LLM training, 2025, arXiv:2502.16982.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.scale_by_shape()
    >>> tx.update(jnp.ones((1, 4)), tx.init(jnp.ones((1, 4))))[0].tolist()
    [[2.0, 2.0, 2.0, 2.0]]
    """

    weight_dimension_numbers: Any = static(default=None, convert=as_dimension_numbers)
    consistent_rms: ScalarOrSchedule | None = number("(0, inf)", default=None)

    def update(self, grads: Updates, state: Any, params: Params | None = None, **extra: Any) -> tuple[Updates, Any]:
        like = grads if params is None else params
        axes = matrices_of("scale_by_shape", self.weight_dimension_numbers, like)
        leaves, structure = jax.tree.flatten(grads)
        shapes = [a.sizes(jnp.shape(g)) for g, a in zip(leaves, axes, strict=True)]
        if self.consistent_rms is None:
            factors = [max(1, n / max(m, 1)) ** 0.5 for m, n in shapes]
        else:
            factors = [max(m, n) ** 0.5 for m, n in shapes]

        def rule(h: Any, g: jax.Array, factor: jax.Array) -> jax.Array:
            return factor * g if h.consistent_rms is None else h.consistent_rms * factor * g

        dtypes = [numerics.wide_dtype(jnp.result_type(g)) for g in leaves]
        factors = structure.unflatten([np.asarray(f, d) for f, d in zip(factors, dtypes, strict=True)])
        return lift(rule, self.numbers(state), grads, read=(factors,)), self.next_state(state)


@value
class muon(Composed):
    """Muon: momentum whose matrices are orthogonalised, and AdamW for all that is no matrix.

        W ← W − η·(s·O + λW),   s = √max(1, n/m), or ρ√max(m, n) with `consistent_rms` = ρ

    Args:
        learning_rate: η in [0, ∞), unit of the parameters: √(n/m)η is the largest change of a layer's output, in units
            of its input; with ρ = 0.2 the rate that suits AdamW.
        ns_coeffs, ns_steps, beta, eps, mu_dtype, nesterov, adaptive, preconditioning, normuon_b2, ns_dtype: see
            `scale_by_muon`; `eps` and `mu_dtype` are also those of AdamW.
        weight_decay: λ in [0, ∞) of matrices.
        weight_decay_mask: which leaves decay, see `add_decayed_weights`.
        adam_b1, adam_b2, adam_eps_root, adam_weight_decay, adam_learning_rate: of AdamW, for the other leaves; the
            learning rate None is η.
        muon_weight_dimension_numbers: which leaves are matrices, and how. None: those with two axes. A glob or a
            compiled regular expression for paths, or a list of them: what matches, by its last two axes. Or
            `MuonDimensionNumbers`, True (the last two axes) or None for each leaf, as a tree or a prefix of one, or as
            a function of the parameters such as `path_dimension_numbers` or `path_mask`.
        consistent_rms: ρ > 0, or None, see `scale_by_shape`.

    Embeddings and the last layer are better left to AdamW (Jordan), though they have two axes.

    References: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Liu et al., 2025
    (`weight_decay`, `consistent_rms`), Li et al., 2025 (`normuon_b2`), see `scale_by_muon` and `scale_by_shape`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.muon(0.02, adam_learning_rate=1e-3, muon_weight_dimension_numbers="layers/*w")
    >>> params = {"embed": jnp.ones((9, 4)), "layers": [{"w": jnp.ones((4, 4)), "b": jnp.ones(4)}]}
    >>> print(fg.group_table(params, tx.labels))
    path        group  parameters
    embed       adam           36
    layers/0/b  adam            4
    layers/0/w  muon           16
    ----------
    all         adam           40
    all         muon           16
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    ns_coeffs: Any = static(default=(3.4445, -4.775, 2.0315), convert=as_coefficients)
    ns_steps: int = static(default=5, convert=as_count)
    beta: ScalarOrSchedule = number("[0, 1)", default=0.95)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    weight_decay_mask: Mask = static(default=None, convert=as_mask)
    mu_dtype: Any = static(default=None, convert=as_optional_dtype)
    nesterov: bool = static(default=True)
    adaptive: bool = static(default=False)
    preconditioning: str = static(default="frobenius", one_of=PRECONDITIONINGS)
    adam_b1: ScalarOrSchedule = number("[0, 1)", default=0.9)
    adam_b2: ScalarOrSchedule = number("[0, 1)", default=0.999)
    adam_eps_root: ScalarOrSchedule = number("[0, inf)", default=0.0)
    adam_weight_decay: ScalarOrSchedule = number("[0, inf)", default=0.0)
    adam_learning_rate: ScalarOrSchedule | None = number("[0, inf)", default=None)
    muon_weight_dimension_numbers: Any = static(default=None, convert=as_dimension_numbers)
    consistent_rms: ScalarOrSchedule | None = number("(0, inf)", default=None)
    normuon_b2: ScalarOrSchedule | None = number("[0, 1)", default=None)
    ns_dtype: Any = static(default=None, convert=as_optional_dtype)

    def labels(self, params: Params) -> Any:
        """The group of every leaf, "muon" or "adam", for `group_table`."""
        axes = axes_of("muon", self.muon_weight_dimension_numbers, params)
        return jax.tree.unflatten(jax.tree.structure(params), ["adam" if a is None else "muon" for a in axes])

    def compose(self) -> Transform:
        return self._groups(self.muon_weight_dimension_numbers, self.weight_decay_mask, self.labels)

    def _for(self, params: Params) -> Transform:
        """What `compose` says, with the names of paths looked up in all parameters, not in those of a group."""
        axes, decays = axes_of("muon", self.muon_weight_dimension_numbers, params), self.weight_decay_mask
        return self._groups(
            Fixed(jax.tree.unflatten(jax.tree.structure(params), axes)),
            None if decays is None else Fixed(flags_of("muon", decays, params)),
            Fixed(self.labels(params)),
        )

    def _groups(self, axes: Any, decays: Mask, labels: Any) -> Transform:
        direction = scale_by_muon(
            self.ns_coeffs,
            self.ns_steps,
            self.beta,
            self.eps,
            self.mu_dtype,
            self.nesterov,
            self.adaptive,
            self.preconditioning,
            axes,
            self.normuon_b2,
            self.ns_dtype,
        )
        matrices = chain(
            direction,
            scale_by_shape(axes, self.consistent_rms),
            add_decayed_weights(self.weight_decay, decays),
            scale_by_learning_rate(self.learning_rate),
        )
        others = adamw(
            self.learning_rate if self.adam_learning_rate is None else self.adam_learning_rate,
            self.adam_b1,
            self.adam_b2,
            self.eps,
            self.adam_eps_root,
            self.mu_dtype,
            self.adam_weight_decay,
            decays,
        )
        return partition({"muon": matrices, "adam": others}, labels)

    def init(self, params: Params) -> OptState:
        return self._for(params).init(params)

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        return self._for(grads if params is None else params).update(grads, state, params, **extra)
