"""Losses made of losses: weights per example, weighted sums, penalties; what they compute and that they are values."""

import copy
import dataclasses
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

X = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0], [2.0, 2.0]])
BATCH = {"x": X, "y": jnp.array([1.0, -2.0, 3.0, 0.0]), "w": jnp.array([2.0, 0.0, 1.0, 3.0])}
PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}
MASK = {"w": True, "b": False}
KEY = jax.random.key(0)


def one(params, example):
    return (example["x"] @ params["w"] + params["b"] - example["y"]) ** 2


def with_metric(params, example):
    return one(params, example), fg.Aux(metrics={"y": example["y"], "positive": example["y"] > 0})


def fits(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


def prior(params, batch):
    return jnp.sum(params["w"] ** 2)


def noisy(params, batch, key):
    return jax.random.uniform(key) * params["b"]


def noisier(params, batch, key):
    return jax.random.uniform(key) * params["b"]


def counting(params, batch, model_state):
    return params["b"] ** 2, fg.Aux(metrics={"before": model_state["n"]}, model_state={"n": model_state["n"] + 1})


def counting_too(params, batch, model_state):
    return params["b"] ** 2, fg.Aux(model_state=model_state)


def halved(batch):
    return batch["w"] / 2


def same(a, b, **tolerance):
    check = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    jax.tree.map(lambda x, y: check(x, y, **tolerance), a, b)


# --- weights --------------------------------------------------------------------------------------------------------


def test_integer_weights_are_repetitions():
    weighted, rows = {**BATCH, "w": jnp.array([2, 0, 1, 5])}, jnp.array([0, 0, 2, 3, 3, 3, 3, 3])
    repeated = jax.tree.map(lambda x: x[rows], BATCH)
    value_and_grad = jax.value_and_grad(fg.mean_loss(with_metric, weights="w"), has_aux=True)
    same(
        value_and_grad(PARAMS, weighted), jax.value_and_grad(fg.mean_loss(with_metric), has_aux=True)(PARAMS, repeated)
    )


def test_weights_by_function_and_their_scale_does_not_matter():
    by_function = fg.mean_loss(one, weights=halved)
    same(by_function(PARAMS, BATCH), fg.mean_loss(one, weights="w")(PARAMS, BATCH))
    assert repr(by_function) == "mean_loss(per_example_loss=one, weights=halved)"


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.int32, jnp.float16, jnp.bfloat16])
def test_weights_of_any_real_dtype(dtype):
    batch = {**BATCH, "w": jnp.array([1, 0, 1, 0], dtype)}
    kept = jax.tree.map(lambda x: x[::2], BATCH)
    value = fg.mean_loss(one, weights="w")(PARAMS, batch)
    assert value == fg.mean_loss(one)(PARAMS, kept)
    assert value.dtype == jnp.float32


def test_an_example_of_weight_zero_reaches_neither_value_nor_gradient():
    def log(params, example):
        value = jnp.log(jnp.sum(example["x"] * params["w"]) ** 2)  # at x = 0 the value is -inf, the gradient NaN
        return value, fg.Aux(metrics={"value": value})

    loss = fg.mean_loss(log, weights="w")

    @jax.jit
    @jax.vmap
    def poisoned(x):
        batch = {**BATCH, "x": X.at[1].set(x)}
        alone = jax.grad(lambda p: log(p, {"x": batch["x"][1]})[0])(PARAMS)
        curvature = jax.hessian(lambda w: loss({**PARAMS, "w": w}, batch)[0])(PARAMS["w"])
        return alone["w"], jax.value_and_grad(loss, has_aux=True)(PARAMS, batch), curvature

    kept = jax.tree.map(lambda x: jnp.delete(x, 1, axis=0), BATCH)
    alone, found, curvature = poisoned(jnp.array([jnp.nan, jnp.inf, -jnp.inf, 0.0]))
    assert not np.isfinite(alone).any()
    expected = jax.jit(jax.value_and_grad(loss, has_aux=True))(PARAMS, kept)
    same(found, jax.tree.map(lambda x: jnp.stack([x] * 4), expected), rtol=1e-6)
    assert np.isfinite(curvature).all()


