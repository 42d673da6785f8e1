"""The spread of initial weights, as the papers give it; fan in is the number of columns of W."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.models import linear

IN, OUT = 400, 100
VARIANCES = {
    "glorot_normal": 2 / (IN + OUT),
    "glorot_uniform": 2 / (IN + OUT),
    "he_normal": 2 / IN,
    "he_uniform": 2 / IN,
    "normal": 0.01**2,
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name):
    params = linear(IN, OUT, initializer=name).init(jax.random.key(1))
    w = np.asarray(params["w"], np.float64)
    assert w.shape == (OUT, IN)
    assert not params["b"].any()
    # the sample variance of 40 000 normal numbers has the relative deviation √(2/40000) = 0.7 %
    np.testing.assert_allclose(w.var(), VARIANCES[name], rtol=0.03)
    if name.endswith("uniform"):
        limit = np.sqrt(3 * VARIANCES[name])
        assert 0.99 * limit < abs(w).max() <= limit * (1 + 1e-6)


def test_functions_of_jax_know_the_fans():
    named, given = (linear(IN, OUT, initializer=i) for i in ("he_normal", jax.nn.initializers.he_normal()))
    np.testing.assert_array_equal(named.init(jax.random.key(1))["w"], given.init(jax.random.key(1))["w"])


def test_own_function_gets_the_dtype():
    model = linear(
        3, 2, initializer=lambda key, shape, dtype: jnp.arange(6, dtype=dtype).reshape(shape), dtype="bfloat16"
    )
    w = model.init(jax.random.key(0))["w"]
    assert w.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(w, np.float32), [[0, 2, 4], [1, 3, 5]])
