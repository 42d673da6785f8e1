"""Projections: the nearest point, by its own theorem and by other ways to compute it."""

import functools

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import brentq, minimize

import funcgd as fg
from funcgd.core.numerics import float64_mode

N = 5
LOW, HIGH = np.array([-1.0, 0.0, -np.inf, 2.0, -3.0]), np.array([1.0, np.inf, 0.5, 2.0, -1.0])
NORMAL, OFFSET = np.array([1.0, -2.0, 0.0, 0.5, 3.0]), 1.5


def on_simplex(z, scale=2.0):
    return scale * (np.abs(z) + 1e-3) / np.sum(np.abs(z) + 1e-3)


def on_hyperplane(z):
    return z + np.array([OFFSET - NORMAL @ z, 0, 0, 0, 0]) / NORMAL[0]


# The projection, and an own way to make any point one of the set.
CONVEX = {
    "box": (lambda x: fg.projection_box(x, LOW, HIGH), lambda z: np.minimum(np.maximum(z, LOW), HIGH)),
    "hypercube": (lambda x: fg.projection_hypercube(x, 3.0), lambda z: 3 * np.abs(z) / (1 + np.abs(z))),
    "non_negative": (fg.projection_non_negative, np.abs),
    "simplex": (lambda x: fg.projection_simplex(x, 2.0), on_simplex),
    "l1_ball": (lambda x: fg.projection_l1_ball(x, 2.0), lambda z: 2 * z / max(2, np.sum(np.abs(z)))),
    "l2_ball": (lambda x: fg.projection_l2_ball(x, 2.0), lambda z: 2 * z / max(2, np.sqrt(np.sum(z**2)))),
    "linf_ball": (lambda x: fg.projection_linf_ball(x, 2.0), lambda z: 2 * z / max(2, np.max(np.abs(z)))),
    "hyperplane": (lambda x: fg.projection_hyperplane(x, jnp.asarray(NORMAL), OFFSET), on_hyperplane),
    "halfspace": (
        lambda x: fg.projection_halfspace(x, jnp.asarray(NORMAL), OFFSET),
        lambda z: z if NORMAL @ z <= OFFSET else on_hyperplane(z),
    ),
    "vector": (lambda x: fg.projection_vector(x, jnp.asarray(NORMAL)), lambda z: z[0] * NORMAL),
}
vectors = hnp.arrays(np.float64, N, elements=st.floats(-100, 100, width=32))


@functools.cache
def compiled(name):
    return jax.jit(CONVEX[name][0])


