"""Calculus: gradients checked against difference quotients."""

from funcgd.calculus.check_gradient import GradientCheck, check_gradient

__all__ = ["GradientCheck", "check_gradient"]
