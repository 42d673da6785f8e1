"""The nonlinear regressions of NIST, with certified answers."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from funcgd.problems.nist_models import MODELS

FOLDER = Path(__file__).parent / "nist_data"
FIRST = 60  # the line after which the data stand, in every file
LOGARITHMIC = ("Nelson",)  # models of log y


@dataclasses.dataclass(frozen=True, eq=False)
class Regression:
    """Data, a model of them, and the parameters that fit best. Arrays are float64 and read-only.

    Args:
        name: of the problem.
        model: b of shape (n,), x → a prediction of shape (m,), in the dtype of b.
        x: the predictor, shape (m,), or (m, 2) where there are two.
        y: the response, shape (m,), as the model predicts it.
        starts: shape (2, n): one far from the solution, one near.
        certified: shape (n,), the parameters of the least sum of squares.
        deviations: shape (n,), their standard deviations.
        sum_of_squares: Σr² there.
        difficulty: "lower", "average" or "higher".
        source: where the data are published.

    >>> import funcgd as fg
    >>> problem = fg.problems.nist("BoxBOD")
    >>> problem.difficulty, problem.starts.tolist()
    ('higher', [[1.0, 1.0], [100.0, 0.75]])
    """

    name: str
    model: Callable[[Any, Any], Any]
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    certified: np.ndarray
    deviations: np.ndarray
    sum_of_squares: float
    difficulty: str
    source: str

    def residuals(self, b: Any) -> Any:
        """model(b, x) − y, shape (m,), in the dtype of b."""
        b = jnp.asarray(b)
        return self.model(b, jnp.asarray(self.x, b.dtype)) - jnp.asarray(self.y, b.dtype)


def nist_names() -> tuple[str, ...]:
    """The names of NIST's 27 nonlinear regressions, in its order: from lower to higher difficulty.

    >>> import funcgd as fg
    >>> fg.problems.nist_names()[:3]
    ('Misra1a', 'Chwirut2', 'Chwirut1')
    """
    return tuple(MODELS)


@functools.cache
def nist(name: str) -> Regression:
    """One of the 27 nonlinear regressions in the Statistical Reference Datasets of NIST.

    Their least sums of squares are certified to 11 significant digits, from two starts each. The files are those of
    NIST, unchanged; as works of the government of the United States they are in the public domain. The response of
    Nelson is the logarithm of what the file has, which its model predicts.

    Args:
        name: one of `nist_names()`.

    Raises:
        ValueError: if there is no problem of that name.

    Reference: National Institute of Standards and Technology, Statistical Reference Datasets: nonlinear regression,
    https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> problem = fg.problems.nist("Misra1a")
    >>> fit = fg.least_squares(problem.residuals)
    >>> starts = jnp.asarray(problem.starts, jnp.float32)
    >>> runs = jax.vmap(lambda b: fg.minimize(fit, b, fg.LevenbergMarquardt(), max_steps=50))(starts)
    >>> runs.best[:, 0].round(1).tolist(), float(problem.certified[0])
    ([238.9, 238.9], 238.94212918)
    """
    if name not in MODELS:
        raise ValueError(f"nist: `name` must be one of {', '.join(MODELS)}; got {name!r}.")
    lines = (FOLDER / f"{name}.dat").read_text(encoding="ascii").splitlines()
    text = "\n".join(lines[:FIRST])
    table = _rows(re.findall(r"^ *b\d+ *=(.*)$", text, re.MULTILINE))
    data = _rows(lines[FIRST:])
    y, x = data[:, 0], data[:, 1:]
    return Regression(
        name=name,
        model=MODELS[name],
        x=_frozen(x[:, 0] if x.shape[1] == 1 else x),
        y=_frozen(np.log(y) if name in LOGARITHMIC else y),
        starts=_frozen(table[:, :2].T),
        certified=_frozen(table[:, 2]),
        deviations=_frozen(table[:, 3]),
        sum_of_squares=float(_found(r"Residual Sum of Squares: *(\S+)", text)),
        difficulty=_found(r"(Lower|Average|Higher) Level of Difficulty", text).lower(),
        source=" ".join(_found(r"Reference:((?:.+\n)+)", text).split()),
    )


def _rows(lines: list[str]) -> np.ndarray:
    return np.array([[float(x) for x in line.split()] for line in lines if line.strip()], np.float64)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"nist: the file must have {pattern!r}.")
    return found.group(1)


def _frozen(x: np.ndarray) -> np.ndarray:
    x = np.ascontiguousarray(x)
    x.flags.writeable = False
    return x