@pytest.mark.parametrize("name", CONVEX)
@settings(max_examples=40, deadline=None)
@given(x=vectors, z=vectors)
def test_no_direction_into_the_set_is_nearer(name, x, z):
    """⟨x − P(x), z − P(x)⟩ ≤ 0 for all z of a convex set defines P; P(P(x)) = P(x); and P leaves the set alone."""
    with float64_mode():
        project, member = compiled(name), CONVEX[name][1](z)
        p = np.asarray(project(jnp.asarray(x)))
        size = 1 + np.abs(x).max() + np.abs(member).max()
        assert (x - p) @ (member - p) <= 1e-12 * size**2
        np.testing.assert_allclose(project(jnp.asarray(p)), p, rtol=0, atol=1e-13 * size)
        np.testing.assert_allclose(project(jnp.asarray(member)), member, rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize("name", ["l1_sphere", "l2_sphere"])
def test_spheres_against_many_points_of_them(name, x64):
    rng = np.random.default_rng(0)
    order = 1 if name == "l1_sphere" else 2
    z = rng.normal(size=(20000, 3)) * (rng.random((20000, 3)) < 0.7)  # also on edges and at corners
    z = z[np.any(z != 0, axis=1)]
    z = 2 * z / np.linalg.norm(z, order, axis=1, keepdims=True)
    x = np.concatenate([rng.normal(size=(20, 3)) * rng.choice([0.1, 1, 5], size=(20, 1)), np.zeros((1, 3))])
    p = np.asarray(jax.jit(jax.vmap(lambda x: getattr(fg, f"projection_{name}")(x, 2.0)))(jnp.asarray(x)))
    np.testing.assert_allclose(np.linalg.norm(p, order, axis=1), 2, rtol=1e-14)
    nearest = np.min(np.linalg.norm(x[:, None] - z[None], axis=2), axis=1)
    found = np.linalg.norm(x - p, axis=1)
    assert np.all(found <= nearest + 1e-12)
    assert np.all(found >= nearest - 0.2)


def test_simplex_by_bisection_with_ties_large_numbers_and_many_entries(x64):
    rng = np.random.default_rng(1)
    for x in (rng.normal(size=1000), np.ones(7), np.array([2.0, 2.0, 1.0, 1.0]), rng.normal(size=9) + 1e8, np.ones(1)):
        tau = brentq(lambda t, x=x: np.sum(np.maximum(x - t, 0)) - 3, x.min() - 3, x.max(), xtol=1e-14)
        p = np.asarray(fg.projection_simplex(jnp.asarray(x), 3.0))
        np.testing.assert_allclose(p, np.maximum(x - tau, 0), rtol=0, atol=1e-13 * np.abs(x).max())
        np.testing.assert_allclose(p.sum(), 3, rtol=1e-14)


def test_simplex_is_the_solution_of_its_quadratic_program(x64):
    x = np.array([0.9, -0.3, 0.4, 0.35, 0.1])
    program = minimize(
        lambda z: 0.5 * np.sum((z - x) ** 2),
        np.full(5, 0.2),
        jac=lambda z: z - x,
        bounds=[(0, None)] * 5,
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(fg.projection_simplex(jnp.asarray(x)), program.x, atol=1e-7)


def test_float32_keeps_a_large_simplex_exact():
    x = np.random.default_rng(2).normal(size=100_000).astype(np.float32)
    tau = brentq(lambda t: np.sum(np.maximum(x.astype(float) - t, 0)) - 1, x.min() - 1, x.max(), xtol=1e-14)
    p = np.asarray(fg.projection_simplex(jnp.asarray(x)))
    np.testing.assert_allclose(p, np.maximum(x.astype(float) - tau, 0), rtol=0, atol=1e-6)


TREE = {"a": jnp.array([[3.0, -1.0]], jnp.float32), "b": None, "c": (jnp.float32(2.0), jnp.zeros((0, 2)))}


@pytest.mark.parametrize(
    "project",
    [
        fg.projection_simplex,
        fg.projection_l1_sphere,
        fg.projection_l1_ball,
        fg.projection_l2_sphere,
        fg.projection_l2_ball,
        fg.projection_linf_ball,
        fg.projection_hypercube,
    ],
)
def test_a_tree_is_one_vector(project):
    p = project(TREE, 1.5)
    assert jax.tree.map(jnp.shape, p) == jax.tree.map(jnp.shape, TREE)
    flat = project(jnp.array([3.0, -1.0, 2.0], jnp.float32), 1.5)
    np.testing.assert_allclose(jnp.array([*p["a"][0], p["c"][0]]), flat, rtol=1e-6)


def test_low_precision_is_rounded_once():
    x = jnp.array([0.7, 0.2, 0.4], jnp.bfloat16)
    p = fg.projection_simplex({"a": x, "b": jnp.float32(0.3)})
    wide = fg.projection_simplex(jnp.array([*x.astype(jnp.float32), 0.3], jnp.float32))
    assert p["a"].dtype == jnp.bfloat16
    assert p["b"].dtype == jnp.float32
    assert p["a"].tolist() == wide[:3].astype(jnp.bfloat16).tolist()


def test_bounds_by_prefix_and_part():
    x = {"w": jnp.array([-5.0, 5.0]), "b": jnp.array(5.0)}
    p = fg.projection_box(x, {"w": 0.0, "b": -1.0}, {"w": jnp.array([1.0, 2.0]), "b": 1.0})
    assert jax.tree.map(lambda a: a.tolist(), p) == {"w": [0.0, 2.0], "b": 1.0}


def test_complex_numbers_keep_their_direction():
    z = jnp.array([3 + 4j, 0.3j, 0], jnp.complex64)
    np.testing.assert_allclose(fg.projection_linf_ball(z), [0.6 + 0.8j, 0.3j, 0], rtol=1e-6)
    np.testing.assert_allclose(fg.projection_l1_ball(z, 2.0), [1.2 + 1.6j, 0, 0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(fg.projection_l2_ball(z)), 1, rtol=1e-6)
    a, b = jnp.array([1j, 2.0, 0], jnp.complex64), 0.5
    p = fg.projection_hyperplane(z, a, b)
    np.testing.assert_allclose(np.vdot(a, p).real, b, rtol=1e-5)


def test_extremes_of_the_range():
    huge, tiny = jnp.array([3e38, 3e38], jnp.float32), jnp.array([3e-39, 4e-39], jnp.float32)
    np.testing.assert_allclose(fg.projection_l2_ball(huge), [0.5**0.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(fg.projection_l2_sphere(jnp.array([3e-30, 4e-30])), [0.6, 0.8], rtol=1e-6)
    assert fg.projection_l2_ball(tiny).tolist() == tiny.tolist()
    assert fg.projection_simplex(jnp.array([1.0, 2.0]), 0.0).tolist() == [0.0, 0.0]
    assert fg.projection_l1_ball(jnp.array([1.0, 2.0]), 0.0).tolist() == [0.0, 0.0]
    assert np.isnan(fg.projection_simplex(jnp.array([jnp.nan, 2.0]))).any()


def test_derivatives_are_difference_quotients(x64):
    x = jnp.array([0.9, -0.3, 0.4, 1.7, 0.1])

    def weighed(name, x):
        return jnp.vdot(jnp.arange(1.0, 6.0), CONVEX[name][0](x))

    for name in ("simplex", "l1_ball", "l2_ball", "linf_ball", "halfspace", "hyperplane"):
        f = jax.jit(functools.partial(weighed, name))
        g, h = jax.grad(f)(x), 1e-6
        quotients = [(f(x.at[i].add(h)) - f(x.at[i].add(-h))) / (2 * h) for i in range(N)]
        np.testing.assert_allclose(g, quotients, atol=1e-8)


def test_derivatives_at_zero_and_for_the_radius_are_finite(x64):
    for name in ("l1_ball", "l2_ball", "linf_ball", "l1_sphere", "l2_sphere", "simplex"):
        project = getattr(fg, f"projection_{name}")
        gradients = jax.jit(jax.grad(lambda x, s, project=project: jnp.sum(project(x, s)), (0, 1)))(jnp.zeros(3), 1.5)
        assert all(np.all(np.isfinite(g)) for g in gradients), name
    # On the simplex the sum is s, whatever x is.
    slope = jax.grad(lambda s: jnp.sum(fg.projection_simplex(jnp.array([1.0, 2.0, -3.0]), s)))(1.5)
    assert slope == pytest.approx(1)


ONES = jnp.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fg.projection_simplex(ONES, -1.0), ValueError, r"projection_simplex: `scale` must be in \[0, inf\)"),
        (lambda: fg.projection_l1_ball(ONES, -1.0), ValueError, "projection_l1_ball: `scale`"),
        (lambda: fg.projection_l2_ball(ONES, jnp.ones(3)), ValueError, "projection_l2_ball: `scale` must be a scalar"),
        (lambda: fg.projection_hypercube(ONES, -1.0), ValueError, "projection_hypercube: `scale`"),
        (lambda: fg.projection_box(ONES, 1.0, 0.0), ValueError, "`lower` must be at most `upper`"),
        (lambda: fg.projection_box(ONES, jnp.nan, 0.0), ValueError, "`lower` must be at most `upper`"),
        (lambda: fg.projection_box(ONES, jnp.zeros(2), 1.0), ValueError, "`lower` must fit shape"),
        (lambda: fg.projection_box({"a": ONES}, {"b": 0.0}, 1.0), ValueError, "prefix of the tree"),
        (lambda: fg.projection_hyperplane(ONES, 0 * ONES, 1.0), ValueError, "`a` must not be 0"),
        (lambda: fg.projection_hyperplane(ONES, jnp.ones(2), 1.0), ValueError, "`a` must be of shape"),
        (lambda: fg.projection_simplex(jnp.ones(3, complex)), TypeError, "`tree` must be real"),
        (lambda: fg.projection_l2_ball(jnp.arange(3)), TypeError, "must be a floating or complex array"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
