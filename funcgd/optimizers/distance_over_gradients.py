"""DoG and DoWG: gradient descent whose rate is the distance moved so far over the gradients seen so far."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics, tree
from funcgd.core.chain import chain
from funcgd.core.fields import Interval, as_optional_dtype, as_scalar, field, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, cast, init_count, is_concrete, next_count, resolve
from funcgd.core.transform import Composed, Params, Transform, Updates, identity
from funcgd.core.types import Scalar, ScalarOrSchedule
from funcgd.core.values import code, value
from funcgd.transforms.scale import scale_by_learning_rate
from funcgd.transforms.slots import copied, scalar
from funcgd.transforms.weight_decay import Mask, add_decayed_weights, as_mask

KINDS = ("distance", "learning_rate", "heuristic")


@value
class InitStep:
    """How DoG begins: a kind and its number; prints, unpacks and is written as the pair of them."""

    kind: str = static(one_of=KINDS)
    value: Scalar = number("(0, inf)", schedule=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.kind, self.value))

    def __repr__(self) -> str:
        return code((self.kind, self.value))


def as_init_step(owner: str, name: str, x: Any) -> InitStep:
    """The pair `x` as an `InitStep`.

    Raises:
        TypeError: if it is no pair of a kind and a number.
        ValueError: if the kind is unknown or the number not positive.
    """
    try:
        kind, first = x
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: `{name}` must be a pair such as ('heuristic', 1e-6), got {x!r}.") from None
    if kind not in KINDS:
        raise ValueError(f"{owner}: `{name}[0]` must be one of {', '.join(map(repr, KINDS))}, got {kind!r}.")
    return InitStep(kind, as_scalar(owner, f"{name}[1]", first, Interval("(0, inf)"), schedule=False))


class DoGState(NamedTuple):
    """The state of `scale_by_dog`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_dog(("distance", 0.5)).init(2.0).max_dist)
    0.5
    """

    init_params: Params  # θ₀, the first parameters, at least float32
    max_dist: jax.Array  # (), at least float32: r̄, unit of the parameters
    sum_sq_norm_grads: jax.Array  # (), at least float32: G, unit of the gradient squared
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_dog(Transform):
    """Distance over gradients, the direction of DoG.

        r̄ ← max(r̄, ‖θ − θ₀‖),   G ← G + ‖g‖²
        u = g · r̄ / √(G + ε)

    Norms are those of all parameters together. A finite |g| saturates, so that G stays finite.

    Args:
        init_step: how it begins, a pair: ("heuristic", α) is r̄ = α(1 + ‖θ₀‖), ("distance", r) is r̄ = r, the length of
            the first step, and ("learning_rate", η) is u = ηg until θ has moved. It should be too small to do harm, but
            not be lost by rounding in θ; 1e-6 for the heuristic, 1e-4 with batch normalization.
        eps: ε ≥ 0, unit of the gradient squared.

    Reference: Ivgi, Hinder, Carmon, DoG is SGD's best friend: a parameter-free dynamic step size schedule, ICML 2023,
    arXiv:2302.12022.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_dog(("distance", 0.5), eps=0.0)
    >>> float(tx.update(-3.0, tx.init(2.0), 2.0)[0])
    -0.5
    """

    init_step: Any = field("plain", as_init_step, default=InitStep("heuristic", 1e-6))
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> DoGState:
        kind, first = self.init_step
        start = copied(params)
        distance = first * (1 + tree.norm(start)) if kind == "heuristic" else first if kind == "distance" else 0.0
        return DoGState(start, scalar(params, distance), scalar(params), init_count(self))

    def update(
        self, grads: Updates, state: DoGState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, DoGState]:
        dtype = state.max_dist.dtype
        h = cast(at(self, state.count), dtype)
        r = larger(state.max_dist, distance(params, state.init_params, dtype))
        total = limited(state.sum_sq_norm_grads + square_norm(grads, dtype))
        h.rate = numerics.divide(r, numerics.sqrt(total + h.eps))
        kind, first = self.init_step
        if kind == "learning_rate":
            h.rate = jnp.where(r > 0, h.rate, first)
        updates = lift(lambda h, g: h.rate * numerics.saturate(g), h, grads)
        return updates, DoGState(state.init_params, r, total, next_count(state.count))


def larger(r: jax.Array, new: jax.Array) -> jax.Array:
    """max(r, new), and r where the other is NaN."""
    return jnp.where(new > r, new, r)


def distance(params: Params, start: Params, dtype: Any) -> jax.Array:
    """‖θ − θ₀‖ over all leaves."""
    return jnp.asarray(tree.norm(jax.tree.map(lambda p, x0: numerics.widen(p) - x0, params, start)), dtype)


def square_norm(grads: Updates, dtype: Any) -> jax.Array:
    """‖g‖² over all leaves, saturated; it may be infinite as a sum."""
    squares = jax.tree.map(lambda g: numerics.square(numerics.saturate(numerics.widen(g))), grads)
    return jnp.asarray(tree.sum(squares), dtype)


def limited(x: jax.Array) -> jax.Array:
    """x, or else the largest finite number."""
    return jnp.minimum(x, float(jnp.finfo(x.dtype).max))


@value
class dog(Composed):
    """DoG: gradient descent whose rate is the distance moved so far over the gradients seen so far.

        θ ← θ − ηg · r̄ / √(G + ε)

    Where the loss is convex, r̄ grows to about the distance of the solution, and not far beyond it. The authors
    recommend to evaluate a running mean of the parameters.

    Args:
        learning_rate: η in [0, ∞), no unit: a factor on what is found, best left at 1.
        init_step, eps: see `scale_by_dog`.
        weight_decay: λ in [0, ∞) of an L2 penalty: λθ is added to g; None is none.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Ivgi, Hinder, Carmon, ICML 2023 (see `scale_by_dog`).

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.dog(), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    init_step: Any = field("plain", as_init_step, default=InitStep("heuristic", 1e-6))
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    weight_decay: ScalarOrSchedule | None = number("[0, inf)", default=None)
    mask: Mask = static(default=None, convert=as_mask)

    def compose(self) -> Transform:
        return chain(
            identity() if self.weight_decay is None else add_decayed_weights(self.weight_decay, self.mask),
            scale_by_dog(self.init_step, self.eps),
            scale_by_learning_rate(self.learning_rate),
        )


