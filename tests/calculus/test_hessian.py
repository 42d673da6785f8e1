"""Second derivatives: polynomials with known answers, matrices by hand, symmetry, products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.coordinates import from_vector, to_vector

RNG = np.random.default_rng(0)


def test_row_06_gradient_and_hessian_of_polynomials():
    def cubic(x):
        return x[0] ** 3 + 2 * x[0] * x[1] ** 2 - x[1] * x[2]

    a, b, c = 1.0, 2.0, -3.0
    x = jnp.array([a, b, c])
    gradient, hessian = jax.jit(lambda x: (fg.gradient(cubic, x), fg.hessian(cubic, x)))(x)
    assert gradient.tolist() == [3 * a**2 + 2 * b**2, 4 * a * b - c, -b]
    assert hessian.tolist() == [[6 * a, 4 * b, 0], [4 * b, 4 * a, -1], [0, -1, 0]]
    assert jax.jit(lambda x: fg.hessian(lambda x: x**4, x))(3.0).item() == 12 * 3**2


def test_row_06_a_quadratic_has_its_matrix_as_hessian():
    m = RNG.standard_normal((5, 5)).astype(np.float32)
    b = jnp.asarray(RNG.standard_normal(5), jnp.float32)
    x = jnp.asarray(RNG.standard_normal(5), jnp.float32)
    found = jax.jit(lambda x: fg.hessian(lambda x: x @ jnp.asarray(m) @ x / 2 - b @ x, x))(x)
    np.testing.assert_allclose(found, (m + m.T) / 2, rtol=1e-5, atol=1e-6)
    assert (found == found.T).all()


W = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
TREE = {"w": jnp.asarray(W), "b": jnp.array(0.5), "frozen": None}


def of_tree(p, factor):
    return factor * jnp.sum(p["w"] ** 3) * p["b"] ** 2, "beside"


def by_hand(w, b, factor):
    """∇² of factor·Σw³·b², over b and the entries of w, in float64."""
    w = np.ravel(w).astype(np.float64)
    h = np.zeros((5, 5))
    h[0, 0] = 2 * np.sum(w**3)
    h[0, 1:] = h[1:, 0] = 6 * w**2 * b
    h[1:, 1:] = np.diag(6 * w * b**2)
    return factor * h


def test_row_06_blocks_and_matrix_of_a_tree():
    expected = by_hand(W, 0.5, 3.0)
    v = RNG.standard_normal(5).astype(np.float32)

    def all_three(x, v):
        product = fg.hessian_vector_product(of_tree, x, from_vector(v, x), 3.0)
        return fg.hessian(of_tree, x, 3.0), fg.hessian_matrix(of_tree, x, 3.0), to_vector(product)

    blocks, matrix, product = jax.jit(all_three)(TREE, v)
    assert jax.tree.map(np.shape, blocks) == {
        "w": {"w": (2, 2, 2, 2), "b": (2, 2), "frozen": None},
        "b": {"w": (2, 2), "b": (), "frozen": None},
        "frozen": None,
    }
    np.testing.assert_allclose(blocks["b"]["b"], expected[0, 0])
    np.testing.assert_allclose(blocks["b"]["w"], expected[0, 1:].reshape(2, 2))
    np.testing.assert_allclose(blocks["w"]["b"], expected[1:, 0].reshape(2, 2))
    np.testing.assert_allclose(np.reshape(blocks["w"]["w"], (4, 4)), expected[1:, 1:])
    np.testing.assert_allclose(matrix, expected)  # b first: dicts are sorted
    np.testing.assert_allclose(product, expected @ v, rtol=1e-5, atol=1e-4)


def test_products_are_linear_and_zeros_give_zeros():
    x = jnp.array([1.0, 2.0])
    product = jax.jit(lambda v: fg.hessian_vector_product(lambda x: jnp.exp(x[0] * x[1]), x, v))
    v = jnp.array([0.3, -1.0])
    np.testing.assert_allclose(product(1000 * v), 1000 * product(v), rtol=1e-5)
    assert product(jnp.zeros(2)).tolist() == [0, 0]


def test_complex_numbers_as_pairs_of_real_ones():
    """f = |z|⁴ has in (Re z, Im z) the Hessian 4|z|² I + 8 r rᵀ."""
    z = jnp.array(1 + 2j)
    r = np.array([1.0, 2.0])
    expected = 4 * 5 * np.eye(2) + 8 * np.outer(r, r)

    def f(z):
        return jnp.abs(z) ** 4

    matrix, product = jax.jit(lambda z, v: (fg.hessian_matrix(f, z), fg.hessian_vector_product(f, z, v)))(
        z, jnp.array(1 - 1j)
    )
    np.testing.assert_allclose(matrix, expected, rtol=1e-5)
    np.testing.assert_allclose([product.real, product.imag], expected @ [1, -1], rtol=1e-5)
    with pytest.raises(TypeError, match=r"hessian: `x` must be real, got complex64"):
        fg.hessian(f, z)


def test_a_rule_for_the_backward_pass_only():
    """Products differentiate the rule itself."""

    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))
    assert fg.hessian(cube, 2.0).item() == 12
    with pytest.raises(TypeError, match="custom_vjp"):
        fg.directional_derivative(cube, 2.0, 1.0)


def test_low_precision():
    x = jnp.array([1.0, 2.0], jnp.bfloat16)
    assert jax.eval_shape(lambda x: fg.hessian(lambda x: jnp.sum(x**3), x), x).dtype == jnp.float32
    assert jax.eval_shape(lambda x: fg.hessian_vector_product(lambda x: jnp.sum(x**3), x, x), x).dtype == jnp.bfloat16


def test_double(x64):
    found = jax.jit(lambda x: fg.hessian(lambda x: jnp.sum(jnp.exp(x)), x))(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(found, np.diag(np.exp([0.1, 0.2])), rtol=1e-15)


def test_row_09_jacobians():
    """Of a linear map its matrix; wide and tall, so by either mode; of trees blocks; the chain rule is a product."""
    for shape in ((2, 5), (5, 2)):
        m = jnp.asarray(RNG.standard_normal(shape), jnp.float32)
        found = jax.jit(lambda x, m: fg.jacobian(lambda x, m: {"y": jnp.sin(m @ x["x"])}, x, m))(
            {"x": jnp.ones(shape[1])}, m
        )
        expected = np.cos(np.asarray(m).sum(1))[:, None] * np.asarray(m)
        np.testing.assert_allclose(found["y"]["x"], expected, rtol=1e-5, atol=1e-6)

    def polar(v):
        return jnp.stack([v[0] * jnp.cos(v[1]), v[0] * jnp.sin(v[1])])

    def squares(x):
        return jnp.stack([x[0] * x[0], x[0] * x[1], x[1]])

    v = jnp.array([2.0, 0.3])
    whole, outer, inner = jax.jit(
        lambda v: (fg.jacobian(lambda v: squares(polar(v)), v), fg.jacobian(squares, polar(v)), fg.jacobian(polar, v))
    )(v)
    np.testing.assert_allclose(whole, outer @ inner, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fun", "x", "message"),
    [
        (1.0, jnp.ones(2), "`fun` must be a function"),
        (lambda x: {"n": jnp.argmax(x)}, jnp.ones(2), r"`fun` must return real .* got int32 at f\(x\)\['n'\]"),
        (lambda x: jax.lax.complex(x, x), jnp.ones(2), r"`fun` must return real floating arrays, got complex64"),
        (jnp.sin, jnp.array([1j, 1j]), "`x` must be real, got complex64"),
        (jnp.sin, jnp.arange(2), "`x` must be a floating or complex array, got int32"),
        (lambda x: x, {}, "`x` must have at least one entry"),
    ],
)
def test_errors_of_jacobian(fun, x, message):
    with pytest.raises((TypeError, ValueError), match=f"jacobian: {message}"):
        fg.jacobian(fun, x)