def test_a_value_that_is_not_finite_is_not_hidden():
    for value in (jnp.inf, jnp.nan):
        batch = {**BATCH, "y": BATCH["y"].at[0].set(value)}
        same(fg.mean_loss(one, weights="w")(PARAMS, batch), value)
    same(fg.mean_loss(one, weights="w")(PARAMS, {**BATCH, "w": BATCH["w"].at[1].set(jnp.nan)}), jnp.nan)


def test_all_weights_zero():
    def log(params, example, model_state):
        return jnp.log(example["x"] @ params["w"]), fg.Aux({"y": example["y"]}, {"seen": model_state["seen"] + 1})

    batch = {**BATCH, "x": X * jnp.nan, "w": jnp.zeros(4)}
    loss = jax.jit(jax.value_and_grad(fg.mean_loss(log, weights="w"), has_aux=True))
    (value, aux), slope = loss(PARAMS, batch, model_state={"seen": jnp.float32(3)})
    same((value, aux.metrics, slope), (0.0, {"y": 0.0}, jax.tree.map(jnp.zeros_like, PARAMS)))
    assert float(aux.model_state["seen"]) == 3
    assert (
        float(loss(PARAMS, {**BATCH, "w": jnp.ones(4)}, model_state={"seen": jnp.float32(3)})[0][1].model_state["seen"])
        == 4
    )


def test_weighted_gradient():
    fg.check_gradient(lambda p: fg.mean_loss(one, weights="w")(p, BATCH), PARAMS)


def test_low_precision_is_summed_in_float32():
    loss = fg.mean_loss(lambda p, e: p + e["x"], weights="w")
    batch = {"x": jnp.zeros(4096, jnp.bfloat16), "w": jnp.ones(4096, jnp.bfloat16)}
    value = loss(jnp.bfloat16(1), batch)
    assert value == 1
    assert value.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("weights", "batch", "error", "words"),
    [
        ("v", BATCH, ValueError, ("'v'", "'x', 'y', 'w'")),
        ("w", (X,), TypeError, ("'w'", "must be a dict", "tuple")),
        ("x", BATCH, ValueError, ("batch['x']", "(4,)", "(4, 2)")),
        (lambda batch: jnp.ones(3), BATCH, ValueError, ("result of `weights`", "(4,)", "(3,)")),
        ("w", {**BATCH, "w": -BATCH["w"]}, ValueError, ("batch['w']", "negative", "-3.0")),
        ("w", {**BATCH, "w": BATCH["w"] * 1j}, TypeError, ("batch['w']", "complex64")),
    ],
)
def test_weights_that_are_none(weights, batch, error, words):
    with pytest.raises(error) as raised, jax.numpy_dtype_promotion("standard"):
        fg.mean_loss(one, weights)(PARAMS, batch)
    assert all(word in str(raised.value) for word in ("mean_loss: ", *words))


def test_weights_must_be_a_name_or_a_function():
    with pytest.raises(TypeError, match=r"^mean_loss: `weights`: expected a key of the batch, or a function"):
        fg.mean_loss(one, BATCH["w"])


def test_weights_in_fit():
    data = {**BATCH, "w": jnp.array([1.0, 0.0, 1.0, 1.0]), "y": BATCH["y"].at[1].set(jnp.nan)}
    run = fg.fit(fg.mean_loss(one, "w"), PARAMS, fg.sgd(0.01), data, batch_size=1, epochs=2, key=KEY, progress=False)
    assert run.reason.name == "MAX_STEPS"
    assert (run.history["loss"] == 0).sum() == 2


# --- sums -----------------------------------------------------------------------------------------------------------


