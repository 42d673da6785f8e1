"""What an optimizer is using right now, read from its state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

PARAMS = {"w": jnp.ones(2)}


def halving(step):
    """0.8, 0.4, 0.2, … by the step."""
    return 0.8 * 0.5 ** step.astype(jnp.float32)


def after(tx, k):
    state = tx.init(PARAMS)
    for _ in range(k):
        _, state = tx.update(PARAMS, state, PARAMS)
    return state


def test_values_before_the_first_update_and_after_each():
    """Before: what the first update will use. After k updates: what the k-th used, the schedule at k − 1."""
    tx = fg.scale(halving)
    for k, expected in ((0, 0.8), (1, 0.8), (2, 0.4), (4, 0.1)):
        assert fg.hyperparameters(tx, after(tx, k))["step_size"] == np.float32(expected), k


def test_constant_numbers_are_returned_as_they_are():
    assert fg.hyperparameters(fg.clip(1), fg.EmptyState()) == {"max_delta": 1.0}
    tx = fg.trace(0.9, nesterov=True)  # its state has a field `count` that is None
    assert fg.hyperparameters(tx, tx.init(PARAMS)) == {"decay": 0.9}
    assert fg.hyperparameters(fg.identity(), fg.EmptyState()) == {}


def test_chains_nest_by_name_and_number_repeated_ones():
    tx = fg.chain(fg.clip(1.0), fg.trace(0.9), fg.chain(fg.scale(halving), fg.identity()), fg.clip(2.0), fg.clip(3.0))
    found = fg.hyperparameters(tx, after(tx, 2))
    assert found == {
        "clip": {"max_delta": 1.0},
        "trace": {"decay": 0.9},
        "chain": {"scale": {"step_size": np.float32(0.4)}},
        "clip_2": {"max_delta": 2.0},
        "clip_3": {"max_delta": 3.0},
    }


def test_each_part_reads_its_own_count():
    """The second scale has made two updates, the first three."""
    tx = fg.chain(fg.scale(halving), fg.scale(halving))
    state = (fg.ScaleByScheduleState(jnp.int32(3)), fg.ScaleByScheduleState(jnp.int32(2)))
    found = fg.hyperparameters(tx, state)
    assert (found["scale"]["step_size"], found["scale_2"]["step_size"]) == (np.float32(0.2), np.float32(0.4))


def test_named_chains_stand_under_their_names():
    """Names out of alphabetical order: compiled functions return dicts sorted."""
    tx = fg.named_chain(("z", fg.clip(1.0)), ("b", fg.scale(halving)), ("a", fg.trace(0.5)))
    for state in (after(tx, 2), jax.jit(lambda s: s)(after(tx, 2))):
        assert fg.hyperparameters(tx, state) == {
            "z": {"max_delta": 1.0},
            "b": {"step_size": np.float32(0.4)},
            "a": {"decay": 0.5},
        }


def test_named_optimizers_speak_of_their_own_fields():
    @fg.value
    class clipped(fg.Composed):
        learning_rate: object = fg.number("[0, inf)")
        max_norm: object = fg.number("[0, inf)", default=1.0)
        momentum: object = fg.number("[0, 1)", default=None)

        def compose(self):
            return fg.chain(
                fg.clip_by_global_norm(self.max_norm), fg.trace(0.5), fg.scale_by_learning_rate(self.learning_rate)
            )

    tx = clipped(halving)
    assert fg.hyperparameters(tx, after(tx, 3)) == {"learning_rate": np.float32(0.2), "max_norm": 1.0}
    assert fg.hyperparameters(clipped(0.1), after(clipped(0.1), 3)) == {"learning_rate": 0.1, "max_norm": 1.0}


def test_a_transform_inside_another_stands_under_its_field():
    @fg.value
    class twice(fg.Transform):
        inner: fg.Transform
        factor: float = fg.number(default=2.0)

        def init(self, params):
            return {"inner_state": self.inner.init(params)}

        def update(self, grads, state, params=None, **extra):
            grads, inner = self.inner.update(fg.tree.scale(self.factor, grads), state["inner_state"], params, **extra)
            return grads, {"inner_state": inner}

    tx = twice(fg.scale(halving))
    found = fg.hyperparameters(tx, after(tx, 2))
    assert found == {"factor": 2.0, "inner": {"step_size": np.float32(0.4)}}


def test_transforms_inside_in_fields_of_other_names():
    inner = fg.chain(fg.clip(1.0), fg.scale(halving))
    found = {"clip": {"max_delta": 1.0}, "scale": {"step_size": np.float32(0.4)}}
    tx = fg.lookahead(inner, 5, 0.5)
    assert fg.hyperparameters(tx, after(tx, 2)) == {"sync_period": 5, "slow_step_size": 0.5, "fast_optimizer": found}
    tx = fg.MultiSteps(inner, 1)
    assert fg.hyperparameters(tx, after(tx, 2))["opt"] == found


def test_foreign_transforms_contribute_nothing():
    foreign = (lambda params: (), lambda grads, state, params=None: (grads, state))
    tx = fg.chain(foreign, fg.clip(1.0))
    assert fg.hyperparameters(tx, tx.init(PARAMS)) == {"clip": {"max_delta": 1.0}}
    assert fg.hyperparameters(foreign, ()) == {}


def test_under_jit_and_vmap():
    tx = fg.chain(fg.scale(halving), fg.trace(0.9))
    assert jax.jit(fg.hyperparameters)(tx, after(tx, 2))["scale"]["step_size"] == np.float32(0.4)
    population = fg.stack([fg.clip(1.0), fg.clip(2.0)])
    found = jax.vmap(lambda tx: fg.hyperparameters(tx, tx.init(PARAMS)))(population)
    assert found["max_delta"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("count", [2**24 + 1, 2**31 - 1])
def test_large_counts(count):
    seen = fg.hyperparameters(fg.scale(lambda step: step - 2**24), fg.ScaleByScheduleState(jnp.int32(count)))
    assert seen["step_size"] == np.float32(count - 1 - 2**24)


def test_tuples_of_numbers():
    tx = fg.prodigy(betas=(0.5, halving))
    assert fg.hyperparameters(tx, after(tx, 2))["betas"] == (0.5, np.float32(0.4))
