"""Deterministic methods for fg.minimize: a search times a descent; none owns a loop."""

from funcgd.solvers.admm import ADMM, ADMMState
from funcgd.solvers.assignment import base_hungarian_algorithm, hungarian_algorithm
from funcgd.solvers.barzilai_borwein import BarzilaiBorwein
from funcgd.solvers.bfgs import BFGS
from funcgd.solvers.block_coordinate_descent import BlockCoordinateDescent, BlockState
from funcgd.solvers.coordinate_descent import CoordinateDescent, CoordinateState
from funcgd.solvers.dogleg_least_squares import DoglegLeastSquares
from funcgd.solvers.fista import FISTA, FISTAState
from funcgd.solvers.gauss_newton import GaussNewton
from funcgd.solvers.lbfgs import LBFGS
from funcgd.solvers.lbfgsb import LBFGSB
from funcgd.solvers.levenberg_marquardt import LevenbergMarquardt
from funcgd.solvers.line_search_method import LineSearchMethod, LineState, Step
from funcgd.solvers.mirror_descent import MirrorDescent
from funcgd.solvers.nelder_mead import NelderMead, NelderMeadState
from funcgd.solvers.newton import Newton
from funcgd.solvers.newton_cg import NewtonCG
from funcgd.solvers.nnls import nnls
from funcgd.solvers.nonlinear_cg import NonlinearCG
from funcgd.solvers.proximal_gradient import ProjectedGradient, ProximalGradient
from funcgd.solvers.proximal_method import ProximalState
from funcgd.solvers.residual_method import ResidualMethod, ResidualState
from funcgd.solvers.steepest_descent import SteepestDescent
from funcgd.solvers.trust_region import TrustRegion, TrustRegionState

__all__ = [
    "ADMM",
    "BFGS",
    "FISTA",
    "LBFGS",
    "LBFGSB",
    "ADMMState",
    "BarzilaiBorwein",
    "BlockCoordinateDescent",
    "BlockState",
    "CoordinateDescent",
    "CoordinateState",
    "DoglegLeastSquares",
    "FISTAState",
    "GaussNewton",
    "LevenbergMarquardt",
    "LineSearchMethod",
    "LineState",
    "MirrorDescent",
    "NelderMead",
    "NelderMeadState",
    "Newton",
    "NewtonCG",
    "NonlinearCG",
    "ProjectedGradient",
    "ProximalGradient",
    "ProximalState",
    "ResidualMethod",
    "ResidualState",
    "SteepestDescent",
    "Step",
    "TrustRegion",
    "TrustRegionState",
    "base_hungarian_algorithm",
    "hungarian_algorithm",
    "nnls",
]
