"""Differentially private descent: what one example can say is bounded, and drowned in noise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.chain import chain
from funcgd.core.checked import outermost
from funcgd.core.fields import number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at, init_count, next_count
from funcgd.core.transform import Composed, Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.optimizers.sgd import sgd
from funcgd.transforms.noise import as_seed, normal_like
from funcgd.transforms.per_example import per_example_global_norm_clip


class DifferentiallyPrivateAggregateState(NamedTuple):
    """The state of `differentially_private_aggregate`.

    >>> import funcgd as fg
    >>> fg.differentially_private_aggregate(1.0, 1.1, key=0).init(0.0).rng_key.shape
    ()
    """

    rng_key: jax.Array  # (), random key of the next update
    count: jax.Array | None = None  # (), int32: finished updates, where one of the numbers is a schedule


@value
class differentially_private_aggregate(Transform):
    """Clip the gradient of each example, and return their mean with noise.

        u = (1/N) (Σₙ gₙ · min(1, c / ‖gₙ‖₂) + ξ),   ξ ~ N(0, σ²c²) for every entry; complex ones have two

    Gradients come with a leading axis over the N examples, as `fg.per_example_grad` gives them; `fg.make_step` and
    `fg.fit` compute them so by themselves. It stands first in a chain; what follows gets updates like the parameters.

    One example more or less moves the sum by at most c. For that, an example with NaN or ∞ in its gradient counts as
    one of gradient 0. N is a matter of public knowledge: of a batch drawn by chance, pad it to a fixed length with
    examples of gradient 0 (weight 0 in `fg.mean_loss`). What ε and δ a run has spent is a matter of accounting: see the
    reference. Losses, metrics and norms that are reported are not private.

    Args:
        l2_norm_clip: c in [0, ∞), unit of the gradient.
        noise_multiplier: σ in [0, ∞), no unit; about 1 for useful privacy. 0 is none.
        key: the seed, a static integer; the random key lives in the state.

    Raises:
        TypeError: if `key` is no integer.
        ValueError: at update, if there is no leading axis, or a wrapper around this hands no gradients of examples on.

    Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, arXiv:1607.00133.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.differentially_private_aggregate(1.0, noise_multiplier=0.0, key=0)
    >>> tx.update(jnp.array([[3.0, 4.0], [0.2, 0.4]]), tx.init(jnp.zeros(2)))[0].tolist()  # doctest: +NUMBER
    [0.4, 0.6]
    """

    l2_norm_clip: ScalarOrSchedule = number("[0, inf)")
    noise_multiplier: ScalarOrSchedule = number("[0, inf)")
    key: int = static(convert=as_seed)

    @property
    def per_example(self) -> bool:
        return True

    def init(self, params: Params) -> DifferentiallyPrivateAggregateState:
        return DifferentiallyPrivateAggregateState(jax.random.key(self.key), init_count(self))

    def update(
        self, grads: Updates, state: DifferentiallyPrivateAggregateState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, DifferentiallyPrivateAggregateState]:
        around = outermost()
        if not around.per_example:
            raise ValueError(
                f"{type(around).__name__}: does not hand on gradients of single examples, which "
                f"`differentially_private_aggregate` needs. It must come first in a chain, with the others behind it."
            )
        h = at(self, state.count)
        own, following = jax.random.split(state.rng_key)
        new = DifferentiallyPrivateAggregateState(following, next_count(state.count))
        leaves = jax.tree.leaves(grads)
        if not leaves:
            return grads, new
        total, _ = per_example_global_norm_clip(_without_nonfinite(grads), h.l2_norm_clip)
        h.deviation = jnp.asarray(h.noise_multiplier) * jnp.asarray(h.l2_norm_clip)
        n = len(leaves[0])

        def rule(h: Any, total: jax.Array, noise: jax.Array) -> jax.Array:
            unit = 2**0.5 if jnp.iscomplexobj(noise) else 1.0  # E|ξ|² of a complex entry is that of two real ones
            return (total + unit * h.deviation * noise) / n

        return lift(rule, h, total, read=(normal_like(own, total),)), new


def _without_nonfinite(grads: Updates) -> Updates:
    """`grads` with 0 in place of the examples that have NaN or ∞ anywhere."""
    leaves = jax.tree.leaves(grads)
    finite = jnp.stack([jnp.isfinite(g).reshape(len(g), -1).all(1) for g in leaves]).all(0)
    return jax.tree.map(lambda g: jnp.where(finite.reshape(-1, *(1,) * (g.ndim - 1)), g, 0), grads)


@value
class dpsgd(Composed):
    """Differentially private descent: each example's gradient is clipped, and noise hides what is left of it.

        θ ← θ − ηu,               u as in `differentially_private_aggregate`
        v ← βv + u,  θ ← θ − ηv   with momentum, as in `sgd`

    Args:
        learning_rate: η in [0, ∞), unit [θ]²/[loss].
        l2_norm_clip: c in [0, ∞), unit of the gradient.
        noise_multiplier: σ in [0, ∞), no unit.
        seed: of the noise, a static integer.
        momentum, nesterov: see `sgd`; they act on what is private already.

    Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, arXiv:1607.00133.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> tx = fg.dpsgd(0.1, l2_norm_clip=1.0, noise_multiplier=0.0, seed=0)
    >>> grads = fg.per_example_grad(lambda w, x: w * x)(2.0, jnp.array([0.5, 30.0]))
    >>> float(tx.update(grads, tx.init(2.0), 2.0)[0])  # −0.1 · (0.5 + 1) / 2
    -0.075
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    l2_norm_clip: ScalarOrSchedule = number("[0, inf)")
    noise_multiplier: ScalarOrSchedule = number("[0, inf)")
    seed: int = static(convert=as_seed)
    momentum: ScalarOrSchedule | None = number("[0, 1)", default=None)
    nesterov: bool = static(default=False)

    def compose(self) -> Transform:
        return chain(
            differentially_private_aggregate(self.l2_norm_clip, self.noise_multiplier, self.seed),
            sgd(self.learning_rate, self.momentum, self.nesterov),
        )
