"""Models of Equinox and Flax train as they are: Dropout draws anew, BatchNorm remembers, everything compiles once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

eqx = pytest.importorskip("equinox")
nnx = pytest.importorskip("flax.nnx")
linen = pytest.importorskip("flax.linen")

MOMENTUM = 0.75
X = np.asarray(jax.random.normal(jax.random.key(7), (48, 3)))
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
TX = fg.adam(0.03)


class Model(NamedTuple):
    """last(dropout(norm(first(x)))) of widths 3, 4, 1 in some library, as `fg.fit` takes it."""

    loss: Any
    params: Any
    model_state: Any
    traces: list  # one entry for each time that the loss is traced: whether it trains
    predict: Any  # (params, model_state, x) → y in inference mode
    first: Any  # params → kernel (3, 4) and bias (4,) of the first layer
    statistics: Any  # model_state → running mean and variance, each (4,)


def equinox_model():
    class Net(eqx.Module):
        first: eqx.nn.Linear
        norm: eqx.nn.BatchNorm
        dropout: eqx.nn.Dropout
        last: eqx.nn.Linear

        def __init__(self, key):
            self.first = eqx.nn.Linear(3, 4, key=key)
            self.norm = eqx.nn.BatchNorm(4, axis_name="batch", momentum=MOMENTUM, mode="batch")
            self.dropout = eqx.nn.Dropout(0.1)
            self.last = eqx.nn.Linear(4, 1, key=key)

        def __call__(self, x, state, key):
            h, state = self.norm(self.first(x), state)
            return self.last(self.dropout(h, key=key))[0], state

    def apply(net, x, model_state, key):
        keys = jax.random.split(key, len(x))
        return jax.vmap(net, in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch")(x, model_state, keys)

    def loss(net, batch, key, model_state, training):
        traces.append(training)
        net = net if training else eqx.nn.inference_mode(net)
        y, model_state = apply(net, batch["x"], model_state, key)
        return jnp.mean((y - batch["y"]) ** 2), fg.Aux(model_state=model_state)

    def predict(net, model_state, x):
        return apply(eqx.nn.inference_mode(net), x, model_state, jax.random.key(0))[0]

    def statistics(model_state):
        return model_state.get(net.norm.batch_state_index)

    traces = []
    net, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    return Model(loss, net, state, traces, predict, lambda net: (net.first.weight.T, net.first.bias), statistics)


def linen_model():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x, training):
            h = linen.Dense(4, name="first")(x)
            h = linen.BatchNorm(use_running_average=not training, momentum=MOMENTUM, name="norm")(h)
            return linen.Dense(1)(linen.Dropout(0.1, deterministic=not training)(h))[:, 0]

    def loss(params, batch, key, model_state, training):
        traces.append(training)
        variables = {"params": params, **model_state}
        y, model_state = net.apply(variables, batch["x"], training, rngs={"dropout": key}, mutable="batch_stats")
        return jnp.mean((y - batch["y"]) ** 2), fg.Aux(model_state=model_state)

    def predict(params, model_state, x):
        return net.apply({"params": params, **model_state}, x, False)

    def statistics(model_state):
        return model_state["batch_stats"]["norm"]["mean"], model_state["batch_stats"]["norm"]["var"]

    traces, net = [], Net()
    state = net.init(jax.random.key(0), X, False)
    params = state.pop("params")
    return Model(loss, params, state, traces, predict, lambda p: (p["first"]["kernel"], p["first"]["bias"]), statistics)


def nnx_model():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(3, 4, rngs=rngs)
            self.norm = nnx.BatchNorm(4, momentum=MOMENTUM, rngs=rngs)
            self.dropout = nnx.Dropout(0.1)
            self.last = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x, rngs=None):
            return self.last(self.dropout(self.norm(self.first(x)), rngs=rngs))[:, 0]

    def loss(params, batch, key, model_state, training):
        traces.append(training)
        net = nnx.merge(graph, params, model_state)
        net.train() if training else net.eval()
        y = net(batch["x"], nnx.Rngs(dropout=key))
        return jnp.mean((y - batch["y"]) ** 2), fg.Aux(model_state=nnx.state(net, nnx.BatchStat))

    def predict(params, model_state, x):
        net = nnx.merge(graph, params, model_state)
        net.eval()
        return net(x)

    def statistics(model_state):
        return model_state["norm"]["mean"][...], model_state["norm"]["var"][...]

    def first(params):
        return params["first"]["kernel"][...], params["first"]["bias"][...]

    traces = []
    graph, params, state = nnx.split(Net(nnx.Rngs(0)), nnx.Param, nnx.BatchStat)
    return Model(loss, params, state, traces, predict, first, statistics)


LIBRARIES = {"equinox": equinox_model, "linen": linen_model, "nnx": nnx_model}


@pytest.fixture(scope="module", params=LIBRARIES)
def model(request):
    return LIBRARIES[request.param]()


@pytest.fixture(scope="module")
def step(model):
    return jax.jit(fg.make_step(model.loss, TX))


@pytest.fixture
def start(model):
    return fg.TrainState.create(model.params, TX, key=jax.random.key(1), model_state=model.model_state)


def test_fit(model, start):
    """Two programs, one to train and one to validate; what comes out is the library's own model, ready for use."""
    before, initial = len(model.traces), [np.asarray(s) for s in model.statistics(model.model_state)]
    options = {"batch_size": 16, "epochs": 30, "key": jax.random.key(0), "validation": DATA, "progress": False}
    run = fg.fit(model.loss, start, TX, DATA, **options)
    assert model.traces[before:] == [True, False]
    assert run.history["loss"][-12:].mean() < 0.5 * run.history["loss"][:3].mean()

    assert jax.tree.structure(run.params) == jax.tree.structure(model.params)
    error = np.asarray(model.predict(run.params, run.state.model_state, X), np.float64) - DATA["y"]
    np.testing.assert_allclose(run.history["validation"]["loss"][-1], np.mean(error**2), rtol=1e-5)
    assert np.mean(error**2) < 0.1 * np.mean(DATA["y"] ** 2)
    for now, then in zip(model.statistics(model.model_state), initial, strict=True):
        np.testing.assert_array_equal(now, then)  # the caller's own state is as it was


