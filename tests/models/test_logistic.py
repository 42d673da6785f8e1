"""Logistic regression returns logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.models import logistic

KEY = jax.random.key(0)


def test_two_classes_have_one_logit_without_an_axis():
    model = logistic(3)
    params = {"w": jnp.array([[1.0, -2.0, 0.5]]), "b": jnp.array([0.25])}
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.testing.assert_allclose(model.apply(params, x), x @ [1, -2, 0.5] + 0.25)
    assert model.apply(params, x[0]).shape == ()
    assert model.apply(params, jnp.ones((4, 5, 3))).shape == (4, 5)


def test_more_classes_have_a_logit_each():
    model = logistic(3, classes=4)
    params = model.init(KEY)
    assert not any(leaf.any() for leaf in jax.tree.leaves(params))
    w = np.arange(12.0).reshape(4, 3)
    params = {"w": jnp.asarray(w), "b": jnp.arange(4.0)}
    np.testing.assert_allclose(model.apply(params, [1.0, 0.0, -1.0]), w[:, 0] - w[:, 2] + np.arange(4))


def test_the_sigmoid_unit_learns_by_the_delta_rule():
    # E = ½(y − σ)², so ∂E/∂w = −(y − σ) σ (1 − σ) x
    x, y, w = np.array([0.5, -1.0, 2.0]), 1.0, np.array([0.3, 0.1, -0.4])
    model = logistic(3, bias=False)
    g = jax.grad(lambda p: 0.5 * (y - jax.nn.sigmoid(model.apply(p, x))) ** 2)({"w": jnp.asarray(w)[None]})["w"][0]
    s = 1 / (1 + np.exp(-w @ x))
    np.testing.assert_allclose(g, -(y - s) * s * (1 - s) * x, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"logistic: `classes`: expected at least 2, got 1"):
        logistic(3, classes=1)
    with pytest.raises(ValueError, match=r"logistic: `x` must have 3 features on its last axis, got shape \(2,\)"):
        logistic(3).apply(logistic(3).init(KEY), jnp.ones(2))
    with pytest.raises(TypeError, match=r"logistic: `key` must be one random key"):
        logistic(3).init(7)
