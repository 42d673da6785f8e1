"""Problems with known answers: test functions, and small real data. Public as `fg.problems`."""

from funcgd.problems.classics import beale, himmelblau, rastrigin, rosenbrock
from funcgd.problems.data import breast_cancer, digits, split
from funcgd.problems.nist import Regression, nist, nist_names
from funcgd.problems.problem import Problem
from funcgd.problems.quadratics import booth, elliptic_bowl, matyas, quadratic

__all__ = [
    "Problem",
    "Regression",
    "beale",
    "booth",
    "breast_cancer",
    "digits",
    "elliptic_bowl",
    "himmelblau",
    "matyas",
    "nist",
    "nist_names",
    "quadratic",
    "rastrigin",
    "rosenbrock",
    "split",
]
