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
FLAT, WARM = np.full(20, 0.3), 0.3 * np.minimum(1, np.arange(1, 21) / 8)


def RATE(step):
    """Zero at first, then up, then down."""
    return jnp.array([0.0, 0.0, 0.1, 0.3, 0.2])[jnp.minimum(step, 4)]


CASES = {
    "lookahead": (fg.lookahead(MOMENTUM, 6, 0.5), averages.lookahead, (0.1, 0.9, 6, 0.5)),
    "lookahead, reset": (fg.lookahead(MOMENTUM, 3, 0.8, True), averages.lookahead, (0.1, 0.9, 3, 0.8, True)),
    "params_ema": (fg.params_ema(MOMENTUM, 0.8), averages.params_ema, (0.1, 0.9, 0.8)),
    "params_ema, not debiased": (fg.params_ema(MOMENTUM, 0.8, False), averages.params_ema, (0.1, 0.9, 0.8, False)),
    "params_ema of the last": (fg.params_ema(MOMENTUM, 0.0), averages.params_ema, (0.1, 0.9, 1e-30)),
    "swa": (fg.swa(MOMENTUM, 7, 4), averages.swa, (0.1, 0.9, 7, 4)),
    "swa from the first": (fg.swa(MOMENTUM, 0, 2), averages.swa, (0.1, 0.9, 0, 2)),
    "schedule_free": (
        fg.schedule_free(fg.sgd(RATE), RATE, 0.7, 1.5),
        averages.schedule_free,
        (np.array([0.0, 0.0, 0.1, 0.3, *[0.2] * 16]), 0.7, 1.5),
    ),
    "schedule_free_sgd": (fg.schedule_free_sgd(0.3), averages.schedule_free, (FLAT, 0.9)),
    "schedule_free_sgd, all": (
        fg.schedule_free_sgd(0.3, 8, 0.6, 0.1, 1.0),
        averages.schedule_free,
        (WARM, 0.6, 1.0, None, 0.0, 0.1),
    ),
    "schedule_free_adamw": (fg.schedule_free_adamw(0.3), averages.schedule_free, (FLAT, 0.9, 2.0, 0.999)),
    "schedule_free_adamw, all": (
        fg.schedule_free_adamw(0.3, 8, 0.6, 0.9, 1e-3, 0.1, 0.0),
        averages.schedule_free,
        (WARM, 0.6, 0.0, 0.9, 1e-3, 0.1),
    ),
    "swa that never begins": (fg.swa(MOMENTUM, 21), averages.swa, (0.1, 0.9, 21, 1)),
}
FAMILIES = ("lookahead", "params_ema", "swa", "schedule_free_adamw, all")


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


@pytest.mark.parametrize("case", FAMILIES)
def test_fit_validates_with_the_average_and_keeps_the_best_of_them(case):
    """Also where a part is frozen or no array at all, and behind a transform in front."""
    tx = fg.chain(fg.clip(9.0), CASES[case][0])
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


@pytest.mark.parametrize("debias", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.9, 1 - 1e-7])
def test_average_of_a_constant_is_the_constant(decay, debias):
    params = {"w": jnp.array([0.1, 1e30, -1e-30]), "b": jnp.array(0.7, jnp.bfloat16)}
    tx = fg.params_ema(fg.sgd(0.1), decay, debias)
    grads = jax.tree.map(jnp.zeros_like, params)
    state = jax.lax.fori_loop(0, 50, lambda _, state: tx.update(grads, state, params)[1], tx.init(params))
    jax.tree.map(np.testing.assert_array_equal, fg.eval_params(tx, state, params), params)


def test_scheduled_decay_of_the_average():
    tx = fg.params_ema(fg.sgd(1.0), lambda t: 1 - 1 / (t + 1), debias=False)  # so that it is the plain mean
    path = run(tx, jnp.zeros(1), jnp.asarray(UNIT[:, :1], jnp.float32))
    expected = np.cumsum(path[0], axis=0) / np.arange(1.0, 21)[:, None]
    np.testing.assert_allclose(path[1], expected, rtol=1e-5, atol=1e-6)


