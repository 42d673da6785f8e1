"""Sophia against its oracle, and its estimate of curvature against the truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.oracles import moments
from tests.optimizers.test_oracles import THETA, UNIT

SKEW = jnp.array([[2.0, 1.0, -0.5], [1.0, -3.0, 0.25], [-0.5, 0.25, 0.5]])


def value(theta, tilt):
    """Each coordinate for itself, so that the estimate is exact, with curvatures of both signs."""
    return jnp.sum(jnp.cos(theta) + tilt * theta)


def value_of(theta):
    return jnp.vdot(theta, SKEW @ theta) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("k", "gamma", "rho", "decay"), [(1, 1.0, 1.0, 0.0), (4, 2.0, 0.5, 0.2), (3, 1.0, None, 0.0), (21, 10.0, 1.0, 0.0)]
)
def test_rule_is_that_of_the_paper(k, gamma, rho, decay, dtype):
    tx = fg.sophia(0.1, 0.8, 0.7, 0.02, decay, None, gamma, rho, k)

    @jax.jit
    def end(theta, tilts):
        def step(carry, tilt):
            theta, state = carry
            updates, state = tx.update(
                jax.grad(value)(theta, tilt), state, theta, value_fn=lambda theta: value(theta, tilt)
            )
            return (fg.apply_updates(theta, updates), state), None

        return jax.lax.scan(step, (theta, tx.init(theta)), tilts)[0][0]

    gradients = [lambda theta, tilt=tilt: tilt - np.sin(theta) for tilt in UNIT]
    curvatures = [lambda theta: -np.cos(theta)] * len(UNIT)
    expected = moments.sophia(
        THETA, gradients, curvatures, 0.1, 0.8, 0.7, 0.02, gamma, k, np.inf if rho is None else rho, decay
    )
    tolerance = 1e-10 if dtype == "float64" else 3e-4
    with precision(dtype):
        found = end(jnp.asarray(THETA, dtype), jnp.asarray(UNIT, dtype))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_estimate_is_unbiased_and_every_draw_another():
    tx, x = fg.hutchinson_estimator_diag_hessian(random_seed=3), jnp.array([1.0, -1.0, 2.0])

    def step(state, _):
        estimate, state = tx.update(x, state, x, obj_fn=value_of)
        return state, estimate

    _, estimates = jax.lax.scan(step, tx.init(x), length=4000)
    deviation = np.sqrt(np.sum(np.square(SKEW - np.diag(np.diag(SKEW))), axis=1))  # of signs: the other entries
    np.testing.assert_allclose(estimates.mean(axis=0), np.diag(SKEW), atol=5 * np.max(deviation) / np.sqrt(4000))
    np.testing.assert_allclose(estimates.std(axis=0), deviation, rtol=0.1)
    assert len(np.unique(estimates, axis=0)) == 4  # as many as there are products of signs


def test_estimates_by_seed_and_leaf():
    def estimate(seed):
        tx, x = fg.hutchinson_estimator_diag_hessian(seed), {"a": jnp.ones(20), "b": jnp.ones(20)}
        coupled = lambda x: jnp.sum(x["a"]) ** 2 + jnp.sum(x["b"]) ** 2  # noqa: E731
        return tx.update(x, tx.init(x), x, value_fn=coupled)[0]

    first = estimate(0)
    jax.tree.map(np.testing.assert_array_equal, first, estimate(0))
    assert np.any(first["a"] != first["b"])
    assert np.any(first["a"] != estimate(1)["a"])


def test_curvature_of_complex_parameters_is_the_mean_of_both_parts():
    tx, z = fg.hutchinson_estimator_diag_hessian(), jnp.array([1 + 2j, 0j])
    found, _ = tx.update(z, tx.init(z), z, value_fn=lambda z: jnp.sum(3 * z.real**2 + z.imag**2))
    assert found.tolist() == [4.0, 4.0]


def test_curvature_is_estimated_when_it_is_time_and_not_computed_else():
    tx, x = fg.scale_by_sophia(update_interval=3, b2=0.5), jnp.ones(2)
    update = jax.jit(lambda state: tx.update(x, state, x, value_fn=lambda x: jnp.sum(x**2))[1])
    state, seen = tx.init(x), []
    assert "conditional" in update.lower(state).compile().as_text()
    for _ in range(7):
        state = update(state)
        seen.append(float(state.nu[0]))
    assert seen == [1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 1.75]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_where_nothing_curves_steps_are_signs(dtype):
    tx, g = fg.scale_by_sophia(eps=0.0), jnp.array([1.0, 0.0, -2.0], dtype)
    updates, _ = tx.update(g, tx.init(g), g, value_fn=lambda x: jnp.sum(0 * x))
    assert updates.tolist() == [1.0, 0.0, -1.0]


def test_fit_passes_what_it_needs():
    """Curvatures of 1 and 1000: each coordinate goes at its own pace."""
    data = {"x": jnp.array([[1.0, 0.0], [0.0, 32.0]] * 8), "y": jnp.array([1.0, 32.0] * 8)}

    def loss(w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)

    tx = fg.sophia(fg.linear_schedule(0.1, 0.0, 160), b1=0.5, b2=0.5, gamma=1.0, update_interval=2)
    run = fg.fit(loss, jnp.zeros(2), tx, data, batch_size=8, epochs=80, key=jax.random.key(0), progress=False)
    np.testing.assert_allclose(run.params, [1.0, 1.0], atol=0.02)
    with pytest.raises(ValueError, match=r"sophia\.update: needs `value_fn` or `obj_fn`; call"):
        tx.update(jnp.zeros(2), tx.init(jnp.zeros(2)), jnp.zeros(2))
