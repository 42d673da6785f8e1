"""Noise on the gradient."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import as_count, number, static
from funcgd.core.lift import lift
from funcgd.core.schedule import at
from funcgd.core.transform import Params, Transform, Updates
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value


def as_seed(seed: Any) -> int:
    """`seed` as an integer from 0.

    Raises:
        TypeError: if it is none; a random key is none, since transforms hold seeds, and keys live in their states.
    """
    return as_count(seed, 0)


def normal_like(key: jax.Array, tree: Any) -> Any:
    """Standard normal noise like `tree`, in at least float32, of another key for each leaf; complex has E|z|² = 1."""
    leaves, structure = jax.tree.flatten(tree)

    def draw(i: int, x: Any) -> jax.Array:
        dtype = numerics.widen(x).dtype
        return jax.random.normal(jax.random.fold_in(key, i), jnp.shape(x), dtype)

    return structure.unflatten([draw(i, x) for i, x in enumerate(leaves)])


class AddNoiseState(NamedTuple):
    """The state of `add_noise`.

    >>> import funcgd as fg
    >>> int(fg.add_noise(0.1, 0.55, 0).init(0.0).count)
    0
    """

    count: jax.Array  # (), int32: finished updates
    rng_key: jax.Array  # (), random key of the next update


@value
class add_noise(Transform):
    """Add normal noise that fades.

        u = g + ξ,   ξ ~ N(0, η / tᵞ)   at the t-th update, from 1; independent for every entry and update

    Of complex entries E|ξ|² = η / tᵞ. The same seed gives the same noise; two such transforms want two seeds.

    Args:
        eta: η in [0, ∞), the variance at first, unit of the gradient squared; 0.01 to 1 in the paper.
        gamma: γ in [0, ∞), how fast it fades; 0.55 in the paper, 0 is never.
        key: the seed, a static integer; the random key lives in the state.

    Raises:
        TypeError: if `key` is no integer.

    Reference: Neelakantan et al., Adding gradient noise improves learning for very deep networks, 2015,
    arXiv:1511.06807.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.add_noise(0.01, 0.55, key=0)
    >>> updates, _ = tx.update(jnp.ones(1000), tx.init(jnp.zeros(1000)))
    >>> 0.09 < float(updates.std()) < 0.11
    True
    """

    eta: ScalarOrSchedule = number("[0, inf)")
    gamma: ScalarOrSchedule = number("[0, inf)")
    key: int = static(convert=as_seed)

    def init(self, params: Params) -> AddNoiseState:
        return AddNoiseState(jnp.zeros((), jnp.int32), jax.random.key(self.key))

    def update(
        self, grads: Updates, state: AddNoiseState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AddNoiseState]:
        h, t = at(self, state.count), numerics.increment(state.count)
        own, following = jax.random.split(state.rng_key)
        dtype = numerics.wide_dtype(jnp.result_type(h.eta), jnp.result_type(h.gamma))
        h.deviation = numerics.sqrt(jnp.asarray(h.eta, dtype) * jnp.asarray(t, dtype) ** -jnp.asarray(h.gamma, dtype))
        updates = lift(lambda h, g, noise: g + h.deviation * noise, h, grads, read=(normal_like(own, grads),))
        return updates, AddNoiseState(t, following)