def test_averages_of_a_sweep_are_those_of_its_members():
    """The length of the tail is a number like others."""
    members = [fg.swa(fg.sgd(rate), start, 3) for rate, start in ((0.1, 2), (0.2, 11))]
    theta, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(UNIT, jnp.float32)
    together = jax.vmap(run, in_axes=(0, None, None))(fg.stack(members), theta, grads)
    for i, tx in enumerate(members):
        np.testing.assert_allclose(together[1][i], run(tx, theta, grads)[1], rtol=1e-6)


def test_schedule_free_without_a_rate_does_not_move():
    for tx in (fg.schedule_free_sgd(0.0), fg.schedule_free_adamw(0.0), fg.schedule_free(fg.sgd(0.0), 0.0, 0.3, 0.0)):
        theta, evaluated = run(tx, jnp.asarray(THETA, jnp.float32), jnp.asarray(UNIT, jnp.float32))
        np.testing.assert_array_equal(theta, np.broadcast_to(theta[0], theta.shape))
        np.testing.assert_array_equal(theta[0], THETA.astype(np.float32))
        np.testing.assert_array_equal(evaluated, theta)


def test_scheduled_interpolation_is_undone_with_the_number_it_was_done_with():
    """Whatever β is, the mean of z is evaluated."""
    tx = fg.schedule_free_sgd(0.1, b1=lambda t: jnp.where(t % 2 == 0, 0.5, 0.9))
    _, x = run(tx, jnp.zeros(1), jnp.asarray(UNIT[:, :1], jnp.float32))
    z = -0.1 * np.cumsum(UNIT[:, :1], axis=0)
    np.testing.assert_allclose(x, np.cumsum(z, axis=0) / np.arange(1.0, 21)[:, None], rtol=1e-4, atol=1e-6)


def test_evaluation_finds_the_state_of_schedule_free_within_others():
    tx = fg.chain(fg.clip(1.0), fg.schedule_free_sgd(0.1))
    params = {"w": jnp.ones(2)}
    assert fg.schedule_free_eval_params(tx.init(params), params)["w"].tolist() == [1.0, 1.0]
    for state in (fg.sgd(0.1).init(params), (tx.init(params), tx.init(params))):
        with pytest.raises(ValueError, match="schedule_free_eval_params: `state` must hold one ScheduleFreeState"):
            fg.schedule_free_eval_params(state, params)


def test_hyperparameters_of_schedule_free():
    tx = fg.schedule_free(fg.sgd(0.5), RATE, b1=0.5)
    state, seen = tx.init(0.0), []
    for _ in range(4):
        _, state = tx.update(1.0, state, 0.0)
        seen.append(float(fg.hyperparameters(tx, state)["learning_rate"]))
    np.testing.assert_allclose(seen, [0.0, 0.0, 0.1, 0.3])


def test_sweep_validates_each_member_with_its_average():
    x = jnp.linspace(-1.0, 1.0, 8)
    data = {"x": x, "y": 2 * x - 1}
    members = [fg.params_ema(fg.sgd(0.3), decay) for decay in (0.0, 0.9)]
    options = {"batch_size": 4, "epochs": 3, "validation": data, "progress": False}

    def loss(w, batch):
        return jnp.mean((w * batch["x"] - batch["y"]) ** 2)

    def init(key):
        return jnp.array(-1.0)

    key = jax.random.key(0)
    found = fg.sweep(loss, init, fg.stack(members), data, keys=key[None], **options)
    a, b = jax.random.split(key)
    for i, tx in enumerate(members):
        run = fg.fit(loss, init(a), tx, data, key=b, **options)
        np.testing.assert_allclose(found.history["validation loss"][i], run.history["validation"]["loss"], rtol=1e-5)
    assert np.all(found.history["validation loss"][1] > found.history["validation loss"][0] + 0.01)
    np.testing.assert_allclose(loss(found.best, data), found.value, rtol=1e-5)
