"""fit: order, batches, validation, best, stopping at NaN, one compilation, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.data.arrays import order
from funcgd.data.plan import Layout, plan
from funcgd.training import validation

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
KEY = jax.random.key(0)
START = {"w": jnp.zeros(3)}


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def fit(tx, data=None, loss=loss, params=None, **options):
    options = {"batch_size": 10, "epochs": 3, "key": KEY, "progress": False} | options
    return fg.fit(loss, START if params is None else params, tx, DATA if data is None else data, **options)


def by_hand(tx, batch_size, epochs):
    """The same run as a Python loop over the same order."""
    order_key, _ = jax.random.split(KEY)
    step, state = jax.jit(fg.make_step(loss, tx)), fg.TrainState.create(START, tx)
    losses = []
    for epoch in range(epochs):
        indices = np.asarray(order(order_key, epoch, 50)) if batch_size < 50 else np.arange(50)
        for i in range(0, 50, batch_size):
            batch = {name: x[indices[i : i + batch_size]] for name, x in DATA.items()}
            state, metrics = step(state, batch)
            losses.append(float(metrics["loss"]))
    return state, losses


@pytest.mark.parametrize(
    "batch_size", [1, 8, 10, 50], ids=["stochastic", "short last batch", "mini-batch", "full batch"]
)
@pytest.mark.parametrize("validated", [False, True])
def test_row_27_batch_stochastic_and_mini_batch_are_the_loop_written_by_hand(batch_size, validated):
    tx = fg.sgd(0.05, momentum=0.5)
    run = fit(tx, batch_size=None if batch_size == 50 else batch_size, validation=DATA if validated else None)
    state, losses = by_hand(tx, batch_size, 3)
    np.testing.assert_allclose(run.params["w"], state.params["w"], rtol=1e-5)
    np.testing.assert_allclose(run.history["loss"], losses, rtol=1e-4, atol=1e-7)
    assert run.steps == 3 * -(-50 // batch_size)
    assert run.reason is fg.StopReason.MAX_STEPS


def test_row_11_each_epoch_visits_every_example_once_in_an_order_of_its_own():
    """The examples' own indices pass through the loss as metrics."""

    def watched(params, batch):
        return loss(params, batch), fg.Aux(metrics={"seen": batch["i"][0]})

    run = fit(fg.sgd(0.01), {**DATA, "i": np.arange(50)}, watched, batch_size=1, epochs=4)
    epochs = run.history["seen"].reshape(4, 50)
    for seen in epochs:
        assert sorted(seen.tolist()) == list(range(50))
    assert len({tuple(seen) for seen in epochs.tolist()}) == 4
    again = fit(fg.sgd(0.02), {**DATA, "i": np.arange(50)}, watched, batch_size=1, epochs=2)
    np.testing.assert_array_equal(
        again.history["seen"], run.history["seen"][:100]
    )  # the order depends on the key alone


def test_validation_best_and_history():
    held_out = jax.tree.map(lambda x: x[:20], DATA)

    def metrics(params, batch):
        return {"mae": jnp.abs(batch["x"] @ params["w"] - batch["y"]).mean()}

    run = fit(fg.sgd(0.1), epochs=5, validation=held_out, metrics=metrics)
    seen = run.history["validation"]
    assert seen["step"].tolist() == [5, 10, 15, 20, 25]
    assert run.value == seen["loss"].min()
    np.testing.assert_allclose(seen["loss"][-1], loss(run.params, held_out), rtol=1e-5)
    np.testing.assert_allclose(seen["mae"][-1], metrics(run.params, held_out)["mae"], rtol=1e-5)
    np.testing.assert_allclose(loss(run.best, held_out), run.value, rtol=1e-5)


def test_row_26_best_is_not_the_last_when_the_last_is_worse():
    rising = fg.join_schedules([fg.constant_schedule(0.05), fg.constant_schedule(2.0)], [20])
    run = fit(fg.sgd(rising), epochs=8, validation=DATA)
    seen = run.history["validation"]["loss"]
    assert seen.argmin() < len(seen) - 1
    assert loss(run.best, DATA) < loss(run.params, DATA)


