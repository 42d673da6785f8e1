"""Line searches: fixed, exact, backtracking, Wolfe; used by solvers and transforms alike."""

from funcgd.line_searches.backtracking import Backtracking
from funcgd.line_searches.search import LineSearch, Trial
from funcgd.line_searches.strong_wolfe import StrongWolfe

__all__ = ["Backtracking", "LineSearch", "StrongWolfe", "Trial"]
