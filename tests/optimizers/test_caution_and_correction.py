"""Cautious updates, cautious decay, and the correction of MARS: against their oracles, and at their edges."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.along import follow
from tests.optimizers.oracles import averages
from tests.optimizers.test_oracles import THETA, UNIT

ADAM = fg.scale_by_adam(0.8, 0.9, 1e-3)
CASES = {
    "cautious": (fg.cautious(fg.sgd(0.1, momentum=0.9)), averages.cautious, (0.1, 0.9)),
    "cautious, eps": (fg.cautious(fg.sgd(0.1, momentum=0.9), 0.25), averages.cautious, (0.1, 0.9, 0.25)),
    "cautious adamw": (
        fg.chain(fg.cautious(ADAM, direction=True), fg.add_decayed_weights(0.3), fg.scale_by_learning_rate(0.1)),
        averages.cautious_adamw,
        (0.1, 0.8, 0.9, 1e-3, 0.3),
    ),
    "cautious decay": (
        fg.chain(ADAM, fg.add_decayed_weights(0.3, cautious=True), fg.scale_by_learning_rate(0.1)),
        averages.adamw_with_cautious_decay,
        (0.1, 0.8, 0.9, 1e-3, 0.3),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_rules_are_those_of_their_papers(case, dtype):
    tx, oracle, args = CASES[case]
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    with precision(dtype):
        found = follow(tx, jnp.asarray(THETA, dtype), jnp.asarray(UNIT, dtype))
    np.testing.assert_allclose(found, oracle(THETA, UNIT, *args), rtol=tolerance, atol=tolerance)


def value(theta, tilt):
    return jnp.sum(jnp.cosh(theta) + tilt * theta)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("max_norm", "decay"), [(1.0, 0.0), (1e3, 0.2)])
def test_mars_is_that_of_its_paper(max_norm, decay, exact, dtype):
    tx = fg.mars(0.1, 0.8, 0.9, 1e-3, 0.7, max_norm, decay, exact=exact)

    @jax.jit
    def end(theta, tilts):
        def step(carry, tilt):
            theta, state = carry
            loss = functools.partial(value, tilt=tilt)
            updates, state = tx.update(jax.grad(loss)(theta), state, theta, value_fn=loss)
            return (fg.apply_updates(theta, updates), state), None

        return jax.lax.scan(step, (theta, tx.init(theta)), tilts)[0][0]

    tolerance = 1e-11 if dtype == "float64" else 3e-5
    with precision(dtype):
        found = end(jnp.asarray(THETA, dtype), jnp.asarray(UNIT, dtype))
    gradients = [lambda theta, tilt=tilt: np.sinh(theta) + tilt for tilt in UNIT]
    expected = averages.mars(THETA, gradients, 0.1, 0.8, 0.9, 1e-3, 0.7, max_norm, decay, exact)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_exactly_corrected_gradients_have_an_average_without_lag():
    """Of ½x² with noise ξ, at γ = 1: what an average is off by is the average of ξ, however far x moves."""
    noise = jnp.asarray(UNIT[:, 0], jnp.float32)
    tx = fg.chain(fg.mars_correction(0.8, 1.0, exact=True), fg.ema(0.8, debias=False))

    def step(carry, xi):
        x, state = carry
        average, state = tx.update(x + xi, state, x, value_fn=lambda x: x**2 / 2 + xi * x)
        return (0.5 * x + 1, state), average - x

    start = jnp.float32(7)
    _, off = jax.lax.scan(step, (start, tx.init(start)), noise)
    expected, of_noise = [], 0.0
    for t, xi in enumerate(noise, start=1):
        of_noise = 0.8 * of_noise + 0.2 * xi
        expected.append(of_noise - 0.8**t * start)  # averages begin with 0
    np.testing.assert_allclose(off, expected, rtol=1e-5, atol=1e-5)


def test_correction_in_fit_needs_nothing_else():
    data = {"x": jnp.linspace(-1.0, 1.0, 16), "y": 3 * jnp.linspace(-1.0, 1.0, 16)}

    def loss(w, batch):
        return jnp.mean((w * batch["x"] - batch["y"]) ** 2)

    for tx in (fg.mars(0.1, exact=True), fg.cautious(fg.mars(0.1))):
        run = fg.fit(loss, jnp.array(0.0), tx, data, batch_size=4, epochs=40, key=jax.random.key(0), progress=False)
        assert abs(run.params - 3) < 0.1
    with pytest.raises(ValueError, match=r"mars\.update: needs `value_fn`"):
        fg.mars(0.1, exact=True).update(1.0, fg.mars(0.1, exact=True).init(1.0), 1.0)


@pytest.mark.parametrize("direction", [False, True])
def test_caution_at_its_edges(direction):
    """A gradient of NaN shows; of 1e-30 it has a sign; with ε = 0 nothing stays nothing; complex by inner product."""
    tx = fg.cautious(fg.scale(1.0 if direction else -1.0), 0.0, direction)
    sign = 1 if direction else -1
    for g, expected in (
        ([jnp.nan, 1.0, 0.0, 0.0], [jnp.nan, 2.0, 0.0, 0.0]),
        ([1e-30, 0.0], [2e-30, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1 + 1j, 0j], [2 + 2j, 0j]),
    ):
        u, _ = tx.update(jnp.array(g), tx.init(jnp.array(g)))
        np.testing.assert_allclose(u, sign * np.array(expected), rtol=1e-6)