def test_other_rates_and_other_lengths_compile_nothing():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return loss(params, batch)

    fit(fg.adam(1e-3), loss=counted)
    assert len(traces) == 1
    for rate, epochs in ((1e-2, 3), (0.1, 7), (0.2, 250)):
        fit(fg.adam(rate), loss=counted, epochs=epochs)
    assert len(traces) == 1
    fit(fg.adam(0.1), loss=counted, batch_size=8)
    assert len(traces) == 3  # another batch size, and one more for the short last batch


def test_long_runs_cross_epochs_and_chunks():
    run = fit(fg.sgd(0.01), epochs=420)  # 2100 steps
    state, losses = by_hand(fg.sgd(0.01), 10, 420)
    np.testing.assert_allclose(run.params["w"], state.params["w"], rtol=1e-4)
    np.testing.assert_allclose(run.history["loss"], losses, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(("done", "expected"), [(0, (6, 8)), (6, (1, 2)), (7, (6, 8)), (10, (3, 8)), (20, (1, 2))])
def test_plan_ends_before_a_short_batch(done, expected):
    assert tuple(plan(done, 21, Layout(50, 8, drop_last=False), 1000, epoch_ends=False)) == expected


def test_plan_respects_the_longest_the_end_and_multiples():
    layout = Layout(50, 10, drop_last=False)
    assert tuple(plan(0, 5000, layout, 1000, epoch_ends=False)) == (1000, 10)
    assert tuple(plan(4500, 5000, layout, 1000, epoch_ends=False)) == (500, 10)
    assert tuple(plan(3, 5000, layout, 1000, epoch_ends=True)) == (2, 10)
    assert tuple(plan(3, 5000, layout, 1000, epoch_ends=False, every=7)) == (4, 10)
    assert tuple(plan(6, 5000, Layout(50, 8, drop_last=True), 1000, epoch_ends=True)) == (6, 8)


def test_nan_stops_with_a_reason_and_the_last_good_parameters():
    def breaks(params, batch):
        return loss(params, batch) + jnp.log(2.0 - batch["i"].max())  # not finite once example 2 comes

    data = {**DATA, "i": np.zeros(50, np.float32)}
    data["i"][7] = 2.0
    run = fit(fg.sgd(0.1), data, breaks, batch_size=1, epochs=2, validation=data, metrics=None)
    assert run.reason is fg.StopReason.NON_FINITE
    assert "learning rate" in run.reason.advice
    assert not np.isfinite(run.history["loss"][-1])
    assert np.isfinite(run.params["w"]).all()
    assert run.steps == 0
    jax.tree.map(np.testing.assert_array_equal, run.params, START)


def test_a_guard_in_the_chain_goes_on_after_a_bad_batch():
    def breaks(params, batch):
        return loss(params, batch) + jnp.where(batch["bad"].any(), jnp.nan, 0.0)

    data = {**DATA, "bad": np.arange(50) == 7}
    tx = fg.chain(fg.clip_by_global_norm(10.0), fg.skip_nonfinite(fg.sgd(0.1, momentum=0.5)))
    run = fit(tx, data, breaks, epochs=6)
    assert run.reason is fg.StopReason.MAX_STEPS
    assert np.isnan(run.history["loss"]).sum() == 6  # the example comes once in each epoch
    assert int(fg.tree.get(run.state.opt_state, "skipped")) == 6
    assert loss(run.params, DATA) < 1e-2
    assert np.isfinite(run.value)
    assert fit(fg.sgd(0.1, momentum=0.5), data, breaks, epochs=6).reason is fg.StopReason.NON_FINITE


def test_divergence_returns_the_latest_state_with_a_finite_loss():
    run = fit(fg.sgd(30.0), epochs=50, validation=DATA)
    assert run.reason is fg.StopReason.NON_FINITE
    assert np.isfinite(loss(run.params, DATA))
    assert run.steps % 5 == 0
    assert run.steps == int(run.state.step)


def test_the_callers_arrays_stay_valid():
    params = {"w": jnp.zeros(3)}
    data = jax.tree.map(jnp.asarray, DATA)
    fit(fg.adam(0.1), data, params=params)
    np.testing.assert_array_equal(params["w"], np.zeros(3))
    np.testing.assert_array_equal(data["x"], X)


def test_a_transform_of_another_kind_trains():
    pair = (lambda params: (), lambda grads, state, params=None: (jax.tree.map(lambda g: -0.1 * g, grads), state))
    np.testing.assert_allclose(fit(pair).params["w"], fit(fg.sgd(0.1)).params["w"], rtol=1e-6)


def test_progress_bar_shows_steps_and_loss(capsys):
    fit(fg.sgd(0.1), progress=True, validation=DATA)
    shown = capsys.readouterr().err
    assert "15/15" in shown
    assert "validation loss" in shown
    fit(fg.sgd(0.1))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": {"x": X, "y": DATA["y"][:49]}}, ("data['x']", "50", "data['y']", "49")),
        ({"data": {"x": X[:0], "y": X[:0]}}, ("empty",)),
        ({"data": {"x": X, "y": np.float32(1)}}, ("data['y']", "scalar")),
        ({"data": {}}, ("at least one array",)),
        ({"batch_size": 51}, ("batch_size", "50", "51")),
        ({"batch_size": 0}, ("batch_size", "0")),
        ({"batch_size": 2.0}, ("batch_size", "2.0")),
        ({"batch_size": True}, ("batch_size", "True")),
        ({"epochs": 0}, ("epochs", "0")),
        ({"epochs": 1.5}, ("epochs", "1.5")),
        ({"metrics": lambda p, b: {}}, ("metrics", "validation")),
        ({"validation": {"x": X, "y": X[:3]}}, ("validation['x']", "50", "3")),
    ],
)
def test_bad_input(options, words):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the words are tested below
        fit(fg.sgd(0.1), **options)
    assert all(word in str(raised.value) for word in ("fit", *words))


