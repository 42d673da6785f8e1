"""reduce_on_plateau: against the rule as a loop, with any sign, NaN and ∞; under jit, in fit and in sweeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}
INF, NAN = np.inf, np.nan


def by_hand(values, factor, patience, rtol, atol, cooldown, size, min_scale, sign):
    """Keras's and He's rule as a loop in float64: the scale of each update."""
    scale, best, bad, cool, window, scales = 1.0, INF, 0, 0, [], []
    for v in values:
        window.append(sign * v)
        if len(window) == size:
            mean, window = np.mean(window), []
            improved = mean < best - (rtol * abs(best) + atol if np.isfinite(best) else 0)
            best = mean if improved else best
            bad = 0 if improved or cool else bad + 1
            cool = max(cool - 1, 0)
            if bad == patience:
                scale, bad, cool = max(factor * scale, min_scale), 0, cooldown
        scales.append(scale)
    return scales


@jax.jit
def scales(tx, values):
    """The scale of each update, and the last state."""

    def step(state, v):
        update, state = tx.update(jnp.float32(1), state, value=v)
        return state, update

    state, found = jax.lax.scan(step, tx.init(jnp.float32(0)), jnp.asarray(values, jnp.float32))
    return found, state


@pytest.mark.parametrize("mode", ["min", "max"])
def test_it_is_the_rule(mode):
    """Falling values that level off, of either sign and around zero, for several settings; two compilations in all."""
    falls = np.exp(-np.arange(60) / 5) + 0.02 * RNG.standard_normal(60)
    sign = 1 if mode == "min" else -1
    for shift in (2.0, -5.0, -0.3):
        values = np.float32(sign * (falls + shift))
        for patience, rtol, atol, cooldown, size, low in [
            (3, 1e-4, 0.0, 0, 1, 0.0),
            (1, 0.0, 0.01, 2, 1, 0.3),
            (2, 0.02, 0.0, 1, 3, 0.2),
            (2, 0.0, 0.0, 5, 2, 0.0),
        ]:
            tx = fg.reduce_on_plateau(0.5, patience, rtol, atol, cooldown, size, low, mode)
            expected = by_hand(np.float64(values), 0.5, patience, rtol, atol, cooldown, size, low, sign)
            assert scales(tx, values)[0].tolist() == np.float32(expected).tolist(), tx
            assert min(expected) < 1


def test_row_14_divides_by_10_after_k_epochs_without_improvement():
    """A tolerance of 1 %, k = 3 epochs of 2 steps; then the rate is a tenth, and a tenth of that."""
    epochs = [1.0, 0.5, 0.4, 0.399, 0.398, 0.397, 0.1, 0.1, 0.1, 0.1]  # within 1 % of 0.4 is no improvement
    values = np.repeat(epochs, 2) + np.tile([0.01, -0.01], 10)  # the noise of two batches
    tx = fg.reduce_on_plateau(factor=0.1, patience=3, rtol=0.01, accumulation_size=2)
    found, state = scales(tx, values)
    np.testing.assert_allclose(found, [1.0] * 11 + [0.1] * 8 + [0.01], rtol=1e-6)
    assert float(state.best_value) == pytest.approx(0.1)
    updates, _ = tx.update({"w": jnp.full(2, -3.0)}, state, value=jnp.float32(0.1))
    np.testing.assert_allclose(updates["w"], -0.03, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "reductions"),
    [
        ([NAN] * 4, [1, 3]),  # no improvement, from the first on
        ([INF] * 4, [1, 3]),
        ([-1.0, NAN, -1.0, -2.0, -3.0], [2]),
        ([-INF, -1.0, -INF], [2]),  # nothing is less
        ([0.0, 0.0, -1e-30, 0.0, 0.0], [4]),  # at 0 the relative margin is 0
        ([INF, 5.0, 4.0, NAN, 3.0], []),
    ],
)
def test_what_is_not_finite_is_no_improvement_and_poisons_nothing(values, reductions):
    found, state = scales(fg.reduce_on_plateau(0.5, 2), np.resize(values, len(values)))
    assert np.flatnonzero(np.diff(np.concatenate([[1.0], found]))).tolist() == reductions
    assert np.isfinite(state.scale)
    assert not np.isnan(state.best_value)


def test_a_window_with_nan_is_left_behind():
    tx = fg.reduce_on_plateau(0.5, 2, accumulation_size=2)
    found, state = scales(tx, [1.0, 1.0, NAN, 0.5, 0.5, 0.5, 0.5])
    assert found.tolist() == [1.0] * 7
    assert (float(state.best_value), int(state.count), float(state.avg_value)) == (0.5, 1, 0.5)


def test_contract():
    tx = fg.chain(fg.sgd(0.1), fg.reduce_on_plateau(0.5, 2, cooldown=1, min_scale=0.3))
    check_transform(tx, extra={"value": jnp.float32(1)}, dtypes=("float32",))


def test_derivative_and_population_of_factors():
    values = jnp.array([1.0, 1.0, 1.0])

    def last(tx):
        return scales(tx, values)[0][-1]

    population = fg.stack([fg.reduce_on_plateau(f, p) for f, p in ((0.1, 1), (0.5, 2), (0.5, 9))])
    np.testing.assert_allclose(jax.vmap(last)(population), [0.01, 0.5, 1.0], rtol=1e-6)
    assert float(jax.grad(last)(fg.reduce_on_plateau(0.1, 1)).factor) == pytest.approx(0.2)


def test_the_factor_is_shown_beside_the_rate():
    tx = fg.chain(fg.sgd(0.4), fg.reduce_on_plateau(0.5, 1))
    state = tx.init(0.0)
    for value, scale in ((3.0, 1.0), (3.0, 0.5), (3.0, 0.25)):
        update, state = tx.update(1.0, state, value=value)
        found = fg.hyperparameters(tx, state)
        assert float(found["reduce_on_plateau"]["scale"]) == scale
        np.testing.assert_allclose(update, -found["sgd"]["learning_rate"] * scale, rtol=1e-6)


# --- metrics of an epoch's end ---


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def bounces(params, batch, training):
    """Trains as `loss`, yet is evaluated as a constant: a plateau from the second epoch on."""
    return loss(params, batch) if training else 0 * loss(params, batch) + 3.0


def fit(tx, loss=loss, **options):
    options = {"batch_size": 10, "epochs": 7, "key": jax.random.key(0), "progress": False} | options
    return fg.fit(loss, {"w": jnp.zeros(3)}, tx, DATA, **options)


def on_validation(rate=0.05, **options):
    return fg.chain(fg.sgd(rate), fg.reduce_on_plateau(metric="validation loss", **options))


def test_row_14_in_fit_at_the_ends_of_epochs():
    """Epochs 2 to 4 do not improve on the first, nor do 5 to 7: rates of 4, 3 epochs; one compilation."""
    traces, tenths = [], fg.join_schedules([fg.constant_schedule(0.05), fg.constant_schedule(0.005)], [8])

    def counted(params, batch, training):
        traces.append(training)
        return bounces(params, batch, training)

    run = fit(on_validation(patience=3), counted, validation=DATA)
    by_schedule = fit(fg.sgd(tenths), bounces, validation=DATA)
    np.testing.assert_allclose(run.params["w"], by_schedule.params["w"], rtol=1e-6)
    np.testing.assert_allclose(run.history["loss"], by_schedule.history["loss"], rtol=1e-5)
    assert float(fg.tree.get(run.state.opt_state, "scale")) == pytest.approx(0.01)  # for what would follow
    assert traces.count(True) == 1


def test_host_rule_and_transform_share_the_state():
    values = [3.0, 2.0, 2.0, 2.5, 1.0]
    fed, told = fg.reduce_on_plateau(0.5, 1), fg.reduce_on_plateau(0.5, 1, metric="validation loss")
    state = told.init(0.0)
    for v in values:
        state = told.observe(state, {"loss": 9.0, "validation loss": v})
        assert told.update(1.0, state)[1] is state  # steps do not change it
    jax.tree.map(np.testing.assert_array_equal, state, scales(fed, values)[1])
    assert fed.observe(state, {}) is state


def test_it_goes_on_where_the_run_goes_on():
    tx = fg.skip_nonfinite(fg.named_chain(("step", fg.adam(0.05)), ("plateau", on_validation(patience=2))))
    whole = fit(tx, bounces, validation=DATA, epochs=4)
    half = fit(tx, bounces, validation=DATA, epochs=2)
    rest = fg.fit(
        bounces, half.state, tx, DATA, validation=DATA, epochs=4, batch_size=10, key=jax.random.key(0), progress=False
    )
    jax.tree.map(np.testing.assert_array_equal, rest.state.opt_state, whole.state.opt_state)
    np.testing.assert_array_equal(rest.params["w"], whole.params["w"])
    assert float(fg.tree.get(whole.state.opt_state, "scale")) == pytest.approx(0.1)


def test_members_of_a_sweep_have_plateaus_of_their_own():
    txs = [on_validation(0.05, patience=patience, factor=0.5) for patience in (1, 2, 9)]
    options = {"batch_size": 10, "epochs": 5, "validation": DATA, "progress": False}
    keys = jax.random.key(0)[None]
    found = fg.sweep(bounces, {"w": jnp.zeros(3)}, fg.stack(txs), DATA, keys=keys, **options)
    for i, tx in enumerate(txs):
        member = fit(tx, bounces, key=jax.random.split(keys[0])[1], epochs=5, validation=DATA)
        means = member.history["loss"].reshape(5, 2).mean(axis=1)
        np.testing.assert_allclose(found.history["loss"][i], means, rtol=1e-4)
    ends = found.history["loss"][:, -1]
    assert ends[0] > 1.1 * ends[1] > 1.1**2 * ends[2]  # who halves the rate earlier comes less far


def test_bad_input():
    for arguments, words in [
        ({"factor": 1.0}, r"`factor` must be in \(0, 1\), got 1.0"),
        ({"patience": 0}, r"`patience` must be in \[1, inf\), got 0.0"),
        ({"rtol": -1e-4}, r"`rtol` must be in \[0, inf\)"),
        ({"min_scale": 2}, r"`min_scale` must be in \[0, 1\]"),
        ({"mode": "up"}, "`mode` must be one of 'min', 'max', got 'up'"),
    ]:
        with pytest.raises(ValueError, match=f"^reduce_on_plateau: {words}"):
            fg.reduce_on_plateau(**arguments)
    tx = fg.reduce_on_plateau()
    with pytest.raises(ValueError, match=r"^reduce_on_plateau\.update: needs `value`"):
        tx.update(1.0, tx.init(1.0))
    with pytest.raises(ValueError, match=r"^reduce_on_plateau: the value must be a scalar, got shape \(2,\)"):
        tx.update(1.0, tx.init(1.0), value=jnp.ones(2))
    watching = on_validation()
    for call in (fit, lambda tx: fg.minimize(lambda x: x**2, 1.0, tx, max_steps=1)):
        with pytest.raises(ValueError, match="the optimizer watches 'validation loss'"):
            call(watching)
    with pytest.raises(ValueError, match="`metric` must be one of 'loss', 'validation loss'; got 'accuracy'"):
        fit(fg.reduce_on_plateau(metric="accuracy"), validation=DATA)
