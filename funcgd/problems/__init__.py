"""Problems with known answers: test functions, and small real data. Public as `fg.problems`."""

from funcgd.problems.classics import beale, himmelblau, rastrigin, rosenbrock
from funcgd.problems.data import breast_cancer, digits, split
from funcgd.problems.least_squares import LeastSquaresProblem
from funcgd.problems.more_garbow_hillstrom import more_garbow_hillstrom
from funcgd.problems.nist import Regression, nist, nist_names
from funcgd.problems.problem import Problem
from funcgd.problems.quadratics import booth, elliptic_bowl, matyas, quadratic

__all__ = [
    "LeastSquaresProblem",
    "Problem",
    "Regression",
    "beale",
    "booth",
    "breast_cancer",
    "digits",
    "elliptic_bowl",
    "himmelblau",
    "matyas",
    "more_garbow_hillstrom",
    "nist",
    "nist_names",
    "quadratic",
    "rastrigin",
    "rosenbrock",
    "split",
]
