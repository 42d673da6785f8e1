"""The affine map, its shapes and dtypes, and what it refuses."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.core.numerics import float64_mode
from funcgd.models import Model, linear, logistic, multilayer_perceptron

KEY = jax.random.key(0)


def test_the_layer_of_the_lecture():
    w, b = np.array([[1, 2, -1, -2], [3, 4, -3, 4]], np.float32), np.array([5, 6], np.float32)
    z = linear(4, 2).apply({"w": jnp.array(w), "b": jnp.array(b)}, jnp.array([1, 2, 3, 4]))
    np.testing.assert_array_equal(z, [-1, 24])
    np.testing.assert_array_equal(z, w @ [1, 2, 3, 4] + b)


def test_any_leading_axes():
    model = linear(3, 2)
    params = model.init(KEY) | {"b": jnp.array([0.5, -1.0])}
    w, b = np.asarray(params["w"], np.float64), np.asarray(params["b"], np.float64)
    x = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
    for part in (x, x[0], x[0, 0], x[:0]):
        expected = np.einsum("oi,...i->...o", w, np.float64(part)) + b
        np.testing.assert_allclose(model.apply(params, part), expected, rtol=1e-5, atol=1e-6)


def test_without_bias():
    model = linear(3, 2, bias=False)
    assert set(model.init(KEY)) == {"w"}
    assert not model.apply(model.init(KEY), jnp.zeros(3)).any()


@pytest.mark.parametrize("x_dtype", [np.float32, np.float64, np.int32, np.bool_, jnp.bfloat16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_parameters_set_the_dtype(dtype, x_dtype):
    model = linear(3, 2, dtype=dtype)
    params = model.init(KEY)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    assert model.apply(params, np.ones(3, x_dtype)).dtype == dtype


def test_a_bias_of_another_dtype_is_cast():
    model = linear(3, 2)
    assert model.apply(model.init(KEY) | {"b": jnp.ones(2, jnp.bfloat16)}, jnp.ones(3)).dtype == jnp.float32


MODELS = [
    linear(4, 2, bias=False),
    linear(4, 2, initializer=jax.nn.initializers.zeros),
    logistic(4, classes=3, dtype=jnp.bfloat16),
    multilayer_perceptron([4, 3, 2], [jnp.tanh, None]),
    multilayer_perceptron((4, 3, 2), jax.nn.softplus, initializer="he_normal"),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_model_is_a_value(model):
    names = {cls.__name__: cls for cls in (linear, logistic, multilayer_perceptron)}
    for other in (eval(repr(model), names), pickle.loads(pickle.dumps(model)), dataclasses.replace(model)):
        assert other == model
        assert hash(other) == hash(model)
    assert dataclasses.replace(model, dtype="float16") != model
    assert jax.tree.leaves(model) == []
    init, apply = model
    assert isinstance(model, Model)
    params = init(KEY)
    expected = jax.eval_shape(model.init, KEY)
    assert jax.tree.map(lambda p: (p.shape, p.dtype), params) == jax.tree.map(lambda p: (p.shape, p.dtype), expected)
    np.testing.assert_array_equal(apply(params, jnp.ones(4)), model.apply(params, jnp.ones(4)))


def test_equal_models_share_a_compilation():
    traced = []

    @jax.jit
    def run(model, params):
        traced.append(model)
        return model.apply(params, jnp.ones(4))

    for _ in range(2):
        run(linear(4, 2), linear(4, 2).init(KEY))
    assert len(traced) == 1


def test_float64_is_refused_without_64_bit_mode():
    with pytest.raises(ValueError, match=r"linear: `dtype` is float64, which needs"):
        linear(2, 2, dtype="float64").init(KEY)
    with float64_mode():
        assert linear(2, 2, dtype="float64").init(KEY)["w"].dtype == np.float64


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: linear(0, 2), r"linear: `features_in`: expected at least 1, got 0"),
        (lambda: linear(2, 1.5), r"linear: `features_out`: expected an integer, got 1.5"),
        (lambda: linear(True, 2), r"linear: `features_in`: expected an integer, got True"),
        (lambda: linear(2, 2, initializer="he"), r"linear: `initializer`: expected one of .*'he_normal'.* got 'he'"),
        (lambda: linear(2, 2, initializer=3), r"linear: `initializer`: expected a name or a function"),
        (lambda: linear(2, 2, dtype=int), r"linear: `dtype`: expected a floating dtype"),
        (lambda: linear(2, 2, bias="no"), r"linear: `bias` must be one of False, True, got 'no'"),
        (lambda: linear(2, 2).init(0), r"linear: `key` must be one random key, .* got 0"),
        (lambda: linear(2, 2).init(jax.random.split(KEY)), r"linear: `key` must be one random key"),
        (
            lambda: linear(2, 3, initializer=lambda key, shape, dtype: jnp.ones(shape[::-1], dtype)).init(KEY),
            r"linear: `initializer` must return shape \(2, 3\)",
        ),
        (
            lambda: linear(64, 2).apply(linear(64, 2).init(KEY), jnp.ones((5, 63))),
            r"linear: `x` must have 64 features on its last axis, got shape \(5, 63\)",
        ),
        (
            lambda: linear(1, 2).apply(linear(1, 2).init(KEY), 3.0),
            r"linear: `x` must have 1 features .* got shape \(\)",
        ),
        (
            lambda: linear(1, 2).apply(linear(1, 2).init(KEY), jnp.array([1j])),
            r"linear: `x` must be real, got complex64",
        ),
        (
            lambda: linear(3, 2).apply({"w": jnp.ones((3, 2)), "b": jnp.ones(2)}, jnp.ones(3)),
            r"linear: `params\['w'\]` must be of shape \(2, 3\)",
        ),
        (lambda: linear(3, 2).apply({"w": jnp.ones((2, 3))}, jnp.ones(3)), r"linear: `params\['b'\]` must be present"),
    ],
)
def test_errors(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()
