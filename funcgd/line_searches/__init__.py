"""Line searches: fixed, exact, backtracking, Wolfe; used by solvers and transforms alike."""

from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.exact_quadratic import ExactQuadratic
from funcgd.line_searches.fixed_step import FixedStep
from funcgd.line_searches.hager_zhang import HagerZhang
from funcgd.line_searches.search import LineSearch, Trial
from funcgd.line_searches.strong_wolfe import StrongWolfe

__all__ = ["Backtracking", "ExactQuadratic", "FixedStep", "HagerZhang", "LineSearch", "StrongWolfe", "Trial"]
