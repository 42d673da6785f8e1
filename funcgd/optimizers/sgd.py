"""Stochastic gradient descent, with momentum in both of its forms."""

from typing import Any

from funcgd.core.chain import chain
from funcgd.core.fields import as_optional_dtype, number, static
from funcgd.core.transform import Composed, Transform
from funcgd.core.types import ScalarOrSchedule
from funcgd.core.values import value
from funcgd.transforms.momentum import trace
from funcgd.transforms.scale import scale_by_learning_rate


@value
class sgd(Composed):
    """Stochastic gradient descent: a step against the gradient of a batch, optionally with momentum.

        θ ← θ − ηg                           without momentum
        v ← βv + g,       θ ← θ − ηv         momentum as a leaky sum (the default)
        V ← βV − ηg,      θ ← θ + V          momentum as a velocity (`velocity=True`)

    The two forms are the same while η is constant (V = −ηv). When η changes, the leaky sum rescales all that it
    remembers at once, the velocity keeps what it remembers at the η of its own time and lets it fade.
    `nesterov` replaces v (or V) in the step by what it will be one step ahead: g + βv, and βV − ηg.

    Args:
        learning_rate: η in [0, ∞), unit [θ]²/[loss].
        momentum: β in [0, 1), 0.9 is common; None is without. It multiplies the length of a run of equal steps by 1/(1
        − β).
        nesterov: Nesterov's form; needs a momentum.
        accumulator_dtype: dtype that stores v; None is at least float32.
        velocity: momentum as a velocity.

    References: Robbins, Monro, A stochastic approximation method, 1951; Polyak 1964; Nesterov 1983; Sutskever et al.
    2013 (see `trace`).

    >>> import funcgd as fg
    >>> fg.sgd(0.1, momentum=0.9, nesterov=True)
    sgd(learning_rate=0.1, momentum=0.9, nesterov=True)
    """

    learning_rate: ScalarOrSchedule = number("[0, inf)")
    momentum: ScalarOrSchedule | None = number("[0, 1)", default=None)
    nesterov: bool = static(default=False)
    accumulator_dtype: Any = static(default=None, convert=as_optional_dtype)
    velocity: bool = static(default=False)

    def __post_init__(self) -> None:
        if self.momentum is None and (self.nesterov or self.velocity):
            raise ValueError("sgd: `nesterov` and `velocity` need a `momentum`, such as 0.9; got None.")

    def compose(self) -> Transform:
        step = scale_by_learning_rate(self.learning_rate)
        if self.momentum is None:
            return chain(step)
        momentum = trace(self.momentum, self.nesterov, self.accumulator_dtype)
        return chain(step, momentum) if self.velocity else chain(momentum, step)
