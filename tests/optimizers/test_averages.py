"""Optimizers that evaluate with other parameters than they train: against their oracles, alone and in `fit`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.oracles import averages
from tests.optimizers.test_oracles import THETA, UNIT

MOMENTUM = fg.sgd(0.1, momentum=0.9)
CASES = {
    "lookahead": (fg.lookahead(MOMENTUM, 6, 0.5), averages.lookahead, (0.1, 0.9, 6, 0.5)),
    "lookahead, reset": (fg.lookahead(MOMENTUM, 3, 0.8, True), averages.lookahead, (0.1, 0.9, 3, 0.8, True)),
}


@jax.jit
def run(tx, theta, grads):
    """What is trained and what is evaluated, after every step."""

    def step(carry, g):
        theta, state = carry
        updates, state = tx.update(g, state, theta)
        theta = fg.apply_updates(theta, updates)
        return (theta, state), (theta, fg.eval_params(tx, state, theta))

    return jax.lax.scan(step, (theta, tx.init(theta)), grads)[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_rules_are_those_of_their_papers(case, dtype):
    tx, oracle, args = CASES[case]
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    with precision(dtype):
        found = run(tx, jnp.asarray(THETA, dtype), jnp.asarray(UNIT, dtype))
    for k in (1, 2, 7, len(UNIT)):
        expected = oracle(THETA, UNIT[:k], *args)
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == dtype
            np.testing.assert_allclose(x[k - 1], y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tx", [tx for tx, _, _ in CASES.values()], ids=CASES)
def test_what_is_evaluated_before_the_first_step_are_the_parameters(tx):
    params = {"w": jnp.array([0.1, -3.0], jnp.bfloat16), "c": jnp.array(1 + 2j), "none": None}
    evaluated = fg.eval_params(tx, tx.init(params), params)
    jax.tree.map(np.testing.assert_array_equal, evaluated, params)
    assert evaluated["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize("tx", [tx for tx, _, _ in CASES.values()], ids=CASES)
def test_fit_validates_with_the_average_and_keeps_the_best_of_them(tx):
    """Also where a part is frozen or no array at all, and behind a transform in front."""
    tx = fg.chain(fg.clip(9.0), tx)
    x = jnp.linspace(-1.0, 1.0, 8)
    data = {"x": x, "y": 2 * jnp.tanh(x) - 1}

    def loss(p, batch):
        return jnp.mean((p["w"] * p["f"](batch["x"]) + p["n"] * p["b"] - batch["y"]) ** 2)

    params = {"w": jnp.array(0.0), "b": jnp.array(-0.5), "f": jnp.tanh, "n": jnp.array(1)}
    options = {"batch_size": None, "epochs": 10, "validation": data, "progress": False}
    run = fg.fit(loss, fg.freeze(params, "b"), tx, data, key=jax.random.key(0), **options)
    evaluated = fg.eval_params(tx, run.state.opt_state, run.params)
    assert evaluated["f"] is jnp.tanh
    assert float(evaluated["b"]) == -0.5
    assert abs(float(loss(evaluated, data) - loss(run.params, data))) > 1e-3
    validation = run.history["validation"]["loss"]
    np.testing.assert_allclose(validation[-1], loss(evaluated, data), rtol=1e-5)
    np.testing.assert_allclose(run.value, validation.min(), rtol=1e-6)
    np.testing.assert_allclose(loss(run.best, data), run.value, rtol=1e-5)
    assert run.value < validation[0]


def test_lookahead_of_pairs_is_that_of_parameters():
    tx = fg.chain(fg.clip(0.5), fg.lookahead(fg.adam(0.1), 3, 0.5))
    plain, pair = {"w": jnp.array([1.0, -2.0])}, fg.LookaheadParams.init_synced({"w": jnp.array([1.0, -2.0])})
    states = tx.init(plain), tx.init(pair)
    for k in range(7):
        grads = {"w": jnp.sin(jnp.arange(2.0) + k)}
        (u, one), (v, other) = tx.update(grads, states[0], plain), tx.update(grads, states[1], pair)
        plain, pair, states = fg.apply_updates(plain, u), fg.apply_updates(pair, v), (one, other)
        jax.tree.map(np.testing.assert_array_equal, plain, pair.fast)
        slow = fg.eval_params(tx, one, plain)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), slow, pair.slow)
        assert fg.eval_params(tx, other, pair) is pair.slow
    assert fg.tree.get(other, "slow") is None
    with pytest.raises(ValueError, match=r"chain.update: `grads` must be .*as in params"):
        tx.update(pair, other, pair)


def test_lookahead_keeps_slow_weights_of_bfloat16_in_float32():
    tx = fg.lookahead(fg.sgd(1.0), 1, 1e-3)
    params = jnp.ones(1, jnp.bfloat16)
    state = tx.init(params)
    for _ in range(8):  # each moves the slow weights by 1e-3, which is less than bfloat16 can tell from 1
        updates, state = tx.update(jnp.ones(1, jnp.bfloat16), state, params)
        params = fg.apply_updates(params, updates)
    np.testing.assert_allclose(state.slow, 1 - 8e-3, atol=1e-3)
    assert params[0] < 1
