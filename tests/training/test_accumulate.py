"""Gradient accumulation: k micro-batches are one big batch, in the memory of one, and NaN stays where it belongs."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

KEY = jax.random.key(0)
N = 7


def batch_of(n=N, dtype=jnp.float32):
    x = jax.random.normal(KEY, (n, 3), jnp.float64 if dtype == jnp.float64 else jnp.float32)
    return {"x": jnp.asarray(x, dtype), "y": jnp.arange(n).astype(dtype), "w": jnp.arange(n).astype(dtype)}


PARAMS = {"w": jnp.array([1.0, -2.0, 0.5]), "b": jnp.array(0.5)}


def error(params, batch):
    return batch["x"] @ params["w"] + params["b"] - batch["y"]


def one(params, example):
    e = error(params, example)
    return e**2, fg.Aux(metrics={"error": jnp.abs(e), "right": jnp.abs(e) < 1})


def fits(params, batch):
    return jnp.mean(error(params, batch) ** 2)


def noisy(params, batch, key):
    return fits(params, batch), fg.Aux(metrics={"noise": jax.random.uniform(key)})


def counting(params, batch, model_state):
    state = {"last": batch["y"][-1], "n": model_state["n"] + 1}
    return fits(params, batch), fg.Aux(metrics={"before": model_state["n"]}, model_state=state)


def same(a, b, **tolerance):
    check = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    jax.tree.map(lambda x, y: check(x, y, **tolerance), a, b)


def several(batch, steps=3):
    return jax.tree.map(lambda x: jnp.stack([x] * steps), batch)


# --- the mathematics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "penalty"), [(2, 0.0), (3, 0.3), (9, 0.0)])  # 4 + 3, 3 + 3 + 1 and seven of one
def test_micro_batches_are_one_batch(x64, k, penalty):
    params, batch = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), PARAMS), batch_of(dtype=jnp.float64)
    loss = fg.l2_penalty(fg.mean_loss(one), penalty)
    (value, aux), slope = jax.jit(jax.value_and_grad(fg.accumulate(loss, k), has_aux=True))(params, batch)
    (value_1, aux_1), slope_1 = jax.value_and_grad(loss, has_aux=True)(params, batch)
    same((value, aux.metrics["error"], slope), (value_1, aux_1.metrics["error"], slope_1), rtol=1e-14)
    same(aux.metrics["right"], aux_1.metrics["right"], rtol=1e-6)  # a mean of booleans is float32
    x, y = np.asarray(batch["x"]), np.asarray(batch["y"])
    e = x @ np.asarray(params["w"]) + 0.5 - y
    same(slope["w"], 2 * e @ x / N + penalty * np.asarray(params["w"]), rtol=1e-13)


def test_weights_agree_with_the_loss_and_weight_zero_has_no_effect(x64):
    def log(params, batch):  # a mean over tokens by hand: 0 / 0 in a batch without any
        mask = batch["w"] > 3
        return jnp.sum(jnp.where(mask, error(params, batch) ** 2, 0)) / jnp.sum(mask.astype(jnp.float64))

    params, batch = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), PARAMS), batch_of(dtype=jnp.float64)
    batch = {**batch, "mask": batch["w"] > 3, "x": batch["x"].at[1].set(jnp.nan)}
    kept = jax.tree.map(lambda x: x[4:], batch)
    expected = jax.value_and_grad(fits)(params, kept)
    by_name = fg.accumulate(fg.l1_penalty(fg.mean_loss(lambda p, e: error(p, e) ** 2, weights="mask"), 0.0), 3)
    same(jax.jit(jax.value_and_grad(by_name))(params, batch), expected, rtol=1e-14)
    batch = batch_of(dtype=jnp.float64)
    by_function = fg.accumulate(log, 3, weight=lambda batch: jnp.sum(batch["w"] > 3))
    assert np.isnan(log(params, jax.tree.map(lambda x: x[:3], batch)))
    by_function = jax.jit(jax.value_and_grad(by_function))
    same(by_function(params, batch), expected, rtol=1e-14)
    nothing = {**batch, "w": 0 * batch["w"]}
    same(by_function(params, nothing), (0.0, jax.tree.map(jnp.zeros_like, params)))


def test_one_micro_batch_is_the_loss_bitwise():
    batch = batch_of()
    for loss, extra in ((fits, {}), (noisy, {"key": KEY}), (counting, {"model_state": {"last": 0.0, "n": 0}})):
        plain, wrapped = (
            jax.jit(jax.value_and_grad(f, has_aux=loss is not fits)) for f in (loss, fg.accumulate(loss, 1))
        )
        same(wrapped(PARAMS, batch, **extra), plain(PARAMS, batch, **extra))


def test_the_sum_is_held_in_float32_and_rounded_once():
    loss = fg.accumulate(lambda w, x: jnp.mean(w * x), 1024)
    slope = jax.jit(jax.grad(loss))(jnp.bfloat16(1), jnp.ones(1024, jnp.bfloat16))
    assert slope == 1  # summed in bfloat16 it would get stuck at 256 / 1024
    assert slope.dtype == jnp.bfloat16
    assert loss(jnp.bfloat16(1), jnp.ones(1024, jnp.bfloat16)).dtype == jnp.bfloat16


def test_gradients_of_the_data_of_complex_numbers_and_of_what_the_loss_closes_over():
    z, batch = jnp.array([1 + 2j, -1j, 2 + 0j]), batch_of()

    def loss(z, batch, strength=1.0):
        return (
            jnp.mean(jnp.abs(jnp.sum(batch["x"].astype(z.dtype) * z, axis=1) - batch["y"].astype(z.dtype)) ** 2)
            * strength
        )

    plain, wrapped = (jax.jit(jax.value_and_grad(f, argnums=(0, 1))) for f in (loss, fg.accumulate(loss, 3)))
    same(wrapped(z, batch), plain(z, batch), rtol=1e-5)

    def around(strength, wrap):
        return wrap(lambda z, batch: loss(z, batch, strength))(z, batch)

    for wrap in (lambda f: f, lambda f: fg.accumulate(fg.weighted_sum([f], [1.0], ["f"]), 3)):
        slope = jax.jit(jax.grad(lambda s, wrap=wrap: jax.tree.leaves(around(s, wrap))[0]))(2.0)
        same(slope, loss(z, batch), rtol=1e-6)
    population = fg.weighted_sum([fits, fits], [1.0, 2.0], ["a", "b"])
    slope = jax.jit(jax.grad(lambda loss: fg.accumulate(loss, 3)(PARAMS, batch)[0]))(population)
    same(slope.weights, (fits(PARAMS, batch),) * 2, rtol=1e-6)


# --- what a loss may ask for, and what parameters may be --------------------------------------------------------------


def test_each_micro_batch_has_its_key():
    _, aux = fg.accumulate(noisy, 3)(PARAMS, batch_of(), key=KEY)
    noise = [jax.random.uniform(jax.random.fold_in(KEY, i)) for i in range(3)]
    np.testing.assert_allclose(aux.metrics["noise"], (3 * noise[0] + 3 * noise[1] + noise[2]) / 7, rtol=1e-6)


def test_the_model_state_passes_through_the_micro_batches():
    def last_weight(batch):
        return batch["w"][-1]

    start = {"last": jnp.float32(-1), "n": jnp.int32(0)}
    for batch, weight, n, last in (
        (batch_of(), None, 3, 6),
        (batch_of(), last_weight, 3, 6),
        ({**batch_of(), "w": jnp.array([1.0, 1, 1, 1, 1, 1, 0])}, last_weight, 2, 5),  # the last one weighs nothing
    ):
        loss = fg.accumulate(counting, 3, weight)
        _, aux = loss(PARAMS, batch, model_state=start)
        assert (int(aux.model_state["n"]), float(aux.model_state["last"])) == (n, last)
    tx = fg.sgd(0.0)
    state = fg.TrainState.create(PARAMS, tx, model_state=start)
    state, rows = fg.train(fg.accumulate(counting, 3), tx, state, several(batch_of(6)))
    assert int(state.model_state["n"]) == 9
    assert rows["before"].tolist() == [1, 4, 7]


def test_parameters_that_do_not_train_are_carried():
    params = {**PARAMS, "n": jnp.arange(3), "f": jnp.square, "rate": None, "name": "x", "flag": True}

    def loss(params, batch):
        assert params["flag"] is True
        assert params["name"] == "x"
        return jnp.mean(params["f"](error(params, batch))) + jnp.sum(params["n"]).astype(jnp.float32)

    tx, key, batch = fg.sgd(0.1), KEY, batch_of(6)
    runs = [
        fg.fit(f, params, tx, batch, batch_size=6, epochs=3, key=key, validation=batch, progress=False)
        for f in (loss, fg.accumulate(loss, 2))
    ]
    np.testing.assert_allclose(runs[1].params["w"], runs[0].params["w"], rtol=1e-5)
    np.testing.assert_allclose(runs[1].value, runs[0].value, rtol=1e-5)
    assert runs[1].params["f"] is jnp.square


# --- transformations, compilations, memory ----------------------------------------------------------------------------


def test_hypergradients_populations_and_minimize():
    batch = batch_of()

    def final(loss, tx):
        return fg.train(loss, tx, fg.TrainState.create(PARAMS, tx), several(batch))[1]["loss"][-1]

    population = fg.grid(fg.sgd, learning_rate=[0.01, 0.05])
    slopes = [
        jax.vmap(jax.value_and_grad(lambda tx, loss=loss: final(loss, tx)))(population)
        for loss in (fits, fg.accumulate(fits, 3))
    ]
    same(slopes[1], slopes[0], rtol=1e-4)
    loss = fg.accumulate(fits, 3)
    runs = [fg.minimize(lambda p, f=f: f(p, batch), PARAMS, fg.sgd(0.05), max_steps=9) for f in (fits, loss)]
    same(runs[1].params, runs[0].params, rtol=1e-5)
    bent = [jax.jit(jax.jacfwd(jax.grad(f)))(PARAMS, batch)["w"] for f in (fits, loss)]
    same(bent[1], bent[0], rtol=1e-5, atol=1e-6)


def test_the_loss_is_traced_once_for_each_size():
    traces = []

    def counted(params, batch):
        traces.append(len(batch["y"]))
        return fits(params, batch)

    loss = fg.accumulate(counted, 3)
    jax.jit(jax.value_and_grad(loss))(PARAMS, batch_of())
    assert traces == [3, 1]
    traces.clear()
    for rate in (0.01, 0.02):
        fg.train(loss, fg.sgd(rate), fg.TrainState.create(PARAMS, fg.sgd(rate)), several(batch_of(6)))
    assert traces == [2]


def test_without_differentiation_only_values_are_computed():
    @jax.custom_vjp
    def undifferentiable(x):
        return x

    def refuse(x):
        raise RuntimeError("differentiated")

    undifferentiable.defvjp(refuse, lambda _, g: (g,))
    loss = fg.accumulate(lambda p, batch: undifferentiable(fits(p, batch)), 3)
    np.testing.assert_allclose(jax.jit(loss)(PARAMS, batch_of()), fits(PARAMS, batch_of()), rtol=1e-6)
    with pytest.raises(RuntimeError, match="differentiated"):
        jax.grad(loss)(PARAMS, batch_of())


def test_memory_is_that_of_one_micro_batch():
    model = fg.multilayer_perceptron([16, 128, 128, 1])
    params = model.init(KEY)
    x = jnp.ones((512, 16))

    def loss(params, x):
        return jnp.mean(model.apply(params, x) ** 2)

    def room(f):
        tx = fg.sgd(0.1)
        found = jax.jit(fg.make_step(f, tx)).lower(fg.TrainState.create(params, tx), x).compile().memory_analysis()
        assert found is not None
        return found.temp_size_in_bytes

    weights = 4 * fg.tree.size(params)
    plain, two, eight = room(loss), room(fg.accumulate(loss, 2)), room(fg.accumulate(loss, 8))
    assert eight < two < plain
    assert eight < plain / 8 + 5 * weights  # the gradient, its sum and their copies do not shrink


# --- NaN ------------------------------------------------------------------------------------------------------------


def test_a_bad_micro_batch_makes_its_step_bad_and_no_other():
    loss, tx = fg.accumulate(fits, 3), fg.skip_nonfinite(fg.adam(0.1))
    good = batch_of(6)
    bad = {**good, "x": good["x"].at[3].set(jnp.nan)}
    value, slope = jax.value_and_grad(loss)(PARAMS, bad)
    assert np.isnan(value)
    assert np.isnan(slope["w"]).all()
    mixed = jax.tree.map(lambda *x: jnp.stack(x), good, bad, good, good)
    with_bad, rows = fg.train(loss, tx, fg.TrainState.create(PARAMS, tx), mixed)
    without, _ = fg.train(loss, tx, fg.TrainState.create(PARAMS, tx), several(good))
    same(with_bad.params, without.params)
    assert np.isnan(rows["loss"]).tolist() == [False, True, False, False]


def test_fit_goes_on_after_a_bad_micro_batch():
    loss, tx = fg.accumulate(fits, 3), fg.skip_nonfinite(fg.adam(0.1))
    data = batch_of(24)
    data["x"] = data["x"].at[5].set(jnp.nan)
    run = fg.fit(loss, PARAMS, tx, data, batch_size=6, epochs=3, key=KEY, progress=False)
    bad = np.isnan(run.history["loss"])
    assert bad.reshape(3, 4).sum(1).tolist() == [1, 1, 1]
    assert run.reason.name == "MAX_STEPS"
    assert int(fg.tree.get(run.state.opt_state, "skipped")) == 3
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run.params))
    unguarded = fg.fit(loss, PARAMS, fg.adam(0.1), data, batch_size=6, epochs=3, key=KEY, progress=False)
    assert unguarded.reason.name == "NON_FINITE"


# --- the value --------------------------------------------------------------------------------------------------------


def test_it_is_a_value():
    loss = fg.accumulate(fits, 3)
    assert repr(loss) == "accumulate(loss=fits, micro_batches=3)"
    assert loss == fg.accumulate(fits, 3)
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert loss != fg.accumulate(fits, 2)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fg.accumulate(3, 2), TypeError, "`loss` must be a function"),
        (lambda: fg.accumulate(fits, 0), ValueError, "`micro_batches`: expected at least 1, got 0"),
        (lambda: fg.accumulate(fits, 2, weight="w"), TypeError, "`weight`: expected a function batch → total weight"),
        (
            lambda: fg.accumulate(fits, 2, lambda b: b["w"])(PARAMS, batch_of()),
            ValueError,
            "`weight` must return a",
        ),
        (lambda: fg.accumulate(error, 2)(PARAMS, batch_of()), TypeError, "the loss must return a real scalar"),
        (lambda: fg.accumulate(lambda p, b: (fits(p, b), {}), 2)(PARAMS, batch_of()), TypeError, "fg.Aux"),
        (lambda: fg.accumulate(fits, 2)(PARAMS, {"x": jnp.ones(3), "y": 1.0}), ValueError, "leading axis"),
    ],
)
def test_mistakes(make, error, words):
    with pytest.raises(error, match=rf"^accumulate: .*{words}"):
        make()
