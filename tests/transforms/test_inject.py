"""Hyperparameters in the state."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform
from funcgd.testing.fixtures import precision

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.zeros(())}
GRADS = [jax.tree.map(lambda p, i=i: jnp.cos(p + i), PARAMS) for i in range(4)]


def run(tx, params=PARAMS, steps=4):
    state = tx.init(params)
    for grads in GRADS[:steps]:
        updates, state = tx.update(grads, state, params)
        params = fg.apply_updates(params, updates)
    return params, state


def halving(step):
    return 0.1 * 0.5 ** step.astype(jnp.float32)


def clipped_adam(learning_rate, max_norm=1.0, b1=0.9):
    return fg.chain(fg.clip_by_global_norm(max_norm), fg.adam(learning_rate, b1))


def test_contract():
    tx = fg.inject_hyperparams(fg.sgd)(fg.cosine_decay_schedule(0.1, 10), momentum=0.9)
    check_transform(tx, dtypes=("float32", "bfloat16"))


@pytest.mark.parametrize(
    ("injected", "plain"),
    [
        (fg.inject_hyperparams(fg.sgd)(0.1, momentum=0.9), fg.sgd(0.1, momentum=0.9)),
        (
            fg.inject_hyperparams(fg.adamw)(fg.linear_schedule(0.1, 0.0, 5), weight_decay=0.1, mask="w"),
            fg.adamw(fg.linear_schedule(0.1, 0.0, 5), weight_decay=0.1, mask="w"),
        ),
        (fg.inject_hyperparams(clipped_adam)(halving, b1=0.8), clipped_adam(halving, b1=0.8)),
    ],
    ids=["numbers", "a schedule and a mask", "a function"],
)
def test_steps_are_those_of_the_transform_inside(injected, plain):
    found, expected = jax.jit(functools.partial(run, injected))(), run(plain)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4), found[0], expected[0])


def test_numbers_are_read_and_set_in_the_state():
    tx = fg.inject_hyperparams(fg.sgd)(learning_rate=0.1)
    update, state = jax.jit(tx.update), tx.init(PARAMS)
    assert {name: float(x) for name, x in state.hyperparams.items()} == {"learning_rate": np.float32(0.1)}
    for rate in (0.5, jnp.float32(0.25), np.float64(2.0)):  # as scripts write them
        state.hyperparams["learning_rate"] = rate
        updates, state = update(GRADS[0], state)
        np.testing.assert_allclose(updates["w"], -rate * GRADS[0]["w"], rtol=1e-6)
        assert state.hyperparams["learning_rate"].dtype == jnp.float32
    assert int(state.count) == 3
    assert fg.hyperparameters(tx, state) == {"learning_rate": 2.0}


def test_schedules_overwrite_what_is_set_and_the_last_one_used_is_shown():
    tx = fg.inject_hyperparams(fg.sgd)(fg.linear_schedule(1.0, 0.0, 4))
    state = tx.init(PARAMS)
    for expected in (1.0, 0.75, 0.5):
        state.hyperparams["learning_rate"] = jnp.float32(7.0)
        updates, state = tx.update(GRADS[0], state)
        assert float(state.hyperparams["learning_rate"]) == expected
        np.testing.assert_allclose(updates["w"], -expected * GRADS[0]["w"], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "kept"), [("bfloat16", "float32"), ("float16", "float32"), ("float64", "float64")])
def test_numbers_do_not_take_a_low_precision(dtype, kept):
    """In bfloat16 a b2 of 0.999 would be 1."""
    with precision(dtype):
        params = {"w": jnp.ones(3, dtype)}
        tx = fg.inject_hyperparams(fg.adamw)(learning_rate=1e-3)
        updates, state = tx.update({"w": jnp.full(3, 0.5, dtype)}, tx.init(params), params)
        assert all(x.dtype == kept for x in state.hyperparams.values())
        np.testing.assert_allclose(state.hyperparams["b2"], 0.999, rtol=1e-6)
        np.testing.assert_allclose(updates["w"], -1e-3 * (1 + 1e-4), rtol=1e-5)
    stored = fg.inject_hyperparams(fg.sgd, hyperparam_dtype=jnp.bfloat16)(0.1).init(PARAMS).hyperparams
    assert stored["learning_rate"].dtype == jnp.bfloat16


def test_what_is_static():
    """Static fields of optimizers, types, booleans, None; and in functions what is named."""
    tx = fg.inject_hyperparams(fg.adamw)(0.1, mu_dtype=jnp.bfloat16, mask=lambda params: {"w": True, "b": False})
    assert tx.names == ("learning_rate", "b1", "b2", "eps", "eps_root", "weight_decay")
    assert fg.inject_hyperparams(fg.sgd)(1).names == ("learning_rate",)

    def optimizer(learning_rate, k, where, dtype=jnp.float32, nesterov=True):
        return fg.chain(fg.masked(fg.trace(0.9, nesterov, dtype), where), *[fg.scale(-learning_rate)] * k)

    made = fg.inject_hyperparams(optimizer, static_args=("k", "where"))(0.1, 1, lambda params: {"w": True, "b": False})
    assert made.names == ("learning_rate",)
    assert "static_args=('k', 'where')" in repr(made)
    run(made, steps=1)
    with pytest.raises(ValueError, match=r"^inject_hyperparams: `static_args` must be arguments of sgd, got 'rate'"):
        fg.inject_hyperparams(fg.sgd, "rate")


def test_errors_are_those_of_the_transform_inside():
    with pytest.raises(ValueError, match=r"^adam: `b1` must be in \[0, 1\), got 1\.5"):
        fg.inject_hyperparams(fg.adam)(0.1, b1=1.5)
    with pytest.raises(TypeError, match="learning_rate"):
        fg.inject_hyperparams(fg.adam)()
    tx = fg.inject_hyperparams(fg.lion)(0.1)
    with pytest.raises(ValueError, match="needs `params`"):
        tx.update(PARAMS, tx.init(PARAMS))


@dataclasses.dataclass(frozen=True)
class FollowsTheLoss:
    """A rate that halves when the loss has not fallen."""

    def init(self):
        return {"rate": jnp.float32(1.0), "loss": jnp.float32(jnp.inf)}

    def update(self, state, value=None, **extra):
        fell = value < state["loss"]
        return {"rate": jnp.where(fell, state["rate"], state["rate"] / 2), "loss": jnp.minimum(value, state["loss"])}

    def __call__(self, state, **extra):
        return state["rate"]


@pytest.mark.parametrize("inject", [fg.inject_hyperparams, fg.inject_stateful_hyperparams])
def test_stateful_schedules_see_the_extras(inject):
    tx = inject(fg.sgd)(FollowsTheLoss())
    state, rates = tx.init(PARAMS), []
    for loss in (3.0, 2.0, 2.0, 1.0, 1.5):
        _, state = tx.update(GRADS[0], state, value=jnp.float32(loss))
        rates.append(float(state.hyperparams["learning_rate"]))
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5]
    assert float(state.hyperparams_states["learning_rate"]["rate"]) == 0.25
    assert isinstance(state, fg.InjectHyperparamsState)


def test_a_wrapped_schedule_is_the_schedule():
    schedule = fg.cosine_decay_schedule(0.1, 3)
    wrapped, plain = (fg.inject_hyperparams(fg.sgd)(x) for x in (fg.WrappedSchedule(schedule), schedule))
    jax.tree.map(np.testing.assert_array_equal, run(wrapped)[0], run(plain)[0])


def test_populations_and_printing():
    made = fg.inject_hyperparams(fg.sgd)
    assert repr(made(0.1, momentum=0.9)) == (
        "inject_hyperparams(sgd)(learning_rate=0.1, momentum=0.9, nesterov=False, accumulator_dtype=None, "
        "velocity=False)"
    )
    assert made(0.1) == made(0.1) != made(0.2)
    both = jax.vmap(lambda tx: run(tx)[0])(fg.stack([made(0.1), made(0.2)]))
    for i, rate in enumerate((0.1, 0.2)):
        expected = run(fg.sgd(rate))[0]
        jax.tree.map(lambda x, y, i=i: np.testing.assert_allclose(x[i], y, rtol=1e-6), both, expected)
