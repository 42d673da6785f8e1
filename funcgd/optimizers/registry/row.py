"""What is known of an optimizer."""

import dataclasses
from collections.abc import Mapping

from funcgd.core.transform import Transform

# On these problems a thousand steps with the best learning rate leave at most this share of f(start) − f*.
SOLVES = {"quadratic": 0.01, "booth": 0.01, "matyas": 0.01, "rosenbrock": 0.05, "beale": 0.05, "breast_cancer": 0.002}


@dataclasses.dataclass(frozen=True)
class Row:
    """What is known of an optimizer.

    >>> from funcgd.optimizers.registry import ROWS
    >>> ROWS["adam"].year
    2014
    """

    example: Transform  # with a learning rate that suits problems of unit scale
    year: int  # of the first publication
    paper: str
    link: str = ""
    variants: tuple[Transform, ...] = ()  # other structures, tested like the example
    needs: tuple[str, ...] = ()  # optional arguments that update cannot do without
    rate: str = ""  # on a quadratic with curvatures in [μ, L], κ = L/μ: how ‖θ − θ*‖ shrinks per step
    solves: Mapping[str, float] = dataclasses.field(default_factory=SOLVES.copy)  # problems, and how well
    elementwise: bool = True  # entries of a leaf do not influence each other
    leafwise: bool = True  # leaves do not influence each other
    forgets: bool = True  # the memory of a huge gradient fades; False for sums
    scale_invariant: bool = False  # the step does not change when the loss is multiplied by a number
    stochastic: bool = False  # draws random numbers, so that zero gradients may give other updates than zero
    differentiable: bool = True  # in reverse mode with respect to its numbers; else in forward mode
    complex_ok: bool = True  # there is a rule for complex parameters; else they are refused

    @property
    def name(self) -> str:
        """The public name."""
        return type(self.example).__name__

    @property
    def promise(self) -> str:
        """The first sentence of its documentation."""
        return (type(self.example).__doc__ or "").split("\n")[0]
