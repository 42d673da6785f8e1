"""Small real data that scikit-learn brings along, and splitting data by a key."""

import importlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe, is_number
from funcgd.core.types import Batch
from funcgd.core.validate import check_key, leading_axis


def digits() -> dict[str, np.ndarray]:
    """The 1797 handwritten digits of scikit-learn, 8 × 8 pixels each.

    Returns:
        {"x": float32 of shape (1797, 64), grey values in [0, 1]; "y": int32 of shape (1797,), the digit 0 … 9}.

    Raises:
        ImportError: if scikit-learn is not installed.

    Reference: Alpaydin, Kaynak, Optical recognition of handwritten digits, UCI machine learning repository, 1998.

    >>> import funcgd as fg
    >>> data = fg.problems.digits()
    >>> data["x"].shape, data["y"][:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    x, y = _load("digits")(return_X_y=True)
    return {"x": np.asarray(x / 16, np.float32), "y": np.asarray(y, np.int32)}


def breast_cancer() -> dict[str, np.ndarray]:
    """569 tumours of scikit-learn, described by 30 measurements each.

    Each measurement is standardised to mean 0 and variance 1 over all examples; that uses later test examples too, so
    do it over the training part alone where the last digit of a test score matters.

    Returns:
        {"x": float32 of shape (569, 30); "y": int32 of shape (569,), 0 malignant, 1 benign}.

    Raises:
        ImportError: if scikit-learn is not installed.

    Reference: Street, Wolberg, Mangasarian, Nuclear feature extraction for breast tumor diagnosis, SPIE 1905, 1993.

    >>> import funcgd as fg
    >>> data = fg.problems.breast_cancer()
    >>> data["x"].shape, int(data["y"].sum())
    ((569, 30), 357)
    """
    x, y = _load("breast_cancer")(return_X_y=True)
    return {"x": np.asarray((x - x.mean(0)) / x.std(0), np.float32), "y": np.asarray(y, np.int32)}


def _load(name: str) -> Callable[..., Any]:
    try:
        return getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")
    except ImportError as error:
        raise ImportError(f"{name}: needs scikit-learn; install it with `pip install funcgd[examples]`.") from error


def split(data: Batch, key: jax.Array, sizes: Sequence[float] = (0.6, 0.2, 0.2)) -> tuple[Batch, ...]:
    """Split data by chance into parts, such as training, validation and test.

    The parts are disjoint, and together they are the whole. Their sizes depend on the number of examples only, not on
    the key, so one may `jit`, and `vmap` over keys.

    Args:
        data: a pytree of arrays that share their leading axis of n examples.
        key: the random key that draws the order.
        sizes: whole numbers that sum to n, or fractions that sum to 1; the cumulative sums of fractions are rounded.

    Returns:
        One tree like `data` for each size.

    Raises:
        ValueError: if leading axes differ, the sizes do not sum up, or a part would be empty.
        TypeError: if sizes are no numbers, or whole numbers and fractions are mixed.

    Reference: Hastie, Tibshirani, Friedman, The elements of statistical learning, 2nd edition, 2009, section 7.2.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> train, validation, test = fg.problems.split({"x": jnp.arange(10)}, jax.random.key(0))
    >>> [part["x"].size for part in (train, validation, test)]
    [6, 2, 2]
    >>> sorted(jnp.concatenate([train["x"], validation["x"], test["x"]]).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    check_key("split", key)
    n = leading_axis("split", "data", data)
    bounds = _bounds(sizes, n)
    order = jax.random.permutation(key, n)
    parts = [order[start:stop] for start, stop in pairwise(bounds)]
    return tuple(jax.tree.map(lambda x, part=part: jnp.take(jnp.asarray(x), part, axis=0), data) for part in parts)


def _bounds(sizes: Any, n: int) -> list[int]:
    sizes = list(sizes) if isinstance(sizes, (list, tuple)) or np.ndim(sizes) == 1 else [sizes]
    if not sizes or not all(is_number(size) and np.ndim(size) == 0 for size in sizes):
        raise TypeError(f"split: `sizes` must be a list of numbers, got {describe(sizes)}.")
    whole = [np.issubdtype(np.result_type(size), np.integer) for size in sizes]
    if any(whole) and not all(whole):
        raise TypeError(f"split: `sizes` must be all whole numbers or all fractions, got {sizes}.")
    total, expected = (sum(sizes), n) if whole[0] else (float(np.sum(sizes)), 1)
    if not (total == n if whole[0] else abs(total - 1) < 1e-9):
        raise ValueError(f"split: `sizes` must sum to {expected}{', the number of examples' * whole[0]}, got {total}.")
    bounds = [0, *np.rint(np.cumsum(sizes) * (1 if whole[0] else n)).astype(int).tolist()]
    if min(np.diff(bounds)) < 1:
        raise ValueError(f"split: `sizes` must give every part at least one of the {n} examples, got {sizes}.")
    return bounds
