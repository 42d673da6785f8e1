"""The check passes right gradients, finds wrong ones and names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.calculus import check_gradient
from funcgd.models import multilayer_perceptron


@jax.custom_vjp
def wrong_cube(x):
    """x³ with a derivative that is right for entries up to 2 and 1 % off above."""
    return x**3


wrong_cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * 3 * x**2 * jnp.where(x > 2, 1.01, 1.0),))


def test_a_right_gradient_passes():
    x = {"w": jnp.array([[1.0, -2.0], [0.0, 30.0]]), "b": 0.5, "frozen": None}

    def f(p):
        assert p["frozen"] is None
        assert p["w"].dtype == np.float64
        return jnp.sum(jnp.sin(p["w"]) * p["w"]) + jnp.exp(p["b"])

    report = check_gradient(f, x)
    w = np.asarray(x["w"], np.float64)
    np.testing.assert_allclose(report.analytic["w"], np.cos(w) * w + np.sin(w), rtol=1e-12)
    np.testing.assert_allclose(report.numeric["w"], np.cos(w) * w + np.sin(w), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(report.numeric["b"], np.exp(0.5), rtol=1e-9)
    assert report.analytic["frozen"] is None
    assert report.worst_error == max(report.error["w"].max(), report.error["b"]) < 1e-7


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_wrong_gradient_is_named_whatever_the_scale(scale):
    x = {"a": jnp.ones(3), "w": jnp.ones((5, 4)).at[3, 2].set(2.5)}
    with pytest.raises(
        ValueError, match=r"`x\['w'\]\[3, 2\]` must .* relative error 0\.00\d+ .* so are 0 others of 23"
    ) as error:
        check_gradient(lambda p: scale * (jnp.sum(wrong_cube(p["w"])) + jnp.sum(p["a"])), x)
    assert "kink" not in str(error.value)
    report = check_gradient(
        lambda p: scale * (jnp.sum(wrong_cube(p["w"])) + jnp.sum(p["a"])), x, tolerance=float("inf")
    )
    assert report.worst_path == "['w'][3, 2]"
    np.testing.assert_allclose(report.worst_analytic, scale * 3 * 2.5**2 * 1.01, rtol=1e-12)
    np.testing.assert_allclose(report.worst_numeric, scale * 3 * 2.5**2, rtol=1e-8)


def test_a_small_entry_beside_large_ones_is_checked():
    x = (jnp.array(3.0), jnp.array(1.0))
    with pytest.raises(ValueError, match=r"`x\[0\]` must"):
        check_gradient(lambda p: 1e-3 * wrong_cube(p[0]) + 1e3 * jnp.sin(p[1]), x)


def test_kinks_are_reported():
    with pytest.raises(
        ValueError, match=r"`x\[1\]` must .* got 0 by jax.grad, 0.5 by .* are 0 and 1: there may be a kink"
    ):
        check_gradient(lambda x: jnp.sum(jax.nn.relu(x)), jnp.array([1.0, 0.0, -1.0]))


def test_a_stopped_gradient_is_found_without_talk_of_kinks():
    with pytest.raises(ValueError, match=r"`x` must .* got 1 by jax.grad, 2 by the difference quotient") as error:
        check_gradient(lambda x: x * jax.lax.stop_gradient(x), 1.0)
    assert "kink" not in str(error.value)


def test_numbers_that_are_not_finite_fail():
    with pytest.raises(ValueError, match=r"`x\[1\]` must .* got inf by jax.grad, nan by"):
        check_gradient(lambda x: jnp.sum(jnp.sqrt(x)), jnp.array([1.0, 0.0]))
    report = check_gradient(lambda x: jnp.sum(jnp.sqrt(x)), jnp.array([1.0, 0.0]), tolerance=float("inf"))
    assert (report.worst_path, report.worst_error) == ("[1]", float("inf"))
    with pytest.raises(ValueError, match=r"`f` must be finite at x, got nan"):
        check_gradient(jnp.log, -1.0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_network_over_float32_data(dtype):
    model = multilayer_perceptron([4, 16, 3], "tanh", dtype=dtype)
    x = jax.random.normal(jax.random.key(1), (6, 4))
    y = jnp.ones((6, 3), jnp.float32)  # float32 meets float64 inside
    params = model.init(jax.random.key(0))
    report = check_gradient(jax.jit(lambda p: jnp.mean((model.apply(p, x) - y) ** 2)), params)
    assert report.worst_error < 1e-7
    assert jax.tree.map(np.shape, report.analytic) == jax.tree.map(np.shape, params)
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(report.numeric))
    assert params[0]["w"].dtype == dtype
    assert jnp.ones(1).dtype == np.float32  # 64-bit mode is left again


def test_the_order_of_the_quotient_is_as_promised():
    # halving h divides the truncation error by 2 to the order
    for order in (2, 4):
        errors = [
            check_gradient(jnp.exp, 1.0, step=h, order=order, tolerance=1).worst_numeric - np.e for h in (0.1, 0.05)
        ]
        np.testing.assert_allclose(np.log2(errors[0] / errors[1]), order, atol=0.01)
    assert check_gradient(jnp.exp, 1.0, order=4).worst_error < 1e-11


def test_a_sample_of_entries():
    report = check_gradient(lambda x: jnp.sum(wrong_cube(x)), jnp.ones(1000), entries=70, key=jax.random.key(0))
    assert np.sum(np.isfinite(report.numeric)) == np.sum(np.isfinite(report.error)) == 70
    np.testing.assert_allclose(report.analytic[np.isfinite(report.analytic)], 3, rtol=1e-12)
    all_of_them = check_gradient(jnp.sum, jnp.ones(3), entries=10, key=jax.random.key(0))
    np.testing.assert_array_equal(all_of_them.analytic, 1)


def test_directions_find_one_wrong_entry_among_thousands():
    x = {"a": jnp.ones(2000), "w": jnp.ones((2000,)).at[7].set(2.5)}

    def f(p):
        return jnp.sum(jnp.sin(p["a"])) + jnp.sum(wrong_cube(p["w"]))

    options = {"directions": 3, "key": jax.random.key(0)}
    with pytest.raises(ValueError, match=r"`directions\[\d\]` must .* [012] others of 3 directions") as e:
        check_gradient(f, x, **options)
    assert "kink" not in str(e.value)
    report = check_gradient(f, {**x, "w": jnp.ones(2000)}, **options)
    assert report.worst_error < 1e-7
    assert np.shape(report.error) == np.shape(report.analytic) == np.shape(report.numeric) == (3,)
    assert np.std(report.numeric) > 0.1  # each is another direction


def test_arguments_and_what_stands_beside_the_value():
    batch = jnp.array([1.0, 2.0], jnp.float32)
    report = check_gradient(lambda w, x, power: (jnp.sum((w * x) ** power), "beside"), 0.5, batch, 3)
    np.testing.assert_allclose(report.analytic, 3 * 0.25 * (1 + 8), rtol=1e-12)


def test_second_derivatives_as_the_gradient_of_a_slope():
    """A rule for the backward pass that is itself differentiated wrongly: only the second derivative shows it."""

    @jax.custom_jvp
    def twice_wrong(x):
        return x**3

    @twice_wrong.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return x**3, 3 * x * jax.lax.stop_gradient(x) * t  # right, but its derivative is half of what it must be

    def slope(f):
        return lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(f(x)))(x) * jnp.array([1.0, -2.0]))

    x = jnp.array([1.0, 2.0])
    check_gradient(lambda x: jnp.sum(twice_wrong(x)), x)
    assert check_gradient(slope(lambda x: x**3), x).analytic.tolist() == [6, -24]
    with pytest.raises(ValueError, match=r"`x\[1\]` must .* got -12 by jax.grad, -24"):
        check_gradient(slope(twice_wrong), x)


def test_f_is_traced_a_fixed_number_of_times():
    traces = []

    def f(x):
        traces.append(x)
        return jnp.sum(x**2)

    check_gradient(f, jnp.ones(300))
    assert len(traces) <= 4


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((lambda x: x, jnp.ones(2)), {}, r"`f` must return one real floating number, got shape \(2,\)"),
        ((lambda x: x + 1j, 1.0), {}, r"`f` must return one real floating number, got shape \(\) and dtype complex128"),
        ((lambda x: (x, x, x), 1.0), {}, r"`f` must return one real floating number, got"),
        ((lambda x: x > 0, 1.0), {}, r"`f` must return one real floating number, .* bool"),
        (
            (jnp.sum, {"w": jnp.ones(2), "n": jnp.arange(2)}),
            {},
            r"`x\['n'\]` must be a floating or complex array, got int32",
        ),
        ((jnp.sum, 1 + 2j), {}, r"`x` must be real, got complex"),
        ((jnp.sum, jnp.ones(0)), {}, r"`x` must have at least one entry"),
        ((jnp.sum, jnp.ones(2)), {"step": 0.0}, r"`step` must be positive, got 0.0"),
        ((jnp.sum, jnp.ones(2)), {"tolerance": float("nan")}, r"`tolerance` must be positive, got nan"),
        ((jnp.sum, jnp.ones(2)), {"order": 3}, r"`order` must be 2 or 4, got 3"),
        ((jnp.sum, jnp.ones(2)), {"entries": 1}, r"`key` must be one random key"),
        ((jnp.sum, jnp.ones(2)), {"entries": 0}, r"`entries`: expected at least 1, got 0"),
        ((jnp.sum, jnp.ones(2)), {"directions": 1}, r"`key` must be one random key"),
        ((jnp.sum, jnp.ones(2)), {"directions": 1.5}, r"`directions`: "),
        ((jnp.sum, jnp.ones(0)), {"directions": 1, "key": jax.random.key(0)}, r"`x` must have at least one entry"),
        ((jnp.sum, jnp.ones(2)), {"directions": 1, "entries": 2}, r"`entries` and `directions` exclude each other"),
        ((None, jnp.ones(2)), {}, r"`f` must be a function, got None"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises((ValueError, TypeError), match=f"check_gradient: {message}"):
        check_gradient(*arguments, **options)


def test_inside_jit_is_an_error():
    with pytest.raises(TypeError, match=r"check_gradient: `x` is traced; check_gradient runs outside of jit"):
        jax.jit(lambda x: check_gradient(jnp.sum, x).worst_error)(jnp.ones(2))
