"""Trust regions: the steps of their models, and how the radius follows them."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.solvers.dogleg import dogleg
from funcgd.solvers.hessian import absolute_solve, cholesky, hessian_matrix
from funcgd.solvers.truncated_cg import to_boundary, truncated_cg

N, MEMBERS = 6, 40


def models(least):
    """Symmetric matrices with eigenvalues down to `least`, gradients, and radii of many sizes."""
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((MEMBERS, N, N)))[0]
    values = rng.uniform(least, 10, (MEMBERS, N))
    values[:, 0] = least
    h = np.einsum("mij,mj,mkj->mik", q, values, q)
    return h, rng.standard_normal((MEMBERS, N)), 10 ** rng.uniform(-3, 2, MEMBERS)


def decrease(h, g, p):
    return -(np.einsum("mi,mi->m", g, p) + np.einsum("mi,mij,mj->m", p, h, p) / 2)


def cauchy(h, g, radius):
    """The decrease at the lowest point along −g in the ball: what every method must reach (NW 4.12)."""
    length, curvature = np.linalg.norm(g, axis=1), np.einsum("mi,mij,mj->m", g, h, g)
    with np.errstate(divide="ignore"):
        step = np.where(curvature > 0, np.minimum(radius / length, length**2 / curvature), radius / length)
    return step * length**2 - step**2 * curvature / 2


def test_steps_stay_in_the_ball_and_decrease_enough(x64):
    steihaug = jax.jit(jax.vmap(lambda h, g, r: truncated_cg(lambda v: h @ v, g, jnp.float64(1e-12), r, 3 * N)))
    legs = jax.jit(jax.vmap(lambda h, g, r: dogleg(h, g, jnp.float64(1e-12), r, 3 * N)))
    for least in (0.5, -2.0):
        h, g, radius = models(least)
        for solve in (steihaug, legs):
            p, predicted = map(np.asarray, solve(h, g, radius))
            length = np.linalg.norm(p, axis=1)
            inside = length < radius * (1 - 1e-12)
            assert np.all(length <= radius * (1 + 1e-12))
            np.testing.assert_allclose(predicted, decrease(h, g, p), rtol=1e-9)
            assert np.all(predicted >= cauchy(h, g, radius) * (1 - 1e-12))
            if least < 0:
                assert not inside.any()
            else:
                assert 5 < inside.sum() < MEMBERS - 5
                np.testing.assert_allclose(p[inside], np.linalg.solve(h, -g[..., None])[inside, :, 0], rtol=1e-8)


@jax.jit
def conjugate_gradients(h, g, most):
    """Without a ball, and exactly."""
    return jax.vmap(lambda h, g: truncated_cg(lambda v: h @ v, g, jnp.float64(0.0), None, most).p)(h, g)


def test_conjugate_gradients_need_no_more_products_than_dimensions(x64):
    h, g, _ = models(0.5)
    np.testing.assert_allclose(conjugate_gradients(h, g, N), np.linalg.solve(h, -g[..., None])[..., 0], rtol=1e-6)
    tiny, huge = (np.asarray(conjugate_gradients(h, size * g, N)) for size in (1e-200, 1e200))  # beyond squares
    np.testing.assert_allclose(1e200 * tiny, 1e-200 * huge, rtol=1e-9)


def test_negative_curvature_without_a_ball(x64):
    h, g, _ = models(-2.0)
    p = np.asarray(conjugate_gradients(h, g, 3 * N))
    assert np.all(np.einsum("mi,mi->m", p, g) < 0)
    wrong = -np.abs(np.einsum("mij,mjk->mik", h, h))  # the first direction is curved the wrong way
    p = np.asarray(conjugate_gradients(wrong, g, 3 * N))
    assert np.all(np.einsum("mi,mi->m", p, g) < 0)
    np.testing.assert_allclose(conjugate_gradients(np.zeros_like(h), g, 3 * N), -g, rtol=1e-14)


def test_the_way_to_the_boundary(x64):
    rng, solve = np.random.default_rng(1), jax.jit(jax.vmap(to_boundary))
    z, d = rng.standard_normal((2, 50, 3))
    radius = np.linalg.norm(z, axis=1) * 10 ** rng.uniform(0, 8, 50)
    tau = solve(z, d, radius)
    assert np.all(tau >= 0)
    np.testing.assert_allclose(np.linalg.norm(z + np.asarray(tau)[:, None] * d, axis=1), radius, rtol=1e-12)
    z[0], d[0], radius[0] = 0, [3e-200, 0, 4e-200], 1e100
    np.testing.assert_allclose(solve(z, d, radius)[0], 2e299, rtol=1e-12)


def test_hessian_and_its_absolute_value(x64):
    def fun(x, args):
        return jnp.sum(x["a"] ** 3) * x["b"] + jnp.exp(x["b"]) * jnp.abs(x["c"]) ** 2, None

    x = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(0.5), "c": jnp.array(1 - 2j)}
    a, b, e = np.array([1.0, 2.0]), 0.5, np.exp(0.5)
    expected = np.diag([*(6 * a * b), 5 * e, 2 * e, 2 * e])
    expected[:2, 2] = expected[2, :2] = 3 * a**2
    expected[2, 3:] = expected[3:, 2] = [2 * e, -4 * e]
    h = jax.jit(lambda x: hessian_matrix(fun, x, ()))(x)
    np.testing.assert_allclose(h, expected, rtol=1e-14, atol=1e-14)
    definite = jax.jit(lambda a: cholesky(a)[1])
    assert not definite(np.asarray(h)[2:, 2:])
    assert definite(np.diag([1e-30, 1.0, 1e30]))
    assert not definite(np.ones((3, 3)))
    found = jax.jit(absolute_solve)(np.diag([1e10, -1.0, 4e-10]), np.ones(3))
    np.testing.assert_allclose(found, [1e-10, 1, 2.5e9], rtol=1e-12)


def test_the_radius_bounds_steps_and_grows_to_its_largest(x64):
    method = fg.TrustRegion(radius=0.25, max_radius=0.5)
    run = fg.minimize(lambda x: jnp.sum((x - 5) ** 2), jnp.zeros(2), method, max_steps=60, record=True)
    steps = np.linalg.norm(np.diff(run.history["params"], axis=0), axis=1)
    np.testing.assert_allclose(steps[0], 0.25, rtol=1e-12)
    np.testing.assert_allclose(steps[1:13], 0.5, rtol=1e-12)
    assert run.state.radius <= 0.5
    np.testing.assert_allclose(run.params, 5, rtol=1e-12)
    assert run.reason == fg.StopReason.NO_DECREASE


def test_a_rejected_trial_shrinks_the_radius():
    def cliff(x):  # NaN outside (0, ∞), and a model that says to go there
        return x - jnp.log(x)

    run = fg.minimize(cliff, 100.0, fg.TrustRegion(radius=1e4), max_steps=50, stop=fg.stop.gradient_norm(1e-4))
    np.testing.assert_allclose(run.params, 1, atol=1e-3)
    assert run.evaluations > run.steps + 1


def test_jit_shapes_and_a_start_at_rest():
    method = fg.TrustRegion("dogleg")
    run = jax.jit(lambda x, m: fg.minimize(lambda x: jnp.sum(jnp.cos(x)), x, m, max_steps=20))
    shapes = jax.eval_shape(run, jnp.zeros(2), method)
    found = run(jnp.zeros(2), method)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), found) == jax.tree.map(lambda a: (a.shape, a.dtype), shapes)
    assert found.reason == fg.StopReason.NO_DECREASE  # a stationary point is all it sees, though the highest
    np.testing.assert_array_equal(found.params, 0)
