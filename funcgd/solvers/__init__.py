"""Deterministic methods for fg.minimize: a search times a descent; none owns a loop."""

from funcgd.solvers.line_search_method import LineSearchMethod, LineState, Step
from funcgd.solvers.steepest_descent import SteepestDescent

__all__ = ["LineSearchMethod", "LineState", "SteepestDescent", "Step"]
