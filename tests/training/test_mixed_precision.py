"""Mixed precision: 16 bits inside, float32 outside; the scale of float16 gradients adapts and loses no step."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

KEY = jax.random.key(0)
HALF = jnp.finfo(jnp.float16)


def same(a, b, **tolerance):
    check = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    jax.tree.map(lambda x, y: check(x, y, **tolerance), a, b)


def product(w, batch):
    """A gradient of batch["a"]·batch["b"], formed by two multiplications on the way back."""
    return jnp.sum((w * batch["a"]) * batch["b"])


HALVED = fg.mixed_precision(product, "float16")


def value_and_grad(loss, w, batch, state):
    (value, aux), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(w, batch, model_state=state)
    return value, slope, aux.model_state


def state_of(scale, good_steps=0, inner=None):
    return fg.LossScaleState(jnp.float32(scale), jnp.int32(good_steps), inner)


def several(batch, steps):
    return jax.tree.map(lambda x: jnp.stack([x] * steps), batch)


# --- what is cast ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", jnp.float16, "float32"])
def test_the_loss_sees_low_precision_and_returns_high(dtype):
    seen = {}

    def loss(params, batch, key, model_state):
        seen.update(jax.tree.map(lambda x: getattr(x, "dtype", x), {**params, **batch, "state": model_state}))
        value = params["w"].sum() * batch["x"].sum()
        return value, fg.Aux({"value": value, "n": batch["n"][0]}, model_state)

    key = jax.random.key(0)
    params = {"w": jnp.ones(2), "n": jnp.arange(2), "z": jnp.ones(2, complex), "f": jnp.tanh, "p": 0.5, "none": None}
    batch = {"x": np.ones(2), "n": jnp.arange(2), "key": jax.random.split(key, 2)}
    wrapped, inner = fg.mixed_precision(loss, dtype), jnp.ones(3)
    value, aux = wrapped(params, batch, key=key, model_state=wrapped.init_model_state(inner))
    low = jnp.dtype(dtype)
    assert (seen["w"], seen["x"], seen["state"]) == (low, low, jnp.float32)
    assert (seen["n"], seen["z"], seen["p"], seen["f"]) == (
        jnp.int32,
        jnp.complex64,
        0.5,
        jnp.tanh,
    )
    assert (value.dtype, aux.metrics["value"].dtype, jnp.result_type(aux.metrics["n"])) == (jnp.float32,) * 2 + (
        jnp.int32,
    )
    slope = jax.grad(
        lambda w: wrapped({**params, "w": w}, batch, key=key, model_state=wrapped.init_model_state(inner))[0]
    )
    assert slope(params["w"]).dtype == jnp.float32
    same(slope(params["w"]), [2.0, 2.0])


def test_small_updates_are_kept():
    def loss(w, batch):
        return jnp.sum(w * batch)

    tx, ones = fg.sgd(1e-4), jnp.ones((1000, 1))
    state, _ = fg.train(fg.mixed_precision(loss), tx, fg.TrainState.create(jnp.ones(1), tx), ones)
    np.testing.assert_allclose(state.params, 0.9, rtol=1e-4)
    low, _ = fg.train(loss, tx, fg.TrainState.create(jnp.ones(1, jnp.bfloat16), tx), ones.astype(jnp.bfloat16))
    assert low.params == 1  # each update is less than half a unit in the last place


def test_bfloat16_trains_a_network_as_float32_does():
    model = fg.multilayer_perceptron([2, 16, 1], "tanh")
    x = jax.random.normal(KEY, (64, 2))
    batch = {"x": x, "y": x[:, :1] * x[:, 1:]}

    def loss(params, batch):
        return fg.mean_squared_error(model.apply(params, batch["x"]), batch["y"])

    def final(loss):
        params, tx = model.init(KEY), fg.adam(0.02)
        run = fg.fit(loss, params, tx, batch, batch_size=None, epochs=300, key=KEY, progress=False)
        return float(run.history["loss"][0]), float(run.history["loss"][-20:].mean())

    (start, plain), (_, mixed) = final(loss), final(fg.mixed_precision(loss))
    assert plain < 0.05 * start
    assert mixed < 0.1 * start


# --- the scale of float16 -------------------------------------------------------------------------------------------


def test_gradients_that_vanish_in_float16_are_right_with_a_scale():
    batch = {"a": jnp.array([1e-4, 3e-4]), "b": jnp.array([2e-4, 1e-4])}  # products of 2·10⁻⁸ and 3·10⁻⁸
    w = jnp.array([0.5, 2.0])
    unscaled = jax.grad(product)(w.astype(jnp.float16), jax.tree.map(lambda x: x.astype(jnp.float16), batch))
    expected = np.prod([np.asarray(x, np.float16).astype(np.float64) for x in batch.values()], axis=0)
    assert (np.asarray(unscaled) < expected / 2).any() or (np.asarray(unscaled) > expected * 1.5).any()
    loss = fg.mixed_precision(product, "float16")
    value, slope, state = value_and_grad(loss, w, batch, loss.init_model_state())
    same(slope, expected, rtol=2 * float(HALF.eps))
    same(state, state_of(2**15, 1))
    assert value.dtype == slope.dtype == jnp.float32


def test_overflow_halves_the_scale_and_the_step_is_still_right():
    batch = {"a": jnp.array([100.0]), "b": jnp.array([1.0])}
    loss = fg.mixed_precision(product, "float16")
    value, slope, state = value_and_grad(loss, jnp.array([1e-2]), batch, state_of(2**15, 7, None))
    same(slope, [100.0])
    assert 100 * float(state.scale) <= float(HALF.max) < 200 * float(state.scale)
    assert int(state.good_steps) == 0
    np.testing.assert_allclose(value, 1, rtol=1e-3)


def test_the_scale_grows_after_an_interval_of_good_steps():
    batch = {"a": jnp.ones(1), "b": jnp.ones(1)}
    loss = fg.mixed_precision(product, "float16", initial_scale=4, growth_interval=2)
    tx = fg.sgd(0.0)
    state = fg.TrainState.create(jnp.ones(1), tx, model_state=loss.init_model_state())
    scales = []
    for _ in range(5):
        state, _ = fg.train(loss, tx, state, several(batch, 1))
        scales.append((float(state.model_state.scale), int(state.model_state.good_steps)))
    assert scales == [(4, 1), (8, 0), (8, 1), (16, 0), (16, 1)]
    _, _, top = value_and_grad(loss, jnp.ones(1), {"a": jnp.zeros(1), "b": jnp.ones(1)}, state_of(2**24, 1))
    assert float(top.scale) <= 2**24


@pytest.mark.parametrize("what", ["value", "gradient"])
def test_what_is_not_finite_at_any_scale_is_returned_and_the_scale_stays(what):
    def root(w, batch):
        return jnp.sum(jnp.sqrt(w * batch))  # at 0 the value is 0, the derivative infinite

    loss, batch = fg.mixed_precision(root, "float16"), jnp.array([jnp.nan if what == "value" else 1.0])
    value, slope, state = value_and_grad(loss, jnp.zeros(1), batch, state_of(2**15, 3))
    assert np.isfinite(value) == (what == "gradient")
    assert not np.isfinite(slope).any()
    same(state, state_of(2**15, 3))


def test_the_state_passes_through_fit_and_validation_leaves_it():
    class Model:
        def init_model_state(self):
            return {"n": jnp.int32(0)}

        def __call__(self, params, batch, model_state):
            value = jnp.mean((params * batch["x"] - batch["y"]) ** 2)
            return value, fg.Aux(model_state={"n": model_state["n"] + 1})

    loss = fg.l2_penalty(fg.mixed_precision(Model(), "float16", initial_scale=32, growth_interval=3), 0.0)
    data = {"x": jnp.ones(8), "y": 2 * jnp.ones(8)}
    options = dict(batch_size=4, epochs=5, key=KEY, progress=False)
    run = fg.fit(loss, jnp.array(0.0), fg.sgd(0.2), data, validation=data, **options)
    scale, good_steps, inner = run.state.model_state
    assert (int(inner["n"]), int(good_steps)) == (10, 1)
    assert float(scale) == 32 * 2**3
    plain = fg.fit(lambda w, b: jnp.mean((w * b["x"] - b["y"]) ** 2), jnp.array(0.0), fg.sgd(0.2), data, **options)
    np.testing.assert_allclose(run.history["loss"], plain.history["loss"], rtol=0.1, atol=1e-3)


def test_the_loss_is_traced_once():
    traces = []

    def counted(w, batch):
        traces.append(w.dtype)
        return product(w, batch)

    for interval in (2, 3):
        loss, tx = fg.mixed_precision(counted, "float16", growth_interval=interval), fg.sgd(0.1)
        state = fg.TrainState.create(jnp.ones(1), tx, model_state=loss.init_model_state())
        fg.train(loss, tx, state, several({"a": jnp.ones(1), "b": jnp.ones(1)}, 2))
    assert traces == [jnp.float16]


# --- composition ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_inside_of_accumulate(dtype):
    def one(w, example):
        return (w @ example["x"] - example["y"]) ** 2

    x = jax.random.normal(KEY, (6, 2))
    batch, w = {"x": x, "y": x[:, 0], "m": jnp.array([1.0, 1, 0, 0, 1, 1])}, jnp.array([0.5, -1.0])
    low = fg.mixed_precision(fg.mean_loss(one, weights="m"), dtype, initial_scale=64)
    loss = fg.accumulate(low, 3)
    extra = {} if dtype == "bfloat16" else {"model_state": loss.init_model_state()}
    has_aux = dtype == "float16"
    out, slope = jax.jit(jax.value_and_grad(loss, has_aux=has_aux))(w, batch, **extra)
    kept = jax.tree.map(lambda x: x[jnp.array([0, 1, 4, 5])], batch)
    value, expected = jax.value_and_grad(fg.mean_loss(one))(w, kept)
    same((out[0] if has_aux else out, slope), (value, expected), rtol=0.02, atol=0.02)
    if has_aux:
        same(out[1].model_state, state_of(64, 2))  # no gradient of no weight; the others count
        assert "model_state" in inspect.signature(loss).parameters


def test_hypergradients_and_populations_in_bfloat16():
    def final(tx, loss):
        state = fg.TrainState.create(jnp.array([1.0]), tx)
        return fg.train(loss, tx, state, jnp.ones((3, 4)))[1]["loss"][-1]

    def loss(w, batch):
        return jnp.mean((w * batch) ** 2)

    rates = fg.grid(fg.sgd, learning_rate=[0.1, 0.2])
    low, high = (
        jax.vmap(jax.value_and_grad(lambda tx, f=f: final(tx, f)))(rates) for f in (fg.mixed_precision(loss), loss)
    )
    same((low[0], low[1].learning_rate), (high[0], high[1].learning_rate), rtol=0.05)
    half = fg.mixed_precision(product, "float16")
    batch, states = {"a": jnp.array([100.0]), "b": jnp.ones(1)}, jax.vmap(state_of)(jnp.array([2.0, 2.0**15]))
    slopes = jax.vmap(lambda s: jax.grad(half, has_aux=True)(jnp.ones(1), batch, model_state=s)[0])(states)
    same(slopes, [[100.0], [100.0]])


# --- the value --------------------------------------------------------------------------------------------------------


def test_it_is_a_value():
    loss = fg.mixed_precision(product, jnp.bfloat16)
    assert repr(loss) == "mixed_precision(loss=product, initial_scale=32768.0, growth_interval=2000.0)"
    assert loss == pickle.loads(pickle.dumps(loss))
    assert list(inspect.signature(loss).parameters) == ["w", "batch"]
    assert list(inspect.signature(fg.mixed_precision(product, "float16")).parameters) == ["w", "batch", "model_state"]
    assert fg.accumulate(fg.weighted_sum([loss], [1.0], ["a"]), 2).init_model_state() is None


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fg.mixed_precision(product, "int8"), TypeError, "`compute_dtype`: expected a floating dtype"),
        (lambda: fg.mixed_precision(product, "float64"), ValueError, "`compute_dtype` must be one of 'bfloat16', 'fl"),
        (lambda: fg.weighted_sum([HALVED] * 2, [1, 1], ["a", "b"]).init_model_state(), ValueError, "one loss may have"),
        (lambda: fg.mixed_precision(product, initial_scale=0.5), ValueError, r"`initial_scale` must be in \[1, "),
        (
            lambda: fg.mixed_precision(product, "float16")(jnp.ones(1), {}),
            TypeError,
            "must be a LossScaleState, got No",
        ),
    ],
)
def test_mistakes(make, error, words):
    with pytest.raises(error, match=rf"^(mixed_precision|weighted_sum): .*{words}"):
        make()