class ScaleByDistanceOverGradientsState(NamedTuple):
    """The state of `scale_by_distance_over_gradients`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_distance_over_gradients(reps_rel=0.1).init(4.0).max_dist)
    0.5
    """

    max_dist: Any  # a number for each leaf, at least float32: r̄, unit of the parameters
    grad_sum_of_squares: Any  # a number for each leaf, at least float32: G, unit of the gradient squared
    init_params: Params  # θ₀, the first parameters, at least float32 or `param_dtype`
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


@value
class scale_by_distance_over_gradients(Transform):
    """Distance over gradients, leaf by leaf: the direction of L-DoG.

        r̄ ← max(r̄, ‖θ − θ₀‖),   G ← G + ‖g‖²   for each leaf, from r̄ = α(1 + ‖θ₀‖)
        u = γg · r̄ / √(G + ε)

    Chain it with `scale(-1.0)`, or set γ = −1. A finite |g| saturates, so that G stays finite.

    Args:
        reps_rel: α in (0, ∞): 1e-6, or 1e-4 with batch normalization; not so small that rounding in θ loses the step.
        eps: ε ≥ 0, unit of the gradient squared.
        param_dtype: dtype that stores θ₀; None is at least float32.
        global_scale: γ, any number.

    Reference: Ivgi, Hinder, Carmon, ICML 2023 (see `scale_by_dog`).

    >>> import funcgd as fg
    >>> tx = fg.scale_by_distance_over_gradients(reps_rel=0.25, eps=0.0)
    >>> params = {"w": 1.0, "b": 3.0}
    >>> updates, _ = tx.update({"w": 100.0, "b": -0.1}, tx.init(params), params)
    >>> float(updates["w"]), float(updates["b"])
    (0.5, -1.0)
    """

    reps_rel: Scalar = number("(0, inf)", default=1e-6, schedule=False)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-8)
    param_dtype: Any = static(default=None, convert=as_optional_dtype)
    global_scale: ScalarOrSchedule = number(default=1.0)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> ScaleByDistanceOverGradientsState:
        start = copied(params)
        first = jax.tree.map(lambda p: scalar(p, self.reps_rel * (1 + tree.norm(p))), start)
        sums = jax.tree.map(scalar, start)
        return ScaleByDistanceOverGradientsState(first, sums, copied(params, self.param_dtype), init_count(self))

    def update(
        self, grads: Updates, state: ScaleByDistanceOverGradientsState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScaleByDistanceOverGradientsState]:
        def rule(h: Any, g: jax.Array, r: jax.Array, total: jax.Array, x0: jax.Array, p: jax.Array) -> tuple:
            g = numerics.saturate(g)
            r = larger(r, numerics.sqrt(jnp.sum(numerics.square(numerics.saturate(p - x0)))))
            total = limited(total + jnp.sum(numerics.square(g)))
            return h.global_scale * numerics.divide(r, numerics.sqrt(total + h.eps)) * g, r, total

        updates, max_dist, sums = lift(
            rule,
            at(self, state.count),
            grads,
            state.max_dist,
            state.grad_sum_of_squares,
            read=(state.init_params, params),
        )
        new = ScaleByDistanceOverGradientsState(max_dist, sums, state.init_params, next_count(state.count))
        return updates, new


