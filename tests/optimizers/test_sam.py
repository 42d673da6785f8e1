"""Sharpness-aware minimisation: against its oracle, in one update or several, and in the loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.oracles import averages

TILT = np.random.default_rng(0).standard_normal((6, 5))
THETA = np.linspace(-1.0, 1.0, 5)
NORMAL = fg.normalized_gradient_descent(0.3)


def value(w, tilt):
    return jnp.sum(jnp.cosh(w) + tilt * w)


def gradients(w, tilt):
    return np.sinh(w) + tilt


def outer(decay):
    return fg.chain(fg.add_decayed_weights(decay), fg.sgd(0.1, momentum=0.9))


@functools.partial(jax.jit, static_argnames=("k", "given"))
def steps(tx, theta, tilts, k, given=()):
    """What is evaluated after k updates for each of the tilts."""

    def step(carry, tilt):
        theta, state = carry
        extra = {"value_fn": lambda w: value(w, tilt), "grad_fn": lambda w, i: jax.grad(value)(w, tilt)}
        extra = {name: extra[name] for name in given}
        for _ in range(k):
            updates, state = tx.update(jax.grad(value)(theta, tilt), state, theta, **extra)
            theta = fg.apply_updates(theta, updates)
        return (theta, state), fg.eval_params(tx, state, theta)

    return jax.lax.scan(step, (theta, tx.init(theta)), tilts)[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("k", "decay"), [(1, 0.0), (2, 0.2), (4, 0.2)])
@pytest.mark.parametrize("given", ["value_fn", "grad_fn", None])
def test_rule_is_that_of_the_paper(given, k, decay, dtype):
    tx = fg.sam(outer(decay), NORMAL, k, opaque_mode=given is not None)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    with precision(dtype):
        theta, tilts = jnp.asarray(THETA, dtype), jnp.asarray(TILT, dtype)
        found = steps(tx, theta, tilts, 1, (given,)) if given else steps(tx, theta, tilts, k)
        assert found.dtype == dtype
    known = [functools.partial(gradients, tilt=tilt) for tilt in TILT]
    expected = averages.sam(THETA, known, 0.1, 0.9, 0.3, k, decay)
    np.testing.assert_allclose(found[-1], expected, rtol=tolerance, atol=tolerance)


def test_between_two_updates_the_parameters_are_uphill_and_the_evaluated_ones_are_not():
    tx, theta = fg.sam(fg.sgd(0.1), fg.normalized_gradient_descent(0.3)), jnp.array([3.0, 4.0])
    updates, state = tx.update(theta, tx.init(theta), theta)
    np.testing.assert_allclose(updates, [0.18, 0.24], rtol=1e-6)
    np.testing.assert_array_equal(fg.eval_params(tx, state, fg.apply_updates(theta, updates)), theta)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("opaque", [False, True])
def test_state_of_the_adversary(reset, opaque):
    tx = fg.sam(fg.sgd(0.1), fg.sgd(0.1, momentum=0.5), 3, reset, opaque)
    state = tx.init(jnp.ones(1))
    for _ in range(1 if opaque else 3):
        _, state = tx.update(jnp.ones(1), state, jnp.ones(1), grad_fn=lambda w, i: jnp.ones(1))
    assert fg.tree.get(state.adv_state, "trace").tolist() == [0.0 if reset else 1.5]
    assert int(state.steps_since_sync) == 0


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_zero_gradient_leads_nowhere(dtype, opaque):
    tx, theta = fg.sam(fg.sgd(0.1), fg.chain(fg.normalize(), fg.sgd(0.05)), opaque_mode=opaque), jnp.zeros(3, dtype)
    state = tx.init(theta)
    for _ in range(2):
        updates, state = tx.update(theta, state, theta, value_fn=lambda w: jnp.sum(w**2))
        assert updates.tolist() == [0.0, 0.0, 0.0]


def test_gradient_functions_know_which_gradient_is_asked_for():
    asked = []

    def grad_fn(w, i):
        asked.append(i)
        return w

    tx = fg.sam(fg.sgd(0.1), NORMAL, 4, opaque_mode=True)
    tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2), grad_fn=grad_fn)
    assert asked == [0, 1, 2]
    with pytest.raises(ValueError, match=r"sam\.update: needs `value_fn` or `grad_fn`; call"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2))


def test_complex_parameters_go_uphill():
    tx = fg.sam(fg.sgd(0.5), fg.normalized_gradient_descent(1.0), opaque_mode=True)
    found = fg.minimize(lambda z: jnp.abs(z - (1 + 1j)) ** 2, jnp.array(1 + 3j), tx, max_steps=1)
    np.testing.assert_allclose(found.params, 1 + 0j, atol=1e-6)  # the gradient at 1 + 4i is 6i, and half of it is 3i


def test_fit_needs_nothing_else():
    """A sharp minimum at 0 and a flat one at 3, as deep: descent from 0.2 ends in the sharp one, SAM does not."""

    def loss(w, batch):
        return jnp.mean(jnp.minimum(50 * w**2, 0.5 * (w - 3) ** 2) + 0 * batch)

    options = {"batch_size": 2, "epochs": 40, "key": jax.random.key(0), "progress": False}
    data, start = jnp.zeros(4), jnp.array(0.2)
    plain = fg.fit(loss, start, fg.sgd(0.01), data, **options).params
    tx = fg.sam(fg.sgd(0.1), fg.normalized_gradient_descent(0.5), opaque_mode=True)
    aware = fg.fit(loss, start, tx, data, **options).params
    assert abs(plain) < 1e-2
    assert abs(aware - 3) < 0.1


def test_gradients_are_averaged_over_devices():
    tx = fg.sam(fg.sgd(1.0), fg.sgd(0.5), opaque_mode=True, batch_axis_name="batch")
    theta, tilts = jnp.zeros(2), jnp.array([[1.0, 0.0], [0.0, 3.0]])

    def update(tilt):
        return tx.update(tilt, tx.init(theta), theta, value_fn=lambda w: jnp.sum(tilt * w + w**2))[0]

    together = jax.vmap(update, axis_name="batch")(tilts)
    mean = jnp.array([0.5, 1.5])
    np.testing.assert_allclose(together, jnp.stack([-(mean + 2 * 0.5 * mean)] * 2), rtol=1e-6)