def test_weighted_sum_is_the_sum_and_reports_its_parts():
    loss = fg.weighted_sum([fits, fg.mean_loss(with_metric)], [1.0, 0.5])
    value, aux = loss(PARAMS, BATCH)
    np.testing.assert_allclose(value, 1.5 * fits(PARAMS, BATCH), rtol=1e-6)
    assert sorted(aux.metrics) == ["fits", "positive", "with_metric", "y"]
    same(aux.metrics["fits"], fits(PARAMS, BATCH))
    fg.check_gradient(lambda p: loss(p, BATCH)[0], PARAMS)


def test_weights_are_numbers_to_differentiate_and_to_vary():
    loss = fg.weighted_sum((fits, prior), (1.0, 0.5))
    slope = jax.grad(lambda loss: loss(PARAMS, BATCH)[0])(loss)
    same(slope.weights, (fits(PARAMS, BATCH), prior(PARAMS, BATCH)))
    population = fg.stack([dataclasses.replace(loss, weights=[1, w]) for w in (0.0, 2.0)])
    values, _ = jax.vmap(lambda loss: loss(PARAMS, BATCH))(population)
    np.testing.assert_allclose(values[1] - values[0], 2 * prior(PARAMS, BATCH), rtol=1e-6)
    with pytest.raises(ValueError, match=r"weighted_sum: `weights\[0\]` has shape \(2,\).*fg.unstack"):
        population(PARAMS, BATCH)
    assert fg.weighted_sum([fits, prior], np.array([1.0, 0.5])) == loss


def test_each_part_gets_what_it_asks_for():
    loss = fg.weighted_sum([noisy, counting, noisier, fits], [1, 1, 1, 1])
    assert list(inspect.signature(loss).parameters) == ["params", "batch", "key", "model_state"]
    assert list(inspect.signature(fg.weighted_sum([fits], [1])).parameters) == ["params", "batch"]
    tx = fg.sgd(0.0)
    state = fg.TrainState.create(PARAMS, tx, model_state={"n": jnp.int32(0)})
    state, rows = fg.train(loss, tx, state, jax.tree.map(lambda x: jnp.stack([x] * 3), BATCH))
    assert int(state.model_state["n"]) == 3
    assert rows["before"].tolist() == [0, 1, 2]
    assert len({float(x) for x in jnp.concatenate([rows["noisy"], rows["noisier"]])}) == 6


def test_parts_of_several_dtypes():
    def low(params, batch):
        return jnp.bfloat16(2)

    value, aux = fg.weighted_sum([low, fits], [0.5, 1])(PARAMS, BATCH)
    assert value.dtype == jnp.float32
    assert aux.metrics["low"].dtype == jnp.bfloat16
    same(value, 1 + fits(PARAMS, BATCH))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([fits, fits], [1, 1]), ValueError, ("two losses are named 'fits'", "`names`")),
        (([fits, fg.l2_penalty(fg.mean_loss(fits), 1.0)], [1, 1]), ValueError, ("two losses", "'fits'")),
        (([fits, lambda p, b: 0.0], [1, 1]), ValueError, ("losses[1]", "`names`")),
        (([fits, prior], [1, 1], ["a", "a"]), ValueError, ("'a'",)),
        (([fits, prior], [1, 1], ["a", "loss"]), ValueError, ("losses[1]", "'loss'")),
        (([fits, prior], [1, 1], ["a"]), ValueError, ("`names` must be 2", "got 1")),
        (([fits, prior], [1, 1], "ab"), TypeError, ("`names`", "'ab'")),
        (([fits, prior], [1]), ValueError, ("`weights` must be 2", "got 1")),
        (([fits, prior], 1.0), TypeError, ("`weights`", "1.0")),
        (([fits, prior], [1, fg.constant_schedule(1.0)]), TypeError, ("`weights[1]`", "number")),
        (([fits, prior], [1, float("nan")]), ValueError, ("`weights[1]`", "nan")),
        (([fits, 3], [1, 1]), TypeError, ("`losses[1]`", "3")),
        ((fits, [1]), TypeError, ("`losses`", "sequence")),
        (([], []), ValueError, ("`losses`", "at least one")),
    ],
)
def test_sums_that_are_none(arguments, error, words):
    with pytest.raises(error) as raised:
        fg.weighted_sum(*arguments)
    assert all(word in str(raised.value) for word in ("weighted_sum: ", *words))


