"""Calculus: slopes, derivatives of first and second order, gradient flow, and gradients checked."""

from funcgd.calculus.backpropagation import Backward, backpropagate
from funcgd.calculus.check_gradient import GradientCheck, check_gradient
from funcgd.calculus.computational_graph import ComputationalGraph, GraphEdge, GraphNode, computational_graph
from funcgd.calculus.curvature import fisher_vector_product, gauss_newton_vector_product
from funcgd.calculus.delta_rule import DeltaRule, delta_rule
from funcgd.calculus.difference_quotient import difference_gradient, difference_quotient
from funcgd.calculus.gradient import directional_derivative, gradient
from funcgd.calculus.gradient_flow import gradient_flow
from funcgd.calculus.hessian import hessian, hessian_matrix, hessian_vector_product
from funcgd.calculus.jacobian import jacobian
from funcgd.calculus.level_set import level_set_tangent, tangent_projection
from funcgd.calculus.perturbations import Gumbel, Normal, make_perturbed_fun
from funcgd.calculus.scale_gradient import scale_gradient
from funcgd.calculus.second_order import fisher_diag, hessian_diag, hvp

__all__ = [
    "Backward",
    "ComputationalGraph",
    "DeltaRule",
    "GradientCheck",
    "GraphEdge",
    "GraphNode",
    "Gumbel",
    "Normal",
    "backpropagate",
    "check_gradient",
    "computational_graph",
    "delta_rule",
    "difference_gradient",
    "difference_quotient",
    "directional_derivative",
    "fisher_diag",
    "fisher_vector_product",
    "gauss_newton_vector_product",
    "gradient",
    "gradient_flow",
    "hessian",
    "hessian_diag",
    "hessian_matrix",
    "hessian_vector_product",
    "hvp",
    "jacobian",
    "level_set_tangent",
    "make_perturbed_fun",
    "scale_gradient",
    "tangent_projection",
]
