"""Deterministic methods for fg.minimize: a search times a descent; none owns a loop."""

from funcgd.solvers.bfgs import BFGS
from funcgd.solvers.lbfgs import LBFGS
from funcgd.solvers.levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from funcgd.solvers.line_search_method import LineSearchMethod, LineState, Step
from funcgd.solvers.newton import Newton
from funcgd.solvers.newton_cg import NewtonCG
from funcgd.solvers.steepest_descent import SteepestDescent
from funcgd.solvers.trust_region import TrustRegion, TrustRegionState

__all__ = [
    "BFGS",
    "LBFGS",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "LineSearchMethod",
    "LineState",
    "Newton",
    "NewtonCG",
    "SteepestDescent",
    "Step",
    "TrustRegion",
    "TrustRegionState",
]