@pytest.mark.parametrize(
    ("losses", "error", "words"),
    [
        ([counting, counting_too], ValueError, ("one loss may return a model state", "`counting`", "`counting_too`")),
        ([lambda p, b: b["y"]], TypeError, ("`a`", "real scalar")),
        ([lambda p, b: (fits(p, b), {"not": "aux"})], TypeError, ("`a`", "fg.Aux")),
        ([lambda p, b: (fits(p, b), fg.Aux({"a": 1.0}))], ValueError, ("'a'", "twice")),
    ],
)
def test_parts_that_are_none(losses, error, words):
    loss = fg.weighted_sum(losses, [1] * len(losses), None if len(losses) > 1 else ["a"])
    with pytest.raises(error) as raised:
        loss(PARAMS, BATCH, key=KEY, model_state={"n": 0})
    assert all(word in str(raised.value) for word in ("weighted_sum: ", *words))


# --- penalties ------------------------------------------------------------------------------------------------------


def trained(loss, tx, params=PARAMS, steps=5):
    state = fg.TrainState.create(params, tx)
    return fg.train(loss, tx, state, jax.tree.map(lambda x: jnp.stack([x] * steps), BATCH))[0].params


def decayed(tx, mask=None):
    return fg.chain(fg.add_decayed_weights(0.3, mask), tx)


@pytest.mark.parametrize("mask", [None, MASK, lambda params: jax.tree.map(lambda x: x.ndim > 0, params)])
def test_l2_penalty_is_weight_decay_before_the_step(mask):
    penalized = fg.l2_penalty(fits, 0.3, mask)
    for tx in (fg.sgd(0.05), fg.adam(0.05)):
        same(trained(penalized, tx), trained(fits, decayed(tx, mask)), rtol=1e-5)


def test_decoupled_decay_is_another_thing_under_adam():
    coupled, decoupled = (
        trained(fg.l2_penalty(fits, 0.3), fg.adam(0.05)),
        trained(fits, fg.adamw(0.05, weight_decay=0.3)),
    )
    assert float(fg.tree.norm(fg.tree.sub(coupled, decoupled))) > 1e-3


def test_penalties_of_complex_parameters():
    params = {"z": jnp.array([3 + 4j, 0j])}

    def no_loss(params, batch):
        return jnp.zeros(())

    assert float(fg.l1_penalty(no_loss, 2.0)(params, None)) == 10
    assert float(fg.l2_penalty(no_loss, 2.0)(params, None)) == 25
    np.testing.assert_allclose(
        trained(fg.l2_penalty(no_loss, 0.3), fg.sgd(0.1), params)["z"],
        trained(no_loss, decayed(fg.sgd(0.1)), params)["z"],
        rtol=1e-6,
    )
    slope = jax.grad(fg.l1_penalty(no_loss, 2.0))(params, None)["z"]
    np.testing.assert_allclose(slope, [2 * (3 - 4j) / 5, 0], rtol=1e-6)  # JAX's gradient is the conjugate


@pytest.mark.parametrize("penalty", [fg.l1_penalty, fg.l2_penalty])
@pytest.mark.parametrize("mask", [None, MASK])
def test_gradients_of_penalties(penalty, mask):
    fg.check_gradient(lambda p: penalty(fits, 0.3, mask)(p, BATCH), PARAMS)
    free = penalty(fits, 0.3, mask)(PARAMS, BATCH) - fits(PARAMS, BATCH)
    entries = [1.0, -2.0, 0.5][: 2 if mask else 3]
    p = 1 if penalty is fg.l1_penalty else 2
    np.testing.assert_allclose(free, 0.3 / p * sum(abs(x) ** p for x in entries), rtol=1e-5)


