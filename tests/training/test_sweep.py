"""sweep: each member is its run of fit, whatever becomes of the others; one program, bounded memory, the table."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.training.progress import Display

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
HELD_OUT = jax.tree.map(lambda x: x[:20], DATA)
KEYS = jax.random.split(jax.random.key(7), 2)


def init(key):
    return {"w": jax.random.normal(key, (3,))}


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def noisy(params, batch, key, training):
    """A loss with randomness of its own in training."""
    noise = 0.1 * jax.random.normal(key, (3,)) if training else jnp.zeros(3)
    return loss({"w": params["w"] + noise}, batch)


def metrics(params, batch):
    return {"mae": jnp.abs(batch["x"] @ params["w"] - batch["y"]).mean()}


OPTIONS = {"batch_size": 8, "epochs": 3, "progress": False}
VALIDATED = OPTIONS | {"validation": HELD_OUT, "metrics": metrics}


def sweep(tx, loss=loss, init=init, keys=KEYS, data=DATA, **options):
    return fg.sweep(loss, init, tx, data, keys=keys, **OPTIONS | options)


def fit(tx, key, loss=loss, **options):
    """What the documentation says that a member is."""
    a, b = jax.random.split(key)
    return fg.fit(loss, init(a), tx, DATA, key=b, **OPTIONS | options)


def close(a, b, rtol=2e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6), a, b)


@pytest.fixture(scope="module")
def long():
    """Six members: some meet a rule, some diverge, some go on to the end. 60 epochs, with a short last batch."""
    with jax.numpy_dtype_promotion("strict"):
        options = VALIDATED | {"epochs": 60, "stop": fg.stop.patience(4)}
        txs = fg.grid(fg.sgd, learning_rate=[0.002, 0.1, 6.0], momentum=0.5)
        found = sweep(txs, noisy, members_at_once=4, **options)
        runs = [fit(tx, key, noisy, **options) for tx in fg.unstack(txs) for key in KEYS]
    return found, runs


def test_each_member_is_its_fit(long):
    found, runs = long
    table = found.table
    assert set(table["reason"]) == {"MAX_STEPS", "NON_FINITE", "PATIENCE"}
    assert table["reason"].tolist() == [run.reason.name for run in runs]
    assert table["steps"].tolist() == [run.steps for run in runs]
    for i, run in enumerate(runs):
        if run.reason is fg.StopReason.NON_FINITE:
            assert np.isinf(table["value"][i])
            assert np.isnan(table["loss"][i])
            continue
        close(jax.tree.map(lambda x, i=i: x[i], found.params), run.params)
        np.testing.assert_allclose(table["value"][i], run.value, rtol=1e-4)
        epochs = len(run.history["validation"]["loss"])
        assert np.isnan(found.history["loss"][i, epochs:]).all()
        per_epoch = run.history["loss"].reshape(epochs, 7).mean(axis=1)
        np.testing.assert_allclose(found.history["loss"][i, :epochs], per_epoch, rtol=1e-4)
        for name in ("loss", "mae"):
            ours, theirs = found.history[f"validation {name}"][i], run.history["validation"][name]
            np.testing.assert_allclose(ours[:epochs], theirs, rtol=2e-4)
            np.testing.assert_allclose(table[f"validation {name}"][i], theirs[-1], rtol=2e-4)
        np.testing.assert_allclose(table["loss"][i], per_epoch[-1], rtol=1e-4)


def test_a_member_that_diverges_has_the_parameters_that_fit_returns(long):
    found, runs = long
    failed = [i for i, run in enumerate(runs) if run.reason is fg.StopReason.NON_FINITE]
    assert failed
    for i in failed:
        assert np.isfinite(found.params["w"][i]).all()
        close(found.params["w"][i], runs[i].params["w"], rtol=1e-3)  # numbers near 1e19, after as many steps


def test_the_best_of_all(long):
    found, runs = long
    values = [run.value if run.reason is not fg.StopReason.NON_FINITE else np.inf for run in runs]
    assert found.index == np.argmin(values)
    assert found.value == found.table["value"].min()
    close(found.best, runs[found.index].best)
    assert repr(found.tx) == f"sgd(learning_rate={[0.002, 0.1, 6.0][found.index // 2]}, momentum=0.5)"
    assert eval(repr(found.tx), vars(fg)) == found.tx


def test_without_validation_and_with_one_order_for_all():
    txs = fg.grid(fg.sgd, learning_rate=[0.01, 0.1])
    for keys, batch_size in ((KEYS[:1], 8), (KEYS, None)):
        found = sweep(txs, keys=keys, batch_size=batch_size)
        runs = [fit(tx, key, batch_size=batch_size) for tx in fg.unstack(txs) for key in keys]
        close(found.params["w"], np.stack([run.params["w"] for run in runs]))
        means = np.stack([run.history["loss"].reshape(3, -1).mean(axis=1) for run in runs])
        np.testing.assert_allclose(found.history["loss"], means, rtol=1e-5)
        np.testing.assert_allclose(found.table["value"], means.min(axis=1), rtol=1e-5)


def test_who_has_ended_stays_bitwise():
    """A target that two members meet at different epochs, and one that diverges: longer runs leave them alone."""
    txs = fg.grid(fg.sgd, learning_rate=[0.001, 0.05, 0.1, 6.0])
    rule = fg.stop.target_value(0.02)
    short, long = (sweep(txs, init=init, keys=KEYS[:1], stop=rule, epochs=n) for n in (12, 25))
    reasons = ["MAX_STEPS", "TARGET_VALUE", "TARGET_VALUE", "NON_FINITE"]
    assert short.table["reason"].tolist() == long.table["reason"].tolist() == reasons
    np.testing.assert_array_equal(short.params["w"][1:], long.params["w"][1:])
    np.testing.assert_array_equal(short.table["steps"][1:], long.table["steps"][1:])
    assert (short.params["w"][0] != long.params["w"][0]).all()
    assert len(set(short.table["steps"].tolist())) == 4
    assert np.isnan(long.history["loss"][1:, 12:]).all()


def test_a_slice_ends_with_its_last_member(monkeypatch):
    steps = []
    monkeypatch.setattr(Display, "update", lambda self, n, shown, speed: steps.append(n))
    found = sweep(fg.grid(fg.sgd, learning_rate=[0.1, 0.2]), stop=fg.stop.target_value(1e9), epochs=50)
    assert found.table["steps"].tolist() == [7] * 4
    assert steps == [6, 1, 343]  # an epoch with its short last batch; the rest is left out


def test_sixteen_members_are_one_compilation():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return loss(params, batch)

    rates = np.geomspace(1e-3, 0.1, 8)
    options = {"batch_size": 10, "members_at_once": 6}
    sweep(fg.grid(fg.adam, learning_rate=rates), counted, **options)
    assert len(traces) == 1
    sweep(fg.grid(fg.adam, learning_rate=2 * rates, b1=0.8), counted, **options)
    sweep(fg.grid(fg.adam, learning_rate=rates), counted, epochs=5, **options)
    assert len(traces) == 1
    sweep(fg.grid(fg.adam, learning_rate=rates), counted, validation=HELD_OUT, **options)
    assert len(traces) == 2
    sweep(fg.grid(fg.adam, learning_rate=rates), counted, **options | {"batch_size": 8})
    assert len(traces) == 4  # another batch size, and its short last batch


def test_no_more_members_than_asked_for_are_in_memory(monkeypatch):
    alive = []

    def watched(self, *_):
        alive.append([x.shape[0] for x in jax.live_arrays() if x.shape[1:] == (3, 41)])

    monkeypatch.setattr(Display, "update", watched)
    start = {"w": jnp.zeros((3, 41))}
    found = sweep(
        fg.grid(fg.adam, learning_rate=np.geomspace(1e-3, 0.1, 5)),
        lambda params, batch: jnp.mean((batch["x"] @ params["w"] - batch["y"][:, None]) ** 2),
        start,
        members_at_once=4,
        batch_size=25,
    )
    assert found.params["w"].shape == (10, 3, 41)
    assert len(alive) == 3 * 3  # slices of 4, 4 and 2 with two to fill it up, times epochs
    assert {n for shapes in alive for n in shapes} == {4}
    # Parameters and two moments, after and before the chunk and in the good state, and the best parameters twice.
    assert all(len(shapes) <= 3 * 4 + 2 for shapes in alive)
    assert isinstance(found.params["w"], np.ndarray)


def test_rules_see_norms_and_limits_as_in_fit():
    """The full batch, so that an epoch is a step; and a limit in the middle of an epoch."""
    txs = fg.grid(fg.sgd, learning_rate=[0.1, 0.3])
    rule = fg.stop.gradient_norm(0.05) | fg.stop.step_size(0.01)
    options = {"batch_size": None, "epochs": 90, "stop": rule, "validation": HELD_OUT}
    found = sweep(txs, keys=KEYS[:1], **options)
    runs = [fit(tx, KEYS[0], **options) for tx in fg.unstack(txs)]
    assert found.table["steps"].tolist() == [run.steps for run in runs]
    assert found.table["reason"].tolist() == [run.reason.name for run in runs] == ["STEP_SIZE", "GRADIENT_NORM"]
    limited = sweep(txs, keys=KEYS[:1], stop=fg.stop.max_steps(10), epochs=None)
    run = fit(fg.sgd(0.3), KEYS[0], stop=fg.stop.max_steps(10), epochs=None)
    close(limited.params["w"][1], run.params["w"])
    assert limited.table["steps"].tolist() == [10, 10]
    assert limited.history["loss"].shape == (2, 2)


def test_guarded_members_go_on():
    spoilt = DATA | {"y": np.where(np.arange(50) == 3, np.nan, DATA["y"]).astype(np.float32)}
    rates = [0.01, 0.1]
    guarded = fg.stack([fg.skip_nonfinite(fg.sgd(rate)) for rate in rates])
    found = sweep(guarded, data=spoilt, batch_size=10)
    assert set(found.table["reason"]) == {"MAX_STEPS"}
    assert found.table["inner.learning_rate"].tolist() == [0.01, 0.01, 0.1, 0.1]
    assert np.isfinite(found.table["loss"]).all()
    a, b = jax.random.split(KEYS[1])
    run = fg.fit(loss, init(a), fg.skip_nonfinite(fg.sgd(0.1)), spoilt, key=b, **OPTIONS | {"batch_size": 10})
    close(found.params["w"][3], run.params["w"])


class Counting:
    """A loss with a model state, which counts the steps of training."""

    def __call__(self, params, batch, model_state, training):
        return loss(params, batch), fg.Aux(model_state=model_state + 1 if training else None)

    def init_model_state(self):
        return jnp.int32(0)


@fg.value
class averaging(fg.Transform):
    """Gradient descent that evaluates with half of the parameters."""

    learning_rate: float = fg.number("[0, inf)")

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, **extra):
        return jax.tree.map(lambda g: -self.learning_rate * g, grads), state

    def eval_params(self, state, params):
        return jax.tree.map(lambda x: x / 2, params)


def test_model_state_and_evaluation_parameters():
    options = {"batch_size": 25, "validation": HELD_OUT}
    found = sweep(fg.stack([averaging(0.1), averaging(0.2)]), Counting(), **options)
    run = fit(averaging(0.2), KEYS[1], Counting(), **options)
    close(found.params["w"][3], run.params["w"])
    np.testing.assert_allclose(found.table["value"][3], run.value, rtol=1e-5)
    best = found.index
    assert found.model_state == 2 * (1 + found.history["validation loss"][best].argmin())
    if found.table["value"][best] == found.history["validation loss"][best, -1]:
        close(found.best["w"], found.params["w"][best] / 2)


def test_validation_weighs_examples_as_fit_does():
    def error(params, example):
        return (example["x"] @ params["w"] - example["y"]) ** 2

    weighted = fg.mean_loss(error, weights=lambda batch: jnp.abs(batch["y"]))
    options = {"batch_size": 25, "validation": HELD_OUT}
    found, run = sweep(fg.sgd(0.1), weighted, **options), fit(fg.sgd(0.1), KEYS[1], weighted, **options)
    np.testing.assert_allclose(found.history["validation loss"][1], run.history["validation"]["loss"], rtol=1e-5)
    weights = np.abs(HELD_OUT["y"])
    squares = (HELD_OUT["x"] @ found.params["w"][1] - HELD_OUT["y"]) ** 2
    np.testing.assert_allclose(found.table["validation loss"][1], (weights * squares).sum() / weights.sum(), rtol=1e-4)


def test_one_optimizer_and_foreign_ones():
    foreign = (lambda params: (), lambda grads, state, params: (jax.tree.map(lambda g: -0.1 * g, grads), state))
    ours, theirs = sweep(fg.sgd(0.1)), sweep(foreign)
    assert list(ours.table) == ["key", "loss", "value", "steps", "reason"]
    assert ours.table["key"].tolist() == [0, 1]
    assert repr(ours.tx) == "sgd(learning_rate=0.1)"
    close(theirs.params, ours.params)


def test_parameters_that_all_share_and_that_are_no_arrays():
    """A function, an integer and a frozen array among the parameters are carried."""
    start = {"w": jnp.ones(3), "f": jnp.tanh, "n": np.int32(5), "b": fg.freeze(jnp.array([2.0]), "*")}

    def carried(params, batch):
        return loss({"w": params["w"]}, batch) + params["f"](params["b"]).sum() * params["n"].astype(jnp.float32)

    found = sweep(fg.grid(fg.sgd, learning_rate=[0.1, 0.2]), carried, start, keys=KEYS[:1], batch_size=25)
    _, b = jax.random.split(KEYS[0])
    run = fg.fit(carried, start, fg.sgd(0.2), DATA, key=b, **OPTIONS | {"batch_size": 25})
    assert found.best["f"] is jnp.tanh
    close(found.params["w"][1], run.params["w"])
    assert found.params["n"].tolist() == [5, 5]


def test_a_huge_order_is_that_of_fit():
    """From 65,536 examples on no order is formed."""
    n = 2**16
    data = {"x": np.arange(n, dtype=np.float32)}

    def first(params, batch):
        return params["w"][0] * 0 + batch["x"][0]

    options = {"batch_size": 2**14, "epochs": 2, "progress": False}
    found = fg.sweep(first, init, fg.sgd(0.1), data, keys=KEYS, **options)
    for i, key in enumerate(KEYS):
        run = fg.fit(first, init(key), fg.sgd(0.1), data, key=jax.random.split(key)[1], **options)
        np.testing.assert_allclose(found.history["loss"][i], run.history["loss"].reshape(2, 4).mean(axis=1), rtol=1e-6)


def test_if_all_fail_the_first_is_returned():
    found = sweep(fg.grid(fg.sgd, learning_rate=[1e30, 1e35]), keys=KEYS[:1])
    assert set(found.table["reason"]) == {"NON_FINITE"}
    assert found.index == 0
    assert np.isinf(found.value)
    assert repr(found.tx) == "sgd(learning_rate=1e+30)"
    assert "NON_FINITE" in repr(found)


def test_the_table_names_what_differs():
    def make(rate, norm):
        schedule = fg.warmup_cosine_decay_schedule(0.0, rate, 5, 20)
        return fg.chain(fg.clip_by_global_norm(norm), fg.adam(schedule))

    found = sweep(fg.stack([make(0.1, 1.0), make(0.2, 3.0)]), keys=KEYS[:1], batch_size=25)
    hyperparameters = {name: x.tolist() for name, x in found.table.items() if "." in name}
    assert hyperparameters["clip_by_global_norm.max_norm"] == [1.0, 3.0]
    assert [x for name, x in hyperparameters.items() if name.startswith("adam.learning_rate.")] == [[0.1, 0.2]]
    lines = repr(found).splitlines()
    assert lines[0] == "Sweep of 2 members; by value:"
    assert lines[1].split()[0] == "member"
    assert lines[2].split()[0] == str(found.index)
    assert lines[-1].startswith("The best: chain(clip_by_global_norm(max_norm=")


def test_many_members_are_printed_in_part():
    found = sweep(fg.grid(fg.sgd, learning_rate=np.linspace(0.01, 0.1, 7)), batch_size=25)
    lines = repr(found).splitlines()
    assert len(lines) == 1 + 1 + 10 + 1 + 1
    assert "… and 4 more" in lines
    values = [float(line.split()[-3]) for line in lines[2:12]]
    assert values == sorted(values)


def test_ctrl_c_returns_what_there_is(monkeypatch):
    monkeypatch.setattr(Display, "update", lambda self, *_: os.kill(os.getpid(), signal.SIGINT))
    found = sweep(fg.grid(fg.sgd, learning_rate=[0.1, 0.2]), keys=KEYS[:1], batch_size=25, members_at_once=1)
    assert found.table["reason"].tolist() == ["INTERRUPTED", "INTERRUPTED"]
    assert found.table["steps"].tolist() == [2, 0]
    assert found.index == 0
    assert np.isfinite(found.value)
    assert np.isnan(found.history["loss"]).tolist() == [[False], [True]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": KEYS[0]}, "`keys` must be stacked keys"),
        ({"keys": 3}, "`keys` must be stacked keys"),
        ({"keys": KEYS[:0]}, "`keys` must be stacked keys"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1"),
        ({"epochs": None}, "`stop` must say when to end"),
        ({"batch_size": 51}, "`batch_size` must be an integer from 1 to 50"),
        ({"members_at_once": 0}, "`members_at_once` must be an integer of at least 1"),
        ({"metrics": metrics}, "none were given"),
        ({"stop": 3}, "`stop` must be a stopping rule"),
        ({"data": iter([DATA])}, "`data` must be arrays in memory"),
        ({"data": fg.Indexed(DATA)}, "`data` must be arrays in memory"),
        ({"init": {"w": 1.0}}, "only arrays are trained"),
        ({"init": fg.TrainState.create(init(KEYS[0]), fg.sgd(0.1))}, "got a fg.TrainState"),
    ],
)
def test_mistakes_are_named(change, message):
    arguments = {"tx": fg.sgd(0.1)} | change
    with pytest.raises((TypeError, ValueError), match=f"^sweep: .*{message}"):
        sweep(**arguments)


def test_numbers_that_are_not_stacked_alike_are_named():
    uneven = jax.tree.map(lambda x: x, fg.grid(fg.sgd, learning_rate=[0.1, 0.2], momentum=0.5))
    object.__setattr__(uneven, "momentum", jnp.float32(0.5))
    with pytest.raises(ValueError, match=r"sweep: every number in `tx` must be stacked alike.*`momentum` \(\)"):
        sweep(uneven)
