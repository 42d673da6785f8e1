"""Non-negative least squares, against SciPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import funcgd as fg

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("m", "n"), [(20, 8), (4, 7)], ids=["tall", "wide"])
def test_scipy_agrees(m, n, x64):
    """Columns of different units; some solutions have all coefficients free, some none."""
    a = RANDOM.normal(size=(6, m, n)) * 10.0 ** np.linspace(-3, 3, n)
    b = RANDOM.normal(size=(6, m))
    b[4] = -np.abs(b[4])
    a[4] = np.abs(a[4])  # nothing helps: x = 0
    b[5] = a[5] @ np.linspace(1, 2, n)  # x > 0 reaches b
    runs = jax.jit(jax.vmap(fg.nnls))(a, b)
    assert (runs.params >= 0).all()
    assert (runs.reason == fg.StopReason.GRADIENT_NORM).all()
    for i in range(6):
        x, norm = scipy.optimize.nnls(a[i], b[i])
        np.testing.assert_allclose(np.sqrt(2 * runs.value[i]), norm, rtol=1e-9, atol=1e-9)
        if norm > 1e-6 or m >= n:  # else there are many solutions
            np.testing.assert_allclose(runs.params[i], x, rtol=1e-7, atol=1e-12)


def test_float32_dependent_columns_and_ends():
    a = np.array([[1, 1, 2, 0], [1, 1, 2, 0], [0, 0, 0, 0]], np.float32)
    b = np.array([1, 3, 5], np.float32)
    run = fg.nnls(a, b)
    np.testing.assert_allclose(a @ run.params, [2, 2, 0], rtol=1e-5)
    assert run.params.dtype == np.float32
    assert (np.asarray(run.params) >= 0).all()
    assert run.reason is fg.StopReason.GRADIENT_NORM
    assert fg.nnls(a, b, max_steps=1).reason is fg.StopReason.MAX_STEPS
    bad = fg.nnls(np.where(a == 2, np.float32(np.nan), a), b)
    assert bad.reason is fg.StopReason.NON_FINITE
    with pytest.raises(ValueError, match=r"nnls: `b` must have shape \(3,\), .* got \(2,\)"):
        fg.nnls(a, b[:2])
    with pytest.raises(TypeError, match=r"nnls: `a` must be an array of real floating numbers"):
        fg.nnls(jnp.asarray(a, jnp.complex64), jnp.ones(3))
    with pytest.raises(ValueError, match=r"nnls: `a` must have shape \(m, n\)"):
        fg.nnls(jnp.ones(3), jnp.ones(3))
