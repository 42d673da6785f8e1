"""What a method of minimize tells the loop."""

from typing import Any, NamedTuple


class Evaluation(NamedTuple):
    """What a method knows at a point.

    >>> import funcgd as fg
    >>> fg.Evaluation(value=1.0, gradient_norm=0.5, aux=None).value
    1.0
    """

    value: Any  # (), f(x)
    gradient_norm: Any  # (), ‖∇f(x)‖₂; with constraints that of what is 0 at a solution
    aux: Any = None  # what fun returned beside its value
    accepted: Any = True  # (), bool: whether the point is an iterate, not a trial; True itself if that is always so
    code: Any = 0  # (), int32: the StopReason for which the method itself gives up; 0 goes on
    gradient_max: Any = None  # (), the same in the maximum norm; None where nobody computes it
