"""Stochastic gradient descent with noise that fades."""

from funcgd.core.chain import chain
from funcgd.core.fields import number, static
from funcgd.core.transform import Composed, Transform
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.noise import add_noise, as_seed
from funcgd.transforms.scale import scale_by_learning_rate


@value
class noisy_sgd(Composed):
    """Stochastic gradient descent with normal noise on the gradient, which fades.

        θ ← θ − α(g + ξ),   ξ ~ N(0, η / (1 + t)ᵞ)   at step t, from 0; independent for every entry and step

    Noise helps deep networks through plateaus and out of saddle points early on, and is gone later.

    Args:
        learning_rate: α in [0, ∞), unit [θ]²/[loss].
        eta: η in [0, ∞), the variance at first, unit of the gradient squared; 0.01 to 1 in the paper.
        gamma: γ in [0, ∞), how fast it fades; 0.55 in the paper.
        key: the seed, a static integer; the random key lives in the state.

    Raises:
        TypeError: if `key` is no integer.

    Reference: Neelakantan et al., Adding gradient noise improves learning for very deep networks, 2015,
    arXiv:1511.06807.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx = fg.noisy_sgd(0.1, eta=0.01)
    >>> updates, _ = tx.update(jnp.ones(1000), tx.init(jnp.zeros(1000)))
    >>> -0.105 < float(updates.mean()) < -0.095, 0.009 < float(updates.std()) < 0.011  # α, and α√η
    (True, True)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    eta: ScalarOrSchedule = number("[0, inf)", default=0.01)
    gamma: ScalarOrSchedule = number("[0, inf)", default=0.55)
    key: int = static(default=0, convert=as_seed)

    def compose(self) -> Transform:
        return chain(add_noise(self.eta, self.gamma, self.key), scale_by_learning_rate(self.learning_rate))
