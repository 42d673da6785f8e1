"""Gradients, slopes along directions, and level sets: the lectures' numbers, conventions at kinks, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def phi(x):
    return 9 * x[0] ** 2 + x[1] ** 2


POINT = np.array([1.0, 2.0], np.float32)
TREE = {"w": jnp.array([[1.0, -2.0]]), "b": 0.5, "frozen": None}


def of_tree(p):
    return jnp.sum(jnp.sin(p["w"])) * p["b"]


def test_row_01_slopes_along_directions():
    """Limit and ∇f·p agree; ‖∇f‖ along the gradient, −‖∇f‖ against it, 0 along the level curve."""
    slope = jax.jit(lambda p: fg.directional_derivative(phi, POINT, p))
    g = np.array([18.0, 4.0])
    for angle in np.linspace(0, 2 * np.pi, 9):
        p = np.array([np.cos(angle), np.sin(angle)], np.float32)
        np.testing.assert_allclose(slope(p), g @ p, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(slope(7 * p), g @ p, rtol=1e-5, atol=1e-5)  # another length is normalised
    length = np.sqrt(18**2 + 4**2)
    np.testing.assert_allclose(slope(g), length, rtol=1e-6)
    np.testing.assert_allclose(slope(-g), -length, rtol=1e-6)
    np.testing.assert_allclose(slope(fg.level_set_tangent(phi, POINT)), 0, atol=2e-6)


def test_row_01_the_limit_of_secants(x64):
    x, p = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
    steps = np.array([1e-1, 1e-2, 1e-3])
    limit = fg.directional_derivative(phi, x, p)
    np.testing.assert_allclose(limit, (18 * 3 + 4 * 4) / 5, rtol=1e-14)
    secants = jax.jit(jax.vmap(lambda h: fg.difference_quotient(phi, x, p, scheme="forward", step=h)))(steps)
    np.testing.assert_allclose(secants - limit, steps * (9 * 0.36 + 0.64), rtol=1e-9)  # ½h pᵀHp, H = diag(18, 2)


def test_row_02_and_03_steepest_descent_by_hand():
    def step(f, x, alpha):
        return x - alpha * fg.gradient(f, x) / jnp.sqrt(jnp.sum(fg.gradient(f, x) ** 2))

    x, seen = jnp.array([2.0]), []
    for _ in range(4):
        x = step(lambda x: jnp.sum(x**2), x, 0.5)
        seen.append(x.item())
    assert seen == [3 / 2, 1, 1 / 2, 0]
    run = fg.minimize(lambda x: x**2, 2.0, fg.normalized_gradient_descent(0.5), max_steps=6, record=True)
    assert run.history["params"].tolist() == [2, *seen, 0, 0]  # at a stationary point the direction is 0

    def f(x):
        return x[0] ** 2 / 16 + x[1] ** 2

    x1 = step(f, jnp.array([2.0, 0.25]), jnp.sqrt(5.0) / 4)
    np.testing.assert_allclose(x1, [7 / 4, -1 / 4], rtol=1e-6)
    np.testing.assert_allclose(fg.gradient(f, x1), [7 / 32, -1 / 2], rtol=1e-6)


def test_row_09_derivatives_by_the_rules():
    x = jnp.array([0.0, 1.5, -2.0])
    d = jax.vmap(lambda fun, x: fg.gradient(fun, x), in_axes=(None, 0))
    np.testing.assert_allclose(d(lambda x: x**2, x), 2 * x)
    np.testing.assert_allclose(d(lambda x: (x**2) ** 2, x), 4 * x**3)
    for a, b in [(1.0, 3.0), (-2.0, 0.5)]:
        gradient = fg.gradient(lambda v: v[0] ** 2 + v[0] * v[1] + v[1] ** 2, jnp.array([a, b]))
        np.testing.assert_allclose(gradient, [2 * a + b, a + 2 * b])


def test_row_09_the_chain_rule_for_a_product_of_matrices():
    """D = XW: ∂L/∂W = Xᵀ ∂L/∂D."""
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((4, 3), (3, 2)))
    found = fg.gradient(lambda w: jnp.sum(jnp.sin(x @ w)), w)
    np.testing.assert_allclose(found, np.asarray(x).T @ np.cos(np.asarray(x) @ np.asarray(w)), rtol=1e-5, atol=1e-6)


def test_row_21_a_slope_of_the_ellipse():
    slope = fg.directional_derivative(phi, POINT, jnp.array([np.sqrt(3) / 2, 1 / 2]))
    np.testing.assert_allclose(slope, 9 * np.sqrt(3) + 2, rtol=1e-6)


def test_row_22_steepest_decrease_and_level_sets():
    assert (-fg.gradient(phi, POINT)).tolist() == [-18, -4]
    tangent = fg.level_set_tangent(phi, POINT)
    np.testing.assert_allclose(tangent, np.array([-4, 18]) / np.hypot(4, 18), rtol=1e-6)
    np.testing.assert_allclose(tangent @ jnp.array([18.0, 4.0]), 0, atol=2e-6)
    # the level set through the point is the ellipse x = (√(C/9) cos s, √C sin s), here with C = 13
    s = np.arctan2(2 / np.sqrt(13), 1 / np.sqrt(13 / 9))
    along = np.array([-np.sqrt(13 / 9) * np.sin(s), np.sqrt(13) * np.cos(s)])
    np.testing.assert_allclose(tangent, along / np.linalg.norm(along), rtol=1e-6)


def test_trees_arguments_and_what_stands_beside_the_value():
    def loss(p, factor, extra):
        return factor * of_tree(p), extra

    direction = {"w": jnp.array([[0.0, 3.0]]), "b": -4.0, "frozen": None}
    found, slope = jax.jit(
        lambda p: (
            fg.gradient(loss, p, 2.0, "beside"),
            fg.directional_derivative(loss, p, direction, 2.0, "beside"),
        )
    )(TREE)
    np.testing.assert_allclose(found["w"], 2 * 0.5 * np.cos([[1.0, -2.0]]), rtol=1e-6)
    np.testing.assert_allclose(found["b"], 2 * (np.sin(1) - np.sin(2)), rtol=1e-6)
    assert found["frozen"] is None
    np.testing.assert_allclose(slope, 0.6 * found["w"][0, 1] - 0.8 * found["b"], rtol=1e-6)
    assert fg.gradient(lambda x: 1.0, jnp.ones(2)).tolist() == [0, 0]


def test_complex_numbers():
    def f(z):
        return jnp.sum(jnp.abs(z) ** 2)

    z, p = jnp.array([3 + 4j, 1j]), jnp.array([1 + 1j, 0])
    np.testing.assert_allclose(fg.gradient(f, z), 2 * z, rtol=1e-6)  # the direction of ascent
    np.testing.assert_allclose(fg.directional_derivative(f, z, p), 14 / np.sqrt(2), rtol=1e-6)
    moved = fg.tangent_projection(f, z, p)
    np.testing.assert_allclose(np.real(np.vdot(moved, z)), 0, atol=1e-5)


def test_low_precision_keeps_its_dtype():
    x = jnp.array([1.0, 2.0], jnp.bfloat16)
    assert fg.gradient(phi, x).dtype == fg.level_set_tangent(phi, x).dtype == jnp.bfloat16
    assert float(fg.directional_derivative(phi, x, jnp.array([2.0, 0.0]))) == 18


def test_lengths_of_every_size():
    for size in (1e-37, 1e30):
        np.testing.assert_allclose(fg.directional_derivative(phi, POINT, size * jnp.array([3.0, 4.0])), 14, rtol=1e-5)
    steep = fg.level_set_tangent(lambda x: 1e30 * phi(x), POINT)
    np.testing.assert_allclose(steep, fg.level_set_tangent(phi, POINT), rtol=1e-6)


def test_the_tangent_space_in_many_dimensions():
    """v minus its part along ∇f = x of ½‖x‖², over two leaves together."""
    rng = np.random.default_rng(1)
    x, v = rng.standard_normal((2, 7)).astype(np.float32)

    def f(p):
        return (jnp.sum(p["a"] ** 2) + jnp.sum(p["b"] ** 2)) / 2

    project = jax.jit(lambda x, v: fg.tangent_projection(f, x, v))
    found = project({"a": x[:3], "b": x[3:]}, {"a": v[:3], "b": v[3:]})
    expected = v - (v @ x) / (x @ x) * x
    np.testing.assert_allclose(np.concatenate([found["a"], found["b"]]), expected, rtol=1e-5, atol=1e-6)


def test_kinks_have_the_documented_subgradient():
    assert [fg.gradient(f, 0.0).item() for f in (jax.nn.relu, jnp.abs, jnp.round, jnp.sign)] == [0, 1, 0, 0]
    for f in (jnp.maximum, jnp.minimum):
        assert fg.gradient(lambda x, f=f: f(x[0], x[1]), jnp.ones(2)).tolist() == [0.5, 0.5]
    assert fg.gradient(jnp.sqrt, 0.0).item() == np.inf


def test_a_gradient_of_zero_has_no_tangent():
    zero = jnp.zeros(2)
    assert fg.level_set_tangent(phi, zero).tolist() == [0, 0]
    assert fg.tangent_projection(phi, zero, jnp.array([1.0, 2.0])).tolist() == [1, 2]
    assert np.isfinite(fg.jacobian(lambda x: fg.level_set_tangent(phi, x), zero)).all()
    assert fg.directional_derivative(phi, zero, POINT).item() == 0


def test_a_direction_of_zero():
    for f in (fg.directional_derivative, fg.difference_quotient):
        with pytest.raises(ValueError, match=rf"{f.__name__}: `direction` must not be zero, got the entries 0.0, 0.0"):
            f(phi, POINT, jnp.zeros(2))
        with pytest.raises(ValueError, match=rf"{f.__name__}: `direction` must be finite, got the entries nan, 1.0"):
            f(phi, POINT, jnp.array([jnp.nan, 1.0]))
        value, slope = jax.jit(jax.value_and_grad(lambda p, f=f: f(phi, POINT, p)))(jnp.zeros(2))
        assert value.item() == 0  # as documented
        assert np.isfinite(slope).all()


TAKERS = {  # each public function of an objective, at x
    "gradient": fg.gradient,
    "directional_derivative": lambda f, x: fg.directional_derivative(f, x, x),
    "difference_quotient": lambda f, x: fg.difference_quotient(f, x, x),
    "difference_gradient": fg.difference_gradient,
    "level_set_tangent": fg.level_set_tangent,
    "tangent_projection": lambda f, x: fg.tangent_projection(f, x, x),
    "hessian": fg.hessian,
    "hessian_matrix": fg.hessian_matrix,
    "hessian_vector_product": lambda f, x: fg.hessian_vector_product(f, x, x),
    "gradient_flow": lambda f, x: fg.gradient_flow(f, x, 1.0, 2),
}


@pytest.mark.parametrize("name", TAKERS)
def test_what_is_no_objective_or_no_point(name):
    take, x = TAKERS[name], jnp.ones(2)
    for fun, got in [
        (jnp.sin, r"shape \(2,\) and dtype float32"),
        (lambda x: jax.lax.complex(x[0], x[1]), r"shape \(\) and dtype complex64"),
        (lambda x: jnp.argmax(x), r"shape \(\) and dtype int32"),
        (lambda x: None, "None"),
        (lambda x: (x[0], x[1], x[0]), "a tuple|.*Traced"),
    ]:
        with pytest.raises(TypeError, match=rf"{name}: `fun` must return one real floating number, got {got}"):
            take(fun, x)
    with pytest.raises(TypeError, match=rf"{name}: `fun` must be a function, got 1\.0"):
        take(1.0, x)
    with pytest.raises(TypeError, match=rf"{name}: `x\['n'\]` must be a floating or complex array, got int32"):
        take(lambda p: p["w"], {"w": x[0], "n": jnp.arange(2)})
    with pytest.raises(TypeError, match=rf"{name}: `x` must be a floating or complex array, got int"):
        take(lambda x: x, 1)
    with pytest.raises(ValueError, match=rf"{name}: `x` must have at least one entry"):
        take(lambda x: 0.0, {"w": None})


def test_other_bad_input():
    for f, name in [
        (fg.directional_derivative, "direction"),
        (fg.difference_quotient, "direction"),
        (fg.hessian_vector_product, "v"),
        (fg.tangent_projection, "v"),
    ]:
        with pytest.raises(ValueError, match=rf"{f.__name__}: `{name}` must be of shape \(2,\), as `x` has it; got"):
            f(phi, POINT, jnp.ones(3))
        with pytest.raises(TypeError, match=rf"{f.__name__}: `{name}` must be real, as `x` has it; got complex64"):
            f(phi, POINT, jnp.array([1j, 1j]))
        with pytest.raises(TypeError, match=rf"{f.__name__}: `{name}` must be a floating or complex array, got int32"):
            f(phi, POINT, jnp.arange(2))
    with pytest.raises(ValueError, match=r"level_set_tangent: `x` must have two entries, got 3; see"):
        fg.level_set_tangent(jnp.sum, jnp.ones(3))
    with pytest.raises(TypeError, match=r"level_set_tangent: `x` must be real, got complex64"):
        fg.level_set_tangent(lambda z: jnp.abs(z), jnp.array(1j))