@pytest.mark.parametrize("penalty", [fg.l1_penalty, fg.l2_penalty])
def test_penalties_compute_in_float32_and_pass_by_what_does_not_train(penalty):
    def no_loss(params, batch):
        return jnp.zeros((), jnp.bfloat16)

    params = {"w": jnp.full(4096, 2**-0.5, jnp.bfloat16), "n": jnp.arange(3), "f": jnp.tanh, "name": "x", "none": None}
    value = penalty(no_loss, 1.0)(params, None)
    assert value.dtype == jnp.float32
    expected = 4096 * 0.70703125 if penalty is fg.l1_penalty else 2048 * 0.70703125**2
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    slope = jax.grad(
        lambda w: penalty(no_loss, 1.0, {**dict.fromkeys(params, True), "none": None})({**params, "w": w}, None)
    )
    assert slope(params["w"]).dtype == jnp.bfloat16
    tx = fg.sgd(0.5)
    state, _ = fg.make_step(penalty(no_loss, 1.0), tx)(fg.TrainState.create(params, tx), None)
    assert float(state.params["w"][0]) < 0.5


def test_double_precision(x64):
    params = {"w": jnp.array([1.0, 1e-9])}
    value = jax.jit(lambda loss: loss(params, None))(fg.l1_penalty(lambda p, b: jnp.float32(0), 1.0))
    assert value.dtype == jnp.float64
    assert float(value) == 1 + 1e-9


@pytest.mark.parametrize("penalty", [fg.l1_penalty, fg.l2_penalty])
def test_another_strength_compiles_nothing(penalty):
    traces = []

    def counted(params, batch):
        traces.append(1)
        return fits(params, batch)

    finals = {float(trained(penalty(counted, s), fg.sgd(0.01))["b"]) for s in (0.1, 0.2, np.float32(0.3))}
    assert len(traces) == 1
    assert len(finals) == 3
    for loss in (penalty(counted, 0.1), penalty(counted, 0.2)):
        fg.fit(loss, PARAMS, fg.sgd(0.01), BATCH, batch_size=2, epochs=1, key=KEY, progress=False)
    assert len(traces) == 2
    for w in (1.0, 2.0):
        fg.train(
            fg.weighted_sum([counted, prior], [1.0, w]),
            fg.sgd(0.01),
            fg.TrainState.create(PARAMS, fg.sgd(0.01)),
            jax.tree.map(lambda x: x[None], BATCH),
        )
    assert len(traces) == 3


def test_strengths_form_populations_and_have_gradients():
    def size(loss):
        return fg.tree.norm(trained(loss, fg.sgd(0.05)))

    population = fg.grid(fg.l2_penalty, loss=[fits], strength=[0.0, 1.0, 10.0])
    sizes = jax.vmap(size)(population)
    assert sizes[0] > sizes[1] > sizes[2]
    assert float(jax.grad(size)(fg.l2_penalty(fits, 1.0)).strength) < 0
    with pytest.raises(ValueError, match=r"l2_penalty: `strength` has shape \(3,\).*fg.unstack"):
        population(PARAMS, BATCH)


def test_penalties_in_minimize():
    problem = fg.problems.elliptic_bowl()
    for strength in (0.0, 1.0):
        fun = fg.l2_penalty(problem.fun, strength)
        run = fg.minimize(fun, jnp.array([1.0, 2.0]), fg.gradient_descent(0.05), max_steps=3)
        np.testing.assert_allclose(run.value, fun(run.best), rtol=1e-6)


def noisy_one(params, example, key):
    return one(params, example) + jax.random.uniform(key), fg.Aux({"draw": jax.random.uniform(key)})


