"""Assignments against every permutation, against SciPy, and where pairs are forbidden."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode

scipy_optimize = pytest.importorskip("scipy.optimize")

BOTH = (fg.hungarian_algorithm, fg.base_hungarian_algorithm)
RNG = np.random.default_rng(0)


def solve_all(solve, costs):
    """The total costs, in float64, of the assignments of a stack of matrices, which must be assignments."""
    i, j = (np.asarray(x) for x in jax.jit(jax.vmap(solve))(jnp.asarray(costs)))
    k = min(costs.shape[1:])
    assert i.shape == j.shape == (len(costs), k)
    assert i.dtype == j.dtype == np.int32
    assert np.all(np.diff(i, axis=1) > 0)
    assert np.all(np.diff(np.sort(j, axis=1), axis=1) > 0)
    exact = np.asarray(costs, np.float64) if costs.dtype.kind == "f" else np.asarray(costs, np.int64)
    return np.array([c[a, b].sum() for c, a, b in zip(exact, i, j, strict=True)])


def scipy_totals(costs):
    exact = np.asarray(costs, np.float64)
    return np.array([c[scipy_optimize.linear_sum_assignment(c)].sum() for c in exact])


@pytest.mark.parametrize("solve", BOTH)
def test_no_permutation_costs_less(solve):
    costs = RNG.integers(-4, 5, (300, 4, 4)).astype(np.int32)  # many ties
    every = [costs[:, np.arange(4), list(p)].sum(1) for p in itertools.permutations(range(4))]
    np.testing.assert_array_equal(solve_all(solve, costs), np.min(every, axis=0))


def floats(count, n, m):
    """Uniform numbers; many ties; products, which have the longest paths; distances on a line."""
    uniform = RNG.uniform(-1, 1, (count, n, m))
    ties = RNG.integers(0, 3, (count, n, m))
    products = np.outer(np.arange(n), np.arange(m))[None] / (n * m)
    distances = abs(RNG.random((count, n, 1)) - RNG.random((count, 1, m)))
    return np.concatenate([uniform, ties, products, distances]).astype(np.float32)


def integers(count, n, m):
    """All sizes, and large ones next to each other."""
    large = 2**28 - RNG.integers(0, 30, (count, n, m))
    return np.concatenate([RNG.integers(-(2**28), 2**28, (count, n, m)), large]).astype(np.int32)


SHAPES = [(20, 7, 7), (20, 5, 9), (20, 9, 5), (3, 1, 6), (2, 40, 40)]
SOLVED = [(fg.hungarian_algorithm, shape) for shape in SHAPES] + [(fg.base_hungarian_algorithm, SHAPES[1])]


@pytest.mark.parametrize(("solve", "shape"), SOLVED)
def test_as_scipy(solve, shape):
    costs = integers(*shape)
    np.testing.assert_array_equal(solve_all(solve, costs), scipy_totals(costs))
    costs = floats(*shape)
    np.testing.assert_allclose(solve_all(solve, costs), scipy_totals(costs), rtol=0, atol=1e-6 * min(shape[1:]))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16])
def test_small_integers_do_not_wrap_around(dtype):
    costs = RNG.integers(0, 256, (10, 5, 5)).astype(dtype)
    np.testing.assert_array_equal(solve_all(fg.hungarian_algorithm, costs), scipy_totals(costs))


@pytest.mark.parametrize("solve", BOTH)
def test_float64_to_its_digits(solve):
    costs = RNG.standard_normal((10, 12, 15))
    with float64_mode():
        found = solve_all(solve, costs)
    np.testing.assert_allclose(found, scipy_totals(costs), rtol=1e-13)


@pytest.mark.parametrize("solve", BOTH)
def test_at_the_ends_of_the_range(solve):
    draws = RNG.uniform(1, 2, (20, 6, 6))
    draws[10:] *= RNG.choice([-1, 1], (10, 6, 6))
    scales = np.repeat([1.2e-38, 1e30, 1.7e38], [10, 5, 5])
    costs = (scales[:, None, None] * draws).astype(np.float32)  # differences would be 0, or prices infinite
    np.testing.assert_allclose(solve_all(solve, costs), scipy_totals(costs), rtol=1e-5)
    wide = (10.0 ** RNG.uniform(-30, 30, (20, 6, 6))).astype(np.float32)
    np.testing.assert_allclose(solve_all(solve, wide), scipy_totals(wide), rtol=1e-5)


def test_low_precision_is_computed_in_float32():
    costs = jnp.asarray(RNG.integers(-100, 100, (5, 6, 6)), jnp.bfloat16)
    i, j = jax.vmap(fg.hungarian_algorithm)(costs)
    totals = [np.asarray(c, np.float32)[a, b].sum() for c, a, b in zip(costs, i, j, strict=True)]
    np.testing.assert_array_equal(totals, scipy_totals(costs))


@pytest.mark.parametrize(("solve", "n", "m"), [(BOTH[0], 4, 6), (BOTH[0], 6, 4), (BOTH[1], 5, 5)])
def test_forbidden_pairs(solve, n, m):
    """More than half of all pairs, and one allowed assignment at least; then some where there is none."""
    shape = (30, n, m)
    costs = np.where(RNG.random(shape) < 0.6, np.inf, RNG.uniform(-1, 1, shape)).astype(np.float32)
    k = min(n, m)
    for c in costs:
        c[RNG.permutation(n)[:k], RNG.permutation(m)[:k]] = RNG.uniform(-1, 1, k)
    np.testing.assert_allclose(solve_all(solve, costs), scipy_totals(costs), rtol=1e-5, atol=1e-6)
    costs[:, 0] = costs[:, 1] = np.inf  # of the first two rows
    costs[:, 0, 0] = costs[:, 1, 0] = 0.0
    if n <= m:
        assert np.all(solve_all(solve, costs) == np.inf)


@pytest.mark.parametrize("solve", BOTH)
def test_gradient_of_the_cost_is_the_permutation(solve):
    c = jnp.asarray(RNG.standard_normal((3, 4)), jnp.float32)
    slope = jax.jit(jax.grad(lambda c: c[solve(c)].sum()))(c)
    i, j = scipy_optimize.linear_sum_assignment(np.asarray(c))
    expected = np.zeros((3, 4))
    expected[i, j] = 1
    np.testing.assert_array_equal(slope, expected)


@pytest.mark.parametrize("solve", BOTH)
def test_edges_of_the_domain(solve):
    for shape in ((0, 3), (3, 0), (0, 0)):
        i, j = solve(jnp.zeros(shape))
        assert i.shape == j.shape == (0,)
    for bad in (np.nan, -np.inf):
        with pytest.raises(ValueError, match=rf"{solve.__name__}: .* NaN or -inf"):
            solve(np.array([[bad, 1.0], [2.0, 3.0]]))
        i, j = jax.jit(solve)(jnp.array([[bad, 5.0], [2.0, 3.0]]))
        assert (i.tolist(), j.tolist()) == ([0, 1], [1, 0])  # forbidden
    with pytest.raises(ValueError, match="must be a matrix"):
        solve(jnp.ones(3))
    with pytest.raises(TypeError, match="real"):
        solve(jnp.ones((2, 2), jnp.complex64))
