"""The step, the scan, and what may be done to them: vmap, grad, other losses, other states."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3
BATCHES = {"x": jnp.asarray(X.reshape(8, 6, 3), jnp.float32), "y": jnp.asarray(Y.reshape(8, 6), jnp.float32)}
BATCH = jax.tree.map(lambda x: x[0], BATCHES)


def start():
    return {"w": jnp.zeros(3), "b": jnp.zeros(())}


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


def test_step_is_the_update_written_by_hand():
    tx = fg.adamw(0.1, weight_decay=0.01)
    step = fg.make_step(loss, tx)
    state, metrics = step(fg.TrainState.create(start(), tx), BATCH)
    value, grads = jax.value_and_grad(loss)(start(), BATCH)
    updates, opt_state = tx.update(grads, tx.init(start()), start())
    by_hand = fg.apply_updates(start(), updates)
    jax.tree.map(np.testing.assert_array_equal, state.params, by_hand)
    jax.tree.map(np.testing.assert_array_equal, state.opt_state, opt_state)
    assert float(metrics["loss"]) == float(value)
    assert int(state.step) == 1


def test_train_is_the_step_repeated():
    tx = fg.sgd(0.1, momentum=0.9)
    state, rows = fg.train(loss, tx, fg.TrainState.create(start(), tx), BATCHES)
    alone, step = fg.TrainState.create(start(), tx), jax.jit(fg.make_step(loss, tx))
    for i in range(8):
        alone, metrics = step(alone, jax.tree.map(lambda x, i=i: x[i], BATCHES))
        np.testing.assert_allclose(metrics["loss"], rows["loss"][i], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), state.params, alone.params)
    assert int(state.step) == 8


def test_another_learning_rate_compiles_nothing():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return loss(params, batch)

    rates = (1e-3, 1e-2, jnp.float32(0.1), np.float64(0.2))
    finals = [
        fg.train(counted, fg.adam(r), fg.TrainState.create(start(), fg.adam(r)), BATCHES)[1]["loss"][-1] for r in rates
    ]
    assert len(traces) == 1
    assert len({float(x) for x in finals}) == 4


def test_schedules_are_data_too():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return loss(params, batch)

    for peak, length in ((0.1, 10), (0.2, 100)):
        tx = fg.adam(fg.cosine_decay_schedule(peak, length))
        fg.train(counted, tx, fg.TrainState.create(start(), tx), BATCHES)
    assert len(traces) == 1


def final_loss(tx):
    return fg.train(loss, tx, fg.TrainState.create(start(), tx), BATCHES)[1]["loss"][-1]


def test_vmap_over_sixteen_rates_trains_sixteen_models():
    rates = jnp.logspace(-4, -1, 16)
    together = jax.vmap(final_loss)(fg.stack([fg.adam(rate) for rate in rates]))
    assert together.shape == (16,)
    for i in (0, 7, 15):
        np.testing.assert_allclose(together[i], final_loss(fg.adam(rates[i])), rtol=1e-5)
    assert len({float(x) for x in together}) == 16


def test_gradient_with_respect_to_the_optimizer_is_one_and_equals_difference_quotients():
    with precision("float64"):
        batches = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), BATCHES)

        def last(tx):
            state = fg.TrainState.create({"w": jnp.zeros(3), "b": jnp.zeros(())}, tx)
            return fg.train(loss, tx, state, batches)[1]["loss"][-1]

        tx = fg.adamw(0.1, b1=0.8, b2=0.95, eps=0.01, eps_root=0.01, weight_decay=0.1)
        slope = jax.grad(last)(tx)
        assert isinstance(slope, fg.adamw)
        assert jax.tree.structure(slope) == jax.tree.structure(tx)
        for name in ("learning_rate", "b1", "b2", "eps", "eps_root", "weight_decay"):
            at, h = getattr(tx, name), 1e-6
            up, down = (last(dataclasses.replace(tx, **{name: at + sign * h})) for sign in (1, -1))
            np.testing.assert_allclose(getattr(slope, name), (up - down) / (2 * h), rtol=1e-6, atol=1e-9, err_msg=name)


def test_train_under_checkpoint_and_grad_of_parameters():
    tx = fg.sgd(0.05)

    def last(params):
        return jax.checkpoint(lambda s: fg.train(loss, tx, s, BATCHES))(fg.TrainState.create(params, tx))[1]["loss"][-1]

    slopes = jax.grad(last)(start())
    assert np.isfinite(slopes["w"]).all()
    assert np.any(slopes["w"] != 0)


def test_keys_differ_between_steps_and_repeat_between_runs():
    def noisy(params, batch, key):
        return loss(params, batch), fg.Aux(metrics={"draw": jax.random.uniform(key)})

    tx = fg.sgd(0.1)
    draws = [
        fg.train(noisy, tx, fg.TrainState.create(start(), tx, key=jax.random.key(seed)), BATCHES)[1]["draw"]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert len({float(x) for x in jnp.concatenate(draws[::2])}) == 16


def test_model_state_is_carried():
    def counting(params, batch, model_state):
        return loss(params, batch), fg.Aux(model_state={"seen": model_state["seen"] + len(batch["y"])})

    tx = fg.sgd(0.1)
    state = fg.TrainState.create(start(), tx, model_state={"seen": jnp.int32(0)})
    state, _ = fg.train(counting, tx, state, BATCHES)
    assert int(state.model_state["seen"]) == 48


def test_what_is_no_inexact_array_is_carried():
    params = {
        "w": jnp.zeros(3),
        "b": jnp.zeros(()),
        "steps": jnp.arange(2),
        "name": "linear",
        "f": jnp.tanh,
        "none": None,
    }
    tx = fg.adam(0.1)
    state, _ = fg.train(loss, tx, fg.TrainState.create(params, tx), BATCHES)
    assert state.params["name"] == "linear"
    assert state.params["f"] is jnp.tanh
    assert state.params["steps"].tolist() == [0, 1]
    assert float(jnp.abs(state.params["w"]).sum()) > 0
    assert fg.tree.size(fg.tree.get(state.opt_state, "mu")) == 4


def test_complex_parameters_descend():
    target = 1 + 2j

    def distance(z, batch):
        return jnp.abs(z - batch).sum() ** 2

    with jax.numpy_dtype_promotion("standard"):
        tx = fg.sgd(0.25)
        state, rows = fg.train(distance, tx, fg.TrainState.create(jnp.array(0j), tx), jnp.full((20, 1), target))
    np.testing.assert_allclose(state.params, target, rtol=1e-4)
    assert (np.diff(rows["loss"][:8]) < 0).all()


def test_mean_loss_is_the_mean_and_shares_compilations():
    def one(params, example):
        return (example["x"] @ params["w"] + params["b"] - example["y"]) ** 2

    np.testing.assert_allclose(fg.mean_loss(one)(start(), BATCH), loss(start(), BATCH), rtol=1e-6)
    assert fg.mean_loss(one) == fg.mean_loss(one)
    assert hash(fg.mean_loss(one)) == hash(fg.mean_loss(one))


def test_mean_loss_gives_every_example_its_own_key_and_averages_metrics():
    def one(params, example, key):
        draw = jax.random.uniform(key)
        return draw, fg.Aux(metrics={"square": draw**2})

    value, aux = fg.mean_loss(one)(start(), BATCH, key=jax.random.key(0))
    assert float(aux.metrics["square"]) > float(value) ** 2 + 1e-3  # by Jensen, unless all keys were one


def test_per_example_gradients_average_to_the_gradient():
    def one(params, example):
        return (example["x"] @ params["w"] + params["b"] - example["y"]) ** 2

    each = fg.per_example_grad(one)(start(), BATCH)
    assert each["w"].shape == (6, 3)
    jax.tree.map(lambda e, g: np.testing.assert_allclose(e.mean(0), g, rtol=1e-5), each, jax.grad(loss)(start(), BATCH))


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (lambda p, b: b["y"] - p["b"], TypeError, ("real scalar", "mean_loss")),
        (lambda p, b: (loss(p, b), {"not": "aux"}), TypeError, ("fg.Aux",)),
        (lambda p, b: (loss(p, b), fg.Aux(metrics={"loss": 0.0})), ValueError, ("loss",)),
        (lambda p, b: 3, TypeError, ("real scalar",)),
        (lambda p, b: p["b"] * (1 + 1j), TypeError, ("real scalar", "complex")),
    ],
)
def test_losses_that_are_none(bad, error, words):
    tx = fg.sgd(0.1)
    with pytest.raises(error) as raised, jax.numpy_dtype_promotion("standard"):
        fg.make_step(bad, tx)(fg.TrainState.create(start(), tx), BATCH)
    assert all(word in str(raised.value) for word in ("make_step", *words))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n": jnp.arange(3)}, ("nothing to train", "Integers do not train: write 0.0 in place of 0")),
        ({"w": 0.5}, ("params['w']", "jnp.asarray(0.5)")),
        ({}, ("nothing",)),
    ],
)
def test_parameters_that_do_not_train(params, words):
    with pytest.raises(TypeError) as raised:
        fg.TrainState.create(params, fg.sgd(0.1))
    assert all(word in str(raised.value) for word in words)


def test_train_names_the_axes_that_differ():
    tx = fg.sgd(0.1)
    with pytest.raises(ValueError, match=r"train: .*\['x'\].* 8 .*\['y'\].* 7"):
        fg.train(loss, tx, fg.TrainState.create(start(), tx), {"x": BATCHES["x"], "y": BATCHES["y"][:7]})


def test_a_state_can_be_replaced():
    tx = fg.sgd(0.1)
    state = fg.TrainState.create(start(), tx)
    assert float(state.replace(params={**start(), "b": jnp.array(2.0)}).params["b"]) == 2.0