@pytest.mark.parametrize(
    ("tx", "options", "message"),
    [
        (fg.adam, {}, "fit: expected a transform, got its class `adam`"),
        ("adam", {}, "fit: expected a transform"),
        (fg.sgd(0.1), {"params": {"w": np.ones(3, int)}}, "fit: `params` has no floating array.*Integers do not train"),
        (fg.sgd(0.1), {"params": {"w": 0.5}}, r"fit: `params\['w'\]` is a Python float"),
    ],
)
def test_what_cannot_train_is_refused(tx, options, message):
    with pytest.raises(TypeError, match=message):
        fit(tx, **options)


def test_double_precision_input_becomes_single_without_a_word():
    doubles = jax.tree.map(lambda x: x.astype(np.float64), DATA)
    run = fit(fg.sgd(0.1), doubles, params={"w": np.zeros(3)})  # warnings are errors here
    np.testing.assert_allclose(run.params["w"], fit(fg.sgd(0.1)).params["w"], rtol=1e-6)


def test_keys_of_both_styles_and_nothing_else():
    new, old = (fit(fg.sgd(0.1), key=key).params["w"] for key in (jax.random.key(3), jax.random.PRNGKey(3)))
    np.testing.assert_array_equal(new, old)
    with pytest.raises(TypeError, match="fit: `key` must be one random key"):
        fit(fg.sgd(0.1), key=3)


def test_metrics_must_be_named():
    with pytest.raises(TypeError, match="dict of scalars"):
        fit(fg.sgd(0.1), validation=DATA, metrics=lambda p, b: 3.0)


def test_evaluate_weighs_the_short_batch():
    def mean(params, batch):
        return {"mean": (params["w"][0] * batch["y"]).mean()}

    params = {"w": jnp.array([2.0, 0.0, 0.0])}
    for size in (None, 1, 7, 50):
        found = fg.evaluate(mean, params, DATA, batch_size=size)["mean"]
        np.testing.assert_allclose(found, 2 * DATA["y"].mean(), rtol=1e-5)


