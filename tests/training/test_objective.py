"""What reaches a loss beside parameters and batch: whether it trains, and the model's state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

DATA = {"x": np.arange(8, dtype=np.float32)}


def doubles(w, batch, training, model_state):
    """(2w)² when training, else w²: so the flag shows in the value; counts its calls in the model's state."""
    value = jnp.mean((w * (2.0 if training else 1.0) + 0 * batch["x"]) ** 2)
    return value, fg.Aux(model_state=model_state + int(training))


def doubles_one(w, example, training):
    return (w * (2.0 if training else 1.0) + 0 * example["x"]) ** 2


def fit(loss, **options):
    state = fg.TrainState.create(jnp.array(1.0), fg.sgd(0.0), model_state=jnp.int32(3))
    options = {"validation": DATA, "batch_size": 4, "epochs": 2, "progress": False} | options
    return fg.fit(loss, state, fg.sgd(0.0), DATA, key=jax.random.key(0), **options)


@pytest.mark.parametrize(
    ("loss", "plus"),
    [
        (doubles, 0.0),
        (fg.mean_loss(doubles_one), 0.0),
        (fg.l2_penalty(doubles, 1.0), 0.5),
        (fg.weighted_sum([doubles, lambda w, batch: w], [1.0, 1.0], names=["a", "b"]), 1.0),
    ],
    ids=["plain", "mean_loss", "l2_penalty", "weighted_sum"],
)
def test_loss_knows_whether_it_trains(loss, plus):
    run = fit(loss)
    np.testing.assert_array_equal(run.history["loss"], np.full(4, 4 + plus))
    np.testing.assert_array_equal(run.history["validation"]["loss"], np.full(2, 1 + plus))


def test_validation_leaves_the_model_state_and_metrics_see_it():
    """Four steps count from 3 to 7; the metrics of the epochs read 5 and 7, and are not training either."""

    def metrics(w, batch, model_state, training):
        return {"count": model_state, "training": jnp.float32(training)}

    run = fit(doubles, metrics=metrics)
    assert run.history["validation"]["count"].tolist() == [5, 7]
    assert run.history["validation"]["training"].tolist() == [0, 0]
    assert int(run.state.model_state) == 7


def test_loss_may_change_its_model_state_in_place():
    def loss(w, batch, model_state):
        model_state["n"] = model_state["n"] + 1
        return w**2, fg.Aux(model_state=model_state)

    tx = fg.sgd(0.1)
    state = fg.TrainState.create(jnp.array(1.0), tx, model_state={"n": jnp.int32(0)})
    after, _ = fg.make_step(loss, tx)(state, None)  # not compiled: what is changed in place is the caller's own
    assert int(state.model_state["n"]) == 0
    assert int(after.model_state["n"]) == 1


@pytest.mark.parametrize(
    ("start", "new", "words"),
    [
        (None, jnp.zeros(2), ("there is none before the first step", r"TrainState\.create")),
        ({"mean": jnp.zeros(2)}, {"mean": jnp.zeros(3)}, (r"\['mean'\]", r"\(2,\)", r"\(3,\)")),
        ({"mean": jnp.zeros(2)}, {"mean": jnp.zeros(2), "var": jnp.zeros(2)}, (r"\['var'\]", "absent")),
    ],
    ids=["none", "shape", "structure"],
)
def test_model_state_keeps_its_structure(start, new, words):
    step = fg.make_step(lambda w, batch: (w**2, fg.Aux(model_state=new)), fg.sgd(0.1))
    state = fg.TrainState.create(jnp.array(1.0), fg.sgd(0.1), model_state=start)
    with pytest.raises(ValueError, match="make_step: .*" + ".*".join(words)):
        jax.eval_shape(step, state, None)