class DoWGState(NamedTuple):
    """The state of `scale_by_dowg`.

    >>> import funcgd as fg
    >>> float(fg.scale_by_dowg(0.25).init(2.0).estim_sq_dist)
    0.25
    """

    init_params: Params  # θ₀, the first parameters, at least float32
    weighted_sq_norm_grads: jax.Array  # (), at least float32: v, unit of the parameters times the gradient, squared
    estim_sq_dist: jax.Array  # (), at least float32: r̄², unit of the parameters squared
    count: jax.Array | None = None  # (), int32: finished updates, where a number is a schedule


def check_beginning(tx: Any) -> None:
    """The first distance must not be 0, where no step would ever be made."""
    if tx.init_estim_sq_dist is None and is_concrete(tx.eps) and tx.eps == 0:
        raise ValueError(f"{type(tx).__name__}: `init_estim_sq_dist` must be given where `eps` is 0.")


@value
class scale_by_dowg(Transform):
    """Distance over weighted gradients, the direction of DoWG.

        r̄² ← max(r̄², ‖θ − θ₀‖²),   v ← v + r̄²‖g‖²
        u = g · r̄² / (√v + ε)

    Norms are those of all parameters together. A finite |g| saturates, so that v stays finite.

    Args:
        init_estim_sq_dist: r̄² at first, in (0, ∞), unit of the parameters squared; None is ε.
        eps: ε in [0, ∞), unit of the parameters times the gradient; not 0 where it is r̄² too.

    Reference: Khaled, Mishchenko, Jin, DoWG unleashed: an efficient universal parameter-free gradient descent method,
    NeurIPS 2023, arXiv:2305.16284.

    >>> import funcgd as fg
    >>> tx = fg.scale_by_dowg(0.25, eps=0.0)
    >>> float(tx.update(-3.0, tx.init(2.0), 2.0)[0])
    -0.5
    """

    init_estim_sq_dist: Scalar | None = number("(0, inf)", default=None, schedule=False)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-4)

    def __post_init__(self) -> None:
        check_beginning(self)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"params"})

    def init(self, params: Params) -> DoWGState:
        first = resolve(self.eps, 0) if self.init_estim_sq_dist is None else self.init_estim_sq_dist
        return DoWGState(copied(params), scalar(params), scalar(params, first), init_count(self))

    def update(
        self, grads: Updates, state: DoWGState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, DoWGState]:
        dtype = state.estim_sq_dist.dtype
        h = cast(at(self, state.count), dtype)
        r2 = larger(state.estim_sq_dist, numerics.square(distance(params, state.init_params, dtype)))
        v = limited(state.weighted_sq_norm_grads + r2 * square_norm(grads, dtype))
        h.rate = numerics.divide(r2, numerics.sqrt(v) + h.eps)
        updates = lift(lambda h, g: h.rate * numerics.saturate(g), h, grads)
        return updates, DoWGState(state.init_params, v, r2, next_count(state.count))


@value
class dowg(Composed):
    """DoWG: DoG with more weight on late gradients, which takes longer steps.

        θ ← θ − ηg · r̄² / (√v + ε)

    Args:
        learning_rate: η in [0, ∞), no unit: a factor on what is found, best left at 1.
        init_estim_sq_dist, eps: see `scale_by_dowg`.
        weight_decay: λ in [0, ∞) of an L2 penalty: λθ is added to g; None is none.
        mask: which leaves decay, see `add_decayed_weights`.

    Reference: Khaled, Mishchenko, Jin, NeurIPS 2023 (see `scale_by_dowg`).

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: abs(x - 300.0), 0.0, fg.dowg(), max_steps=300)
    >>> abs(float(run.best) - 300) < 1
    True
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)", default=1.0)
    init_estim_sq_dist: Scalar | None = number("(0, inf)", default=None, schedule=False)
    eps: ScalarOrSchedule = number("[0, inf)", default=1e-4)
    weight_decay: ScalarOrSchedule | None = number("[0, inf)", default=None)
    mask: Mask = static(default=None, convert=as_mask)

    def __post_init__(self) -> None:
        check_beginning(self)

    def compose(self) -> Transform:
        return chain(
            identity() if self.weight_decay is None else add_decayed_weights(self.weight_decay, self.mask),
            scale_by_dowg(self.init_estim_sq_dist, self.eps),
            scale_by_learning_rate(self.learning_rate),
        )