def test_running_statistics(model, step, start):
    """m ← βm + (1 − β)μ, v ← βv + (1 − β)σ² of the first layer's outputs on the batch, from m = 0 and v = 1."""
    state, mean, variance = start, np.zeros(4), np.ones(4)
    for t in range(6):
        batch = jax.tree.map(lambda x, t=t: x[8 * t : 8 * t + 8], DATA)
        kernel, bias = (np.asarray(p, np.float64) for p in model.first(state.params))
        h = batch["x"].astype(np.float64) @ kernel + bias
        mean = MOMENTUM * mean + (1 - MOMENTUM) * h.mean(axis=0)
        variance = MOMENTUM * variance + (1 - MOMENTUM) * ((h - h.mean(axis=0)) ** 2).mean(axis=0)
        state, _ = step(state, batch)
        found = model.statistics(state.model_state)
        np.testing.assert_allclose(found[0], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], variance, rtol=1e-5)


def test_dropout_draws_anew_in_each_step(step, start):
    """From the same parameters on the same batch the losses differ by the step alone, and are the same again."""
    batch = jax.tree.map(lambda x: x[:8], DATA)
    losses = [float(step(start.replace(step=jnp.int32(t)), batch)[1]["loss"]) for t in (0, 1, 2, 0)]
    assert len(set(losses)) == 3
    assert losses[0] == losses[3]


def test_step_is_traced_once(model, step, start):
    batch = jax.tree.map(lambda x: x[:8], DATA)
    state, _ = step(start, batch)
    before = len(model.traces)
    for _ in range(3):
        state, _ = step(state, batch)
    assert len(model.traces) == before


@pytest.mark.parametrize("library", LIBRARIES)
def test_run_resumes_bitwise(library, tmp_path):
    """Model state and all, with a model built anew, as another process would."""

    def run(model, epochs, **options):
        start = fg.TrainState.create(model.params, TX, key=jax.random.key(1), model_state=model.model_state)
        options |= {"batch_size": 16, "epochs": epochs, "key": jax.random.key(0), "progress": False}
        result = fg.fit(model.loss, start, TX, DATA, **options)
        first, statistics = model.first(result.params), model.statistics(result.state.model_state)
        return result.history["loss"], [np.asarray(x) for x in (*first, *statistics)]

    model, anew = LIBRARIES[library](), LIBRARIES[library]()
    losses, arrays = run(model, 2)
    run(model, 1, checkpoint=fg.Checkpoint(tmp_path, every=3))
    resumed_losses, resumed = run(anew, 2, checkpoint=fg.Checkpoint(tmp_path, every=3))
    np.testing.assert_array_equal(resumed_losses, losses)
    jax.tree.map(np.testing.assert_array_equal, resumed, arrays)
    assert True in anew.traces  # it has made steps of its own


def test_equinox_state_may_be_set_in_the_loss():
    """`State.set` makes the state that it was called on unusable; that is never the run's own."""

    class Counter(eqx.Module):
        w: jax.Array
        calls: eqx.nn.StateIndex

        def __call__(self, x, state):
            return self.w * x, state.set(self.calls, state.get(self.calls) + 1)

    def loss(model, batch, model_state):
        y, model_state = model(batch, model_state)
        return jnp.mean(y**2), fg.Aux(model_state=model_state)

    model, state = eqx.nn.make_with_state(lambda: Counter(jnp.array(1.0), eqx.nn.StateIndex(jnp.int32(0))))()
    run, _ = fg.make_step(loss, TX)(fg.TrainState.create(model, TX, model_state=state), jnp.ones(3))
    assert int(run.model_state.get(model.calls)) == 1
    assert int(state.get(model.calls)) == 0


def test_nnx_module_without_state_trains_unsplit():
    net = nnx.Linear(3, 1, rngs=nnx.Rngs(0))

    def loss(net, batch):
        return jnp.mean((net(batch["x"])[:, 0] - batch["y"]) ** 2)

    options = {"batch_size": None, "epochs": 200, "key": jax.random.key(0), "progress": False}
    run = fg.fit(loss, net, fg.adam(0.1), DATA, **options)
    assert isinstance(run.params, nnx.Linear)
    np.testing.assert_allclose(run.params(X)[:, 0], DATA["y"], atol=1e-2)
