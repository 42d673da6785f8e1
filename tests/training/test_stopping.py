"""Stopping rules: each alone in minimize, in fit, combined, and under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3)).astype(np.float32)
DATA = {"x": X, "y": X @ np.array([1.0, -2.0, 0.5], np.float32)}


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def fit(tx, stop, **options):
    options = {"batch_size": 10, "epochs": 20, "key": jax.random.key(0), "progress": False} | options
    return fg.fit(loss, {"w": jnp.zeros(3)}, tx, DATA, stop=stop, **options)


def halving(stop, steps=12):
    """x_k = 2⁻ᵏ, f = x², so all numbers are known."""
    return fg.minimize(lambda x: x**2, 1.0, fg.sgd(0.25), max_steps=steps, stop=stop)


@pytest.mark.parametrize(
    ("rule", "steps", "reason"),
    [
        (fg.stop.max_steps(5), 5, "MAX_STEPS"),
        (fg.stop.max_steps(0), 0, "MAX_STEPS"),
        (fg.stop.value_change(0.05), 3, "VALUE_CHANGE"),  # changes ¾, 3/16, 3/64 = 0.047
        (fg.stop.value_change(relative=3.0), 1, "VALUE_CHANGE"),  # each change is 3 times the new value
        (fg.stop.value_change(relative=2.9), 12, "MAX_STEPS"),
        (fg.stop.patience(2, minimum_change=0.1), 4, "PATIENCE"),  # 1, ¼, 1/16 improve; then two tests do not
        (fg.stop.patience(2), 12, "MAX_STEPS"),
        (fg.stop.patience(3, mode="max"), 3, "PATIENCE"),
        (fg.stop.value_change(0.05) & fg.stop.gradient_norm(0.1), 5, "VALUE_CHANGE"),  # ‖g‖ = 2·2⁻ᵏ
        (fg.stop.value_change(0.05) | fg.stop.gradient_norm(1.0), 1, "GRADIENT_NORM"),
        ((fg.stop.max_steps(2) & fg.stop.target_value(0.0)) | fg.stop.step_size(0.04), 5, "STEP_SIZE"),
    ],
    ids=repr,
)
def test_row_26_rules_alone_and_combined_in_minimize(rule, steps, reason):
    run = halving(rule)
    assert (int(run.steps), run.reason.name) == (steps, reason)
    assert float(run.params) == 2.0**-steps


def test_row_26_patience_keeps_the_best_when_the_value_rises():
    run = fg.minimize(lambda x: x**2, 1.0, fg.sgd(1.5), max_steps=99, stop=fg.stop.patience(4))
    assert (int(run.steps), run.reason.name, float(run.best)) == (4, "PATIENCE", 1.0)


def test_patience_counts_for_each_member_under_vmap():
    def run(tx):
        return fg.minimize(lambda x: jnp.abs(x), 1.0, tx, max_steps=60, stop=fg.stop.patience(3))

    rates = (0.75, 0.1, 2.0)
    together = jax.vmap(run)(fg.stack([fg.sgd(rate) for rate in rates]))
    alone = [run(fg.sgd(rate)) for rate in rates]
    assert together.steps.tolist() == [int(member.steps) for member in alone]
    assert len(set(together.steps.tolist())) > 1


def test_minimize_refuses_what_it_cannot_test():
    with pytest.raises(ValueError, match=r"minimize: `stop` needs metrics, which only fg\.fit has"):
        halving(fg.stop.patience(2, metric="validation loss") | fg.stop.gradient_norm(1e-3))


def test_row_26_early_stopping_on_the_validation_loss():
    rising = fg.join_schedules(
        [fg.constant_schedule(0.05), fg.constant_schedule(2.0)], [30]
    )  # diverges from epoch 5 on
    run = fit(fg.sgd(rising), fg.stop.patience(2), validation=DATA)
    assert run.reason is fg.StopReason.PATIENCE
    losses = run.history["validation"]["loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3
    assert run.value == losses[best]
    np.testing.assert_allclose(loss(run.best, DATA), losses[best], rtol=1e-5)


def test_patience_on_a_metric_to_be_maximised():
    def metrics(params, batch):
        return {"share": (jnp.abs(batch["x"] @ params["w"] - batch["y"]) < 0.5).mean()}

    rule = fg.stop.patience(3, metric="validation share", mode="max")
    run = fit(fg.sgd(0.1), rule, validation=DATA, metrics=metrics)
    share = run.history["validation"]["share"]
    assert run.reason is fg.StopReason.PATIENCE
    assert len(share) == int(np.argmax(share)) + 4
    with pytest.raises(ValueError, match=r"patience: `metric` must be one of .*'validation share'.*; got 'accuracy'"):
        fit(fg.sgd(0.1), fg.stop.patience(3, metric="accuracy"), validation=DATA, metrics=metrics)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (fg.stop.target_value(0.1), "TARGET_VALUE"),
        (fg.stop.gradient_norm(0.1), "GRADIENT_NORM"),
        (fg.stop.step_size(0.01), "STEP_SIZE"),
        (fg.stop.value_change(0.05), "VALUE_CHANGE"),
        (fg.stop.max_steps(18), "MAX_STEPS"),
        (fg.stop.wall_time(0.0), "WALL_TIME"),
        (fg.stop.target_value(0.1) & fg.stop.gradient_norm(0.05), "TARGET_VALUE"),
    ],
    ids=repr,
)
def test_row_26_rules_in_fit_at_the_end_of_an_epoch(rule, reason):
    run = fit(fg.sgd(0.05), rule, validation=DATA)
    assert run.reason.name == reason
    assert run.steps % 6 == 0
    assert run.steps < 120
    assert run.steps == 6 * len(run.history["validation"]["loss"])
    if rule == fg.stop.gradient_norm(0.1):
        norms = fit(fg.sgd(0.05), rule, validation=DATA, history=fg.History(norms=True)).history["gradient_norm"]
        assert norms[-1] <= 0.1
        assert np.all(norms[5:-1:6] > 0.1)


def test_norms_are_computed_only_when_asked_for():
    assert set(fit(fg.sgd(0.05), fg.stop.max_steps(6)).history) == {"step", "loss", "chunks"}
    step = fg.make_step(loss, fg.chain(fg.clip_by_global_norm(0.5), fg.sgd(0.1)), norms=True)
    state = fg.TrainState.create({"w": jnp.zeros(3)}, step.tx)
    _, found = step(state, DATA)
    np.testing.assert_allclose(
        found["gradient_norm"], np.linalg.norm(jax.grad(loss)(state.params, DATA)["w"]), rtol=1e-6
    )
    np.testing.assert_allclose(found["update_norm"], 0.05, rtol=1e-6)  # the norm before clipping, the step after it


def test_bad_rules():
    with pytest.raises(TypeError, match=r"fit: `stop` must be a stopping rule such as fg\.stop\.patience\(5\), got 3"):
        fit(fg.sgd(0.1), 3)
    with pytest.raises(ValueError, match="patience: `tests`: expected at least 1, got 0"):
        fg.stop.patience(0)
    with pytest.raises(ValueError, match="patience: `mode` must be one of 'min', 'max', got 'best'"):
        fg.stop.patience(3, mode="best")
