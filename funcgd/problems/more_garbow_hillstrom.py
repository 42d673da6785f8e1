"""The 35 problems of Moré, Garbow and Hillstrom: their starts and minima."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from funcgd.core.fields import as_count
from funcgd.problems import more_garbow_hillstrom_fixed as fixed
from funcgd.problems import more_garbow_hillstrom_variable as variable
from funcgd.problems.least_squares import LeastSquaresProblem
from funcgd.problems.problem import as_dimension

_SOURCE = "Moré, Garbow, Hillstrom, Testing unconstrained optimization software, ACM TOMS 7, 1981"


class _Row(NamedTuple):
    residuals: Callable[[Any], Any]
    x0: Any  # the start, or a function of n
    minimum: Any = 0.0  # f at the global minimum, a function of n, or {n: f}
    minimizers: Any = None  # rows, or a function of n
    local_minima: Any = ()  # values, or {n: values}
    n: int = 0  # the usual number of variables, where there is a choice
    least: int = 0  # the smallest one
    most: float = np.inf
    multiple: int = 1  # of this number


def _ones(n: int) -> np.ndarray:
    return np.ones(n)


def _zeros(n: int) -> np.ndarray:
    return np.zeros(n)


def _parabola(n: int) -> np.ndarray:
    t = np.arange(1, n + 1) / (n + 1)
    return t * (t - 1)


def _multiple_of(j: np.ndarray, total: float) -> np.ndarray:
    """The shortest x with Σⱼ j xⱼ = total."""
    return total * j / np.sum(j**2)


def _minus_ones(n: int) -> np.ndarray:
    return -np.ones(n)


def _counted(n: int) -> np.ndarray:
    return np.arange(1.0, n + 1)


def _inner(n: int) -> np.ndarray:
    j = _counted(n)
    return np.where((j > 1) & (j < n), j, 0)


_CHEBYQUAD = {**dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 9), 0.0), 8: 3.516873725678e-3, 10: 4.772713696375e-3}

# Minima have more digits than in print: they were computed in float64 from what is printed.
_ROWS = (
    _Row(fixed.rosenbrock, [-1.2, 1], minimizers=[[1, 1]]),
    _Row(fixed.freudenstein_roth, [0.5, -2], minimizers=[[5, 4]], local_minima=(48.98425367924,)),
    _Row(fixed.powell_badly_scaled, [0, 1], minimizers=[[1.0981593296997057e-05, 9.106146739867524]]),
    _Row(fixed.brown_badly_scaled, [1, 1], minimizers=[[1e6, 2e-6]]),
    _Row(fixed.beale, [1, 1], minimizers=[[3, 0.5]]),
    _Row(fixed.jennrich_sampson, [0.3, 0.4], 124.36218235561, [[0.2578252136703641] * 2]),
    _Row(fixed.helical_valley, [-1, 0, 0], minimizers=[[1, 0, 0]]),
    _Row(fixed.bard, [1, 1, 1], 8.214877306579e-3, local_minima=(17.4286,)),
    _Row(fixed.gaussian, [0.4, 1, 0], 1.127932769620e-8),
    _Row(fixed.meyer, [0.02, 4000, 250], 87.9458551707),
    _Row(fixed.gulf, [5, 2.5, 0.15], minimizers=[[50, 25, 1.5]]),
    _Row(fixed.box, [0, 10, 20], minimizers=[[1, 10, 1], [10, 1, -1], [0, 0, 0]]),
    _Row(fixed.powell_singular, [3, -1, 0, 1], minimizers=[[0, 0, 0, 0]]),
    _Row(fixed.wood, [-3, -1, -3, -1], minimizers=[[1, 1, 1, 1]]),
    _Row(fixed.kowalik_osborne, [0.25, 0.39, 0.415, 0.39], 3.075056038492e-4, local_minima=(1.02734e-3,)),
    _Row(fixed.brown_dennis, [25, 5, -5, -1], 85822.20162636),
    _Row(fixed.osborne_1, [0.5, 1.5, -1, 0.01, 0.02], 5.464894697483e-5),
    _Row(fixed.biggs, [1, 2, 1, 1, 1, 1], minimizers=[[1, 10, 1, 5, 4, 3]], local_minima=(5.655649925e-3,)),
    _Row(fixed.osborne_2, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 0.04013773629355),
    _Row(variable.watson, _zeros, {6: 2.287670053552e-3, 9: 1.399760138e-6, 12: 4.72238110e-10}, n=6, least=2, most=31),
    _Row(variable.extended_rosenbrock, lambda n: np.tile([-1.2, 1.0], n // 2), 0.0, _ones, n=10, least=2, multiple=2),
    _Row(
        variable.extended_powell_singular,
        lambda n: np.tile([3.0, -1, 0, 1], n // 4),
        0.0,
        _zeros,
        n=12,
        least=4,
        multiple=4,
    ),
    _Row(variable.penalty_1, _counted, {4: 2.249977500901e-5, 10: 7.087651467090e-5}, n=10, least=1),
    _Row(variable.penalty_2, lambda n: np.full(n, 0.5), {4: 9.376293007355e-6, 10: 2.936605374567e-4}, n=10, least=2),
    _Row(variable.variably_dimensioned, lambda n: 1 - _counted(n) / n, 0.0, _ones, n=10, least=1),
    _Row(variable.trigonometric, lambda n: np.full(n, 1 / n), 0.0, _zeros, {10: (2.795056e-5,)}, n=10, least=1),
    _Row(variable.brown_almost_linear, lambda n: np.full(n, 0.5), 0.0, _ones, (1.0,), n=10, least=2),
    _Row(variable.discrete_boundary_value, _parabola, n=10, least=1),
    _Row(variable.discrete_integral_equation, _parabola, n=10, least=1),
    _Row(variable.broyden_tridiagonal, _minus_ones, n=10, least=1),
    _Row(variable.broyden_banded, _minus_ones, n=10, least=1),
    # Of the last four, the first three have m = 2n residuals.
    _Row(variable.linear_full_rank, _ones, float, _minus_ones, n=10, least=1),
    _Row(
        variable.linear_rank_1,
        _ones,
        lambda n: n * (2 * n - 1) / (4 * n + 1),
        lambda n: _multiple_of(_counted(n), 3 / (4 * n + 1)),
        n=10,
        least=1,
    ),
    _Row(
        variable.linear_rank_1_zeros,
        _ones,
        lambda n: (2 * n**2 + 3 * n - 3) / (4 * n - 3),
        lambda n: _multiple_of(_inner(n), 3 / (4 * n - 3)),
        n=10,
        least=3,
    ),
    _Row(
        variable.chebyquad, lambda n: _counted(n) / (n + 1), _CHEBYQUAD, None, {10: (6.503954800882e-3,)}, n=8, least=1
    ),
)


def more_garbow_hillstrom(number: int, dimension: int | None = None) -> LeastSquaresProblem:
    """One of the 35 problems of Moré, Garbow and Hillstrom, by its number in their paper.

    1 Rosenbrock · 2 Freudenstein–Roth · 3 Powell badly scaled · 4 Brown badly scaled · 5 Beale · 6 Jennrich–Sampson ·
    7 helical valley · 8 Bard · 9 Gaussian · 10 Meyer · 11 Gulf research and development · 12 Box · 13 Powell singular ·
    14 Wood · 15 Kowalik–Osborne · 16 Brown–Dennis · 17 Osborne 1 · 18 Biggs EXP6 · 19 Osborne 2 · 20 Watson ·
    21 extended Rosenbrock · 22 extended Powell singular · 23 penalty I · 24 penalty II · 25 variably dimensioned ·
    26 trigonometric · 27 Brown almost linear · 28 discrete boundary value · 29 discrete integral equation ·
    30 Broyden tridiagonal · 31 Broyden banded · 32 linear, full rank · 33 linear, rank 1 · 34 linear, rank 1 with zero
    columns and rows · 35 Chebyquad

    The number of residuals is m = 10 in 6 and 12, 20 in 16, 13 in 18, 99 in 11, and 2n in 32, 33 and 34. In 11 the
    paper prints "m i" for a minus sign. In 35 with n = 10 the minimum of the paper is a local one.

    Args:
        number: 1 … 35.
        dimension: n, where there is a choice: from 20 on. None is n = 6 in 20, 8 in 35, 12 in 22, else 10.

    Returns:
        The problem with residuals, start, minima, and minimisers where they are known in closed form or to all digits,
        one or some where there are infinitely many; `minimum` is NaN for an n where none is known.

    Raises:
        ValueError: if there is no such problem, or none with that n.

    Reference: Moré, Garbow, Hillstrom, Testing unconstrained optimization software, ACM TOMS 7, 1981.

    >>> import funcgd as fg
    >>> bard = fg.problems.more_garbow_hillstrom(8)
    >>> bard.name, bard.dimension, bard.residuals(bard.x0).shape, round(bard.minimum, 8)
    ('bard', 3, (15,), 0.00821488)
    """
    try:
        number = as_count(number)
    except (TypeError, ValueError) as error:
        raise type(error)(f"more_garbow_hillstrom: `number`: {error}") from error
    if number > len(_ROWS):
        raise ValueError(f"more_garbow_hillstrom: `number` must be in 1 … {len(_ROWS)}, got {number}.")
    row = _ROWS[number - 1]
    name = row.residuals.__name__
    n = _dimension(row, f"{number} ({name})", dimension)
    x0, minimum, rows, local = _parts(row, n)
    return LeastSquaresProblem(
        name,
        x0,
        None if rows is None else np.atleast_2d(np.asarray(rows)),
        minimum.get(n, np.nan) if isinstance(minimum, dict) else minimum,
        f"{_SOURCE}, problem {number}",
        residuals=row.residuals,
        number=number,
        local_minima=local.get(n, ()) if isinstance(local, dict) else local,
    )


def _parts(row: _Row, n: int) -> Any:
    return [part(n) if callable(part) else part for part in row[1:5]]


def _dimension(row: _Row, problem: str, dimension: Any) -> int:
    """The number of variables asked for, or the usual one."""
    usual = row.n or len(row.x0)
    n = usual if dimension is None else as_dimension("more_garbow_hillstrom", dimension)
    fits = row.least <= n <= row.most and n % row.multiple == 0 if row.n else n == usual
    if not fits:
        at_most = f" to {row.most}" if row.most < np.inf else ""
        allowed = f"{row.least}{at_most}{f', a multiple of {row.multiple}' if row.multiple > 1 else ''}"
        raise ValueError(
            f"more_garbow_hillstrom: `dimension` of problem {problem} must be "
            f"{f'at least {allowed}' if row.n else usual}, got {dimension}."
        )
    return n