def test_wrappers_wrap_each_other():
    both = fg.l1_penalty(fg.l2_penalty(fg.mean_loss(one, "w"), 0.1), 0.2)
    expected = fg.mean_loss(one, "w")(PARAMS, BATCH) + 0.05 * (1 + 4 + 0.25) + 0.2 * 3.5
    np.testing.assert_allclose(both(PARAMS, BATCH), expected, rtol=1e-6)
    np.testing.assert_allclose(
        fg.mean_loss(fg.l2_penalty(one, 0.1))(PARAMS, BATCH),
        fg.l2_penalty(fg.mean_loss(one), 0.1)(PARAMS, BATCH),
        rtol=1e-6,
    )
    loss = fg.l2_penalty(fg.weighted_sum([both, fg.mean_loss(noisy_one)], [1, 2], ["a", "b"]), 0.1, mask=MASK)
    assert list(inspect.signature(loss).parameters) == ["params", "batch", "key"]
    tx = fg.sgd(0.01)
    _, metrics = jax.jit(fg.make_step(loss, tx))(fg.TrainState.create(PARAMS, tx), BATCH)
    assert sorted(metrics) == ["a", "b", "draw", "loss"]
    np.testing.assert_allclose(metrics["loss"], metrics["a"] + 2 * metrics["b"] + 0.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fg.l2_penalty(fits, -1.0), ValueError, ("l2_penalty: `strength` must be in [0, inf), got -1.0",)),
        (lambda: fg.l1_penalty(fits, fg.constant_schedule(1.0)), TypeError, ("l1_penalty: `strength`", "schedule")),
        (lambda: fg.l1_penalty(fits, 1.0, {"w": 1}), TypeError, ("l1_penalty: `mask`", "True and False")),
        (
            lambda: fg.l1_penalty(fits, 1.0, {"w": True})(PARAMS, BATCH),
            ValueError,
            ("l1_penalty: `mask` must be a prefix",),
        ),
        (lambda: fg.l2_penalty(3, 1.0), TypeError, ("l2_penalty: `loss` must be a function", "3")),
        (lambda: fg.mean_loss(3), TypeError, ("mean_loss: `per_example_loss` must be a function", "3")),
        (lambda: fg.l2_penalty(lambda p, b: b["y"], 1.0)(PARAMS, BATCH), TypeError, ("l2_penalty: ", "real scalar")),
    ],
)
def test_penalties_that_are_none(make, error, words):
    with pytest.raises(error) as raised:
        make()
    assert all(word in str(raised.value) for word in words)


# --- values ---------------------------------------------------------------------------------------------------------

WRAPPED = [
    fg.mean_loss(one),
    fg.mean_loss(one, "w"),
    fg.mean_loss(one, weights=halved),
    fg.weighted_sum([fits, prior], [1, 0.5]),
    fg.weighted_sum([fits, fg.mean_loss(one)], [1, 0.5], ["a", "b"]),
    fg.l2_penalty(fits, 0.1),
    fg.l1_penalty(fg.l2_penalty(fg.mean_loss(one, "w"), 0.1), 0.2, mask=MASK),
]


@pytest.mark.parametrize("loss", WRAPPED, ids=repr)
def test_they_are_values(loss):
    copies = [
        eval(repr(loss), {**vars(fg), **globals()}),
        copy.deepcopy(loss),
        dataclasses.replace(loss),
        jax.tree.map(lambda x: x, loss),
        jax.jit(lambda x: x)(loss),
    ]
    assert all(other == loss and hash(other) == hash(loss) and repr(other) == repr(loss) for other in copies)
    assert sum(loss == other for other in WRAPPED) == 1
    assert next(iter(inspect.signature(loss).parameters)) == "params"
    assert list(inspect.signature(type(loss)).parameters) == [f.name for f in dataclasses.fields(loss)]


def test_they_pickle():
    for loss in (
        fg.l2_penalty(fg.mean_loss(fg.squared_error, "w"), 0.1, MASK),
        fg.weighted_sum([fg.squared_error], [2]),
    ):
        assert pickle.loads(pickle.dumps(loss)) == loss


def test_no_tracer_outlives_its_trace():
    with jax.checking_leaks():
        jax.jit(
            lambda loss: fg.make_step(loss, fg.sgd(0.1))(fg.TrainState.create(PARAMS, fg.sgd(0.1)), BATCH)[0].params
        )(fg.l2_penalty(fits, 0.1))
