"""Stop reasons and the algebra of stopping rules."""

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg
from funcgd.core.stop import as_reason, both, code_when, either


@fg.value
class below(fg.StopRule):
    """Stops when the value is at most `target`."""

    target: float = fg.number()

    def test(self, progress, state):
        return code_when(progress.value <= self.target, fg.StopReason.TARGET_VALUE), state


@fg.value
class calls(fg.StopRule):
    """Stops at its n-th test; its state counts them."""

    n: float = fg.number()

    def init(self):
        return jnp.int32(0)

    def test(self, progress, state):
        return code_when(jnp.float32(state + 1) >= self.n, fg.StopReason.STEP_SIZE), state + 1


def progress(value):
    return fg.Progress(jnp.int32(0), jnp.float32(value), jnp.float32(1), jnp.float32(jnp.inf))


def codes(rule, values):
    state, found = rule.init(), []
    for value in values:
        code, state = rule.test(progress(value), state)
        found.append(int(code))
    return found


TARGET, STEP = int(fg.StopReason.TARGET_VALUE), int(fg.StopReason.STEP_SIZE)


def test_any_takes_the_first_reason():
    rule = below(1.0) | calls(3)
    assert rule == either(below(1.0), calls(3))
    assert codes(rule, [5, 5, 5]) == [0, 0, STEP]
    assert codes(rule, [5, 1, 5]) == [0, TARGET, STEP]
    assert codes(rule, [5, 5, 0]) == [0, 0, TARGET]  # both at once: the left one speaks
    assert codes(calls(3) | below(1.0), [5, 5, 0]) == [0, 0, STEP]


def test_all_waits_for_both_at_the_same_step():
    assert (below(1.0) & calls(2)) == both(below(1.0), calls(2))
    assert codes(below(1.0) & calls(2), [0, 5, 0]) == [0, 0, TARGET]
    assert codes(calls(2) & below(1.0), [0, 0]) == [0, STEP]


def test_rules_nest_and_every_state_advances():
    """calls(3) counts also while the other part has not been met."""
    rule = (below(1.0) & calls(3)) | calls(5)
    assert codes(rule, [5, 5, 0, 5, 5]) == [0, 0, TARGET, 0, STEP]


def test_rules_are_values_that_compile():
    rule = below(1.0) | (calls(3) & below(2.0))
    assert repr(rule) == "below(target=1.0) | (calls(n=3.0) & below(target=2.0))"
    assert eval(repr(rule), {"below": below, "calls": calls}) == rule
    code, state = jax.jit(lambda rule: rule.test(progress(0.0), rule.init()))(rule)
    assert (code, code.dtype) == (TARGET, jnp.int32)
    assert jax.tree.structure(state) == jax.tree.structure(rule.init())


def test_thresholds_may_be_a_population():
    rules = fg.stack([below(1.0), below(3.0)])
    assert jax.vmap(lambda rule: rule.test(progress(2.0), rule.init())[0])(rules).tolist() == [0, TARGET]


def test_a_rule_must_define_its_test():
    @fg.value
    class silent(fg.StopRule):
        pass

    with pytest.raises(NotImplementedError, match=r"silent must define `test\(self, progress, state\)`"):
        silent().test(progress(1.0), ())


def test_reasons_are_codes_with_advice():
    assert int(fg.StopReason.RUNNING) == 0
    assert len({int(r) for r in fg.StopReason}) == len(fg.StopReason)
    assert all(r.advice.endswith(".") for r in fg.StopReason)
    assert {r.name for r in fg.StopReason if r.converged} == {
        "GRADIENT_NORM",
        "TARGET_VALUE",
        "STEP_SIZE",
        "VALUE_CHANGE",
    }
    assert (code_when(jnp.array(True), fg.StopReason.NON_FINITE), code_when(jnp.array(False), fg.StopReason(5))) == (
        5,
        0,
    )


def test_as_reason():
    assert as_reason(jnp.int32(3)) is fg.StopReason.TARGET_VALUE
    assert as_reason(jnp.array([1, 2])).tolist() == [1, 2]
    assert jax.jit(as_reason)(jnp.int32(3)) == 3


def test_results_print_in_a_line():
    result = fg.Result(
        params={"w": jnp.ones((3, 4)), "name": "net"},
        best=None,
        value=jnp.float32(0.5),
        reason=fg.StopReason.MAX_STEPS,
        steps=7,
        state=None,
        history={"loss": jnp.ones(7)},
        aux=None,
    )
    expected = "Result(reason=MAX_STEPS, steps=7, value=0.5, params=<12 numbers in 1 arrays>, history=['loss'])"
    assert repr(result) == expected
    assert "params=2.0, history" not in repr(result._replace(params=2.0, history=None))
    assert "params=2.0" in repr(result._replace(params=2.0))
    assert str(fg.StopReason.NON_FINITE) == "NON_FINITE"