def test_a_train_state_goes_on_from_its_step():
    """3 + 4 epochs are 7 epochs, bitwise; a model state comes along."""
    whole, half = fit(fg.adam(0.1), epochs=7), fit(fg.adam(0.1), epochs=3)
    rest = fit(fg.adam(0.1), epochs=7, params=half.state)
    jax.tree.map(np.testing.assert_array_equal, rest.params, whole.params)
    np.testing.assert_array_equal(np.concatenate([half.history["loss"], rest.history["loss"]]), whole.history["loss"])
    assert rest.steps == 35

    def counts(params, batch, model_state):
        return loss(params, batch), fg.Aux(model_state=model_state + 1)

    state = fg.TrainState.create(START, fg.sgd(0.1), model_state=np.int32(5))
    assert int(fit(fg.sgd(0.1), loss=counts, params=state, epochs=2).state.model_state) == 15


def test_hooks_hear_of_everything():
    """Of the row that was not finite, too; and all of them, even if one raises."""

    def breaks(params, batch):
        return loss(params, batch) + jnp.where(batch["i"].max() == 23, jnp.nan, 0.0)

    reports, closed = [], []

    class Watch:
        def start(self, step):
            reports.append(step)

        def __call__(self, report):
            reports.append(report)

        def close(self):
            closed.append(True)

    data = {**DATA, "i": np.arange(50)}
    run = fit(fg.sgd(0.01), data, breaks, batch_size=None, on_chunk=[Watch()])
    assert run.reason is fg.StopReason.MAX_STEPS
    assert (reports[0], reports[1].step, reports[1].epoch) == (0, 3, 3.0)
    assert reports[1].examples_per_second > 0
    np.testing.assert_array_equal(reports[1].history["loss"], run.history["loss"])
    run = fit(fg.sgd(0.01), data, breaks, batch_size=1, on_chunk=[Watch()])
    assert run.reason is fg.StopReason.NON_FINITE
    assert np.isnan(reports[-1].history["loss"][-1])

    def fails(report):
        raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"):
        fit(fg.sgd(0.01), on_chunk=[fails, Watch()])
    assert reports[-1].step == 15
    assert len(closed) == 3


