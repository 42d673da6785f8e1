"""Gradient descent, plain and with a direction of unit length."""

from funcgd.core.chain import chain
from funcgd.core.fields import number
from funcgd.core.transform import Composed, Transform
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.normalize import normalize_by_update_norm
from funcgd.transforms.scale import scale_by_learning_rate


@value
class gradient_descent(Composed):
    """Vanilla gradient descent: a step against the gradient.

        θ ← θ − η·g

    On a quadratic with curvatures in [μ, L] it converges for η < 2/L, fastest at η = 2/(L + μ), where the distance to
    the minimum shrinks by (κ − 1)/(κ + 1) per step, κ = L/μ.

    Args:
        learning_rate: η in [0, ∞), unit [θ]²/[loss].

    Reference: Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    >>> import funcgd as fg
    >>> fg.minimize(lambda x: x**2, 2.0, fg.gradient_descent(0.25), max_steps=3).params.item()
    0.25
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")

    def compose(self) -> Transform:
        return chain(scale_by_learning_rate(self.learning_rate))


@value
class normalized_gradient_descent(Composed):
    """Steepest descent with a direction of unit length: every step has length α, whatever the size of the gradient.

        θ ← θ − α·g / ‖g‖₂,   the norm over all leaves together

    At a stationary point the direction is exactly 0. With a constant α the iterates end up circling the minimum at a
    distance of about α, so let α fall with a schedule.

    Args:
        learning_rate: α in [0, ∞), unit of the parameters: the length of a step.

    Reference: Nocedal, Wright, Numerical Optimization, 2006, section 2.2.

    >>> import funcgd as fg
    >>> run = fg.minimize(lambda x: x**2, 2.0, fg.normalized_gradient_descent(0.5), max_steps=5, record=True)
    >>> run.history["params"].tolist()
    [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")

    def compose(self) -> Transform:
        return chain(normalize_by_update_norm(), scale_by_learning_rate(self.learning_rate))
