"""Projections onto sets, and proximal maps: what constraints and penalties mean to a solver."""

from funcgd.projections.balls import projection_l2_ball, projection_l2_sphere, projection_linf_ball
from funcgd.projections.boxes import projection_box, projection_hypercube, projection_non_negative
from funcgd.projections.norms import GroupLasso, L2Norm
from funcgd.projections.planes import projection_halfspace, projection_hyperplane, projection_vector
from funcgd.projections.regularizer import Indicator, NoRegularizer, Regularizer
from funcgd.projections.separable import ElasticNet, L1Norm, SquaredL2Norm
from funcgd.projections.simplex import projection_l1_ball, projection_l1_sphere, projection_simplex

__all__ = [
    "ElasticNet",
    "GroupLasso",
    "Indicator",
    "L1Norm",
    "L2Norm",
    "NoRegularizer",
    "Regularizer",
    "SquaredL2Norm",
    "projection_box",
    "projection_halfspace",
    "projection_hypercube",
    "projection_hyperplane",
    "projection_l1_ball",
    "projection_l1_sphere",
    "projection_l2_ball",
    "projection_l2_sphere",
    "projection_linf_ball",
    "projection_non_negative",
    "projection_simplex",
    "projection_vector",
]