def test_history_at_a_cadence_with_norms_and_hyperparameters():
    """Against the recursion by hand, in float64."""
    tx = fg.chain(fg.clip_by_global_norm(1.0), fg.sgd(fg.linear_schedule(0.1, 0.0, 30), momentum=0.5))
    history = fg.History(every=4, norms=True, hyperparameters=True)
    run = fit(tx, epochs=6, history=history)
    assert run.history["step"].tolist() == list(range(0, 30, 4))
    order_key, _ = jax.random.split(KEY)
    w, m, rows = np.zeros(3), np.zeros(3), []
    for t in range(30):
        batch = np.asarray(order(order_key, t // 5, 50))[t % 5 * 10 : t % 5 * 10 + 10]
        x, y = X[batch].astype(float), DATA["y"][batch].astype(float)
        g, rate = 2 * x.T @ (x @ w - y) / 10, 0.1 * (1 - t / 30)
        clipped = g * min(1.0, 1.0 / np.linalg.norm(g))
        m = 0.5 * m + clipped
        u = rate * m
        norms = np.linalg.norm(g), np.linalg.norm(u), np.linalg.norm(u) / np.linalg.norm(w) if t else 0.0
        rows.append((np.mean((x @ w - y) ** 2), *norms, rate))
        w = w - u
    names = ["loss", "gradient_norm", "update_norm", "update_ratio", "sgd.learning_rate"]
    for name, column in zip(names, np.array(rows)[::4].T, strict=True):
        np.testing.assert_allclose(run.history[name], column, rtol=2e-4, atol=1e-6, err_msg=name)
    every = fit(tx, epochs=6, history=fg.History(norms=True))
    np.testing.assert_array_equal(every.history["gradient_norm"][::4], run.history["gradient_norm"])
    assert every.history["loss"].shape == (30,)


def test_a_rule_on_norms_needs_no_history():
    run = fit(fg.sgd(0.1), batch_size=None, epochs=200, stop=fg.stop.gradient_norm(1e-3), checkpoint=None)
    assert run.reason is fg.StopReason.GRADIENT_NORM
    x, y = X.astype(float), DATA["y"].astype(float)
    before = fit(fg.sgd(0.1), batch_size=None, epochs=int(run.steps) - 1).params["w"]
    assert np.linalg.norm(2 * x.T @ (x @ np.asarray(before, float) - y) / 50) <= 1e-3
    assert set(run.history) == {"step", "loss", "chunks"}


def test_fit_has_few_arguments():
    import inspect

    assert len(inspect.signature(fg.fit).parameters) <= 14


def test_the_best_parameters_come_with_their_model_state():
    """The model state counts the steps; the best are those of the first epoch, as the rate then blows up."""

    def counts(params, batch, model_state):
        return loss(params, batch), fg.Aux(model_state=model_state + 1)

    tx = fg.sgd(fg.piecewise_constant_schedule(0.05, {5: 20.0}))
    state = fg.TrainState.create(START, tx, model_state=np.int32(0))
    run = fit(tx, loss=counts, params=state, epochs=3, validation=DATA)
    assert run.history["validation"]["loss"].argmin() == 0
    assert (int(run.aux), int(run.state.model_state)) == (5, 15)
    assert fit(fg.sgd(0.1)).aux is None


def test_validation_weighs_batches_as_the_loss_does(monkeypatch):
    """Ten examples at a time, of weights that differ: the loss of all at once; a part of weight 0 may be NaN."""
    monkeypatch.setattr(validation, "EVALUATION_BATCH", 10)
    weights = np.linspace(0.0, 3.0, 50).astype(np.float32)
    weights[20:30] = 0.0
    data = {**DATA, "weight": weights, "x": X.copy()}
    data["x"][20:30] = np.nan
    weighted = fg.mean_loss(lambda params, example: (example["x"] @ params["w"] - example["y"]) ** 2, weights="weight")
    run = fit(fg.sgd(0.0), data, fg.l2_penalty(weighted, 0.1), batch_size=None, epochs=1, validation=data)
    squares = DATA["y"].astype(float) ** 2
    expected = np.sum(weights * np.where(weights > 0, squares, 0)) / weights.sum()
    np.testing.assert_allclose(run.history["validation"]["loss"], [expected], rtol=1e-6)
    assert set(run.history["validation"]) == {"step", "loss"}


def test_the_short_last_batch_is_not_judged_alone():
    """One example that is easy must not make its epoch the best."""
    easy = {"x": np.concatenate([X, np.zeros((1, 3), np.float32)]), "y": np.append(DATA["y"], np.float32(0))}

    batches = [{name: x[i : i + 10] for name, x in easy.items()} for i in range(0, 51, 10)]
    for source in (easy, fg.Batches(batches)):
        size = 10 if source is easy else None
        run = fit(fg.sgd(0.01), source, batch_size=size, epochs=2, stop=fg.stop.target_value(1e-9))
        assert run.history["chunks"]["step"].tolist() == [5, 6, 11, 12]
        losses = run.history["loss"]
        np.testing.assert_allclose(run.value, losses[6:].mean(), rtol=1e-6)
        assert run.reason is fg.StopReason.MAX_STEPS


@pytest.mark.parametrize("options", [{}, {"epochs": 1, "loss": lambda w, batch: jnp.nan * jnp.sum(w["w"])}])
def test_arrays_are_neither_the_callers_nor_there_twice(options):
    """Whatever the run gives may be donated: the caller's arrays and the other results stay valid."""
    params = {"w": jnp.full(3, 0.5)}
    before = jax.tree.map(np.array, (params, DATA))
    run = fit(fg.adam(0.1), params=params, **options)
    given, last, best = (jax.tree.leaves(x)[0].unsafe_buffer_pointer() for x in (params, run.params, run.best))
    assert len({given, last, best}) == 3
    donate = jax.jit(lambda state: jax.tree.map(jnp.zeros_like, state), donate_argnums=0)
    donate(run.state.replace(key=jax.random.key_data(run.state.key)))
    jax.tree.map(np.testing.assert_array_equal, (params, DATA), before)
    assert np.isfinite(run.best["w"]).all()
