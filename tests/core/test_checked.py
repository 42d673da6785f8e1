"""What a user gets wrong with `init` and `update` is said at once: who, where, what was expected, what came."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core import validate

PARAMS = {"w": jnp.ones((2, 3)), "b": (jnp.ones(3), None)}
OTHER = {"w": jnp.ones((2, 3)), "b": (jnp.ones(4), None)}


class DoubleState(NamedTuple):
    sum: object


@fg.value
class double(fg.Transform):
    """A transform with a state like the parameters, that counts its calls."""

    factor: float = fg.number("[0, inf)", default=2.0)
    calls: object = fg.static(default=None)

    def init(self, params):
        if self.calls is not None:
            self.calls.inits += 1
        return DoubleState(fg.tree.zeros_like(params))

    def update(self, grads, state, params=None, **extra):
        if self.calls is not None:
            self.calls.updates += 1
        return fg.tree.scale(self.factor, grads), DoubleState(fg.tree.add(state.sum, grads))


@fg.value
class wrapped(fg.Composed):
    """A named optimizer that consists of a chain in a chain."""

    factor: float = fg.number(default=2.0)
    decay: float | None = fg.number(default=None)

    def compose(self):
        decay = fg.identity() if self.decay is None else fg.add_decayed_weights(self.decay)
        return fg.chain(fg.chain(double(self.factor)), decay)


class Calls:
    def __init__(self):
        self.inits = self.updates = 0


def message(error, f, *args, **kwargs):
    with pytest.raises(error) as raised:
        f(*args, **kwargs)
    return str(raised.value)


def update_message(grads, error=ValueError, *, tx=None, state=None, params=PARAMS):
    tx = double() if tx is None else tx
    return message(error, tx.update, grads, tx.init(PARAMS) if state is None else state, params)


# --- gradients against parameters ---


@pytest.mark.parametrize(
    ("grads", "expected"),
    [
        ({"w": PARAMS["w"]}, "`grads['b']` must be present, as in params; got nothing there."),
        ({**PARAMS, "c": jnp.ones(1)}, "`grads['c']` must be absent, as in params; got a leaf or node there."),
        (
            {"w": PARAMS["w"], "b": [jnp.ones(3), None]},
            "`grads['b']` must be of type tuple, as in params; got type list.",
        ),
        (
            {"w": PARAMS["w"], "b": (jnp.ones(3), jnp.ones(3))},
            "`grads['b'][1]` must be None, as in params; got an array.",
        ),
        ({"w": None, "b": PARAMS["b"]}, "`grads['w']` must be an array, as in params; got None."),
        (OTHER, "`grads['b'][0]` must be of shape (3,), as in params; got shape (4,)."),
        (
            {"w": jnp.ones(3), "b": PARAMS["b"]},
            "`grads['w']` must be of shape (2, 3), as in params; got shape (3,).",
        ),  # would broadcast
    ],
)
def test_wrong_trees_and_shapes(grads, expected):
    assert update_message(grads) == f"double.update: {expected}"
    assert update_message(grads, tx=wrapped()) == f"wrapped.update: {expected}"
    assert update_message(grads, tx=fg.chain(double(), wrapped())) == f"chain.update: {expected}"


def test_complex_gradients_of_real_parameters():
    grads = {"w": PARAMS["w"].astype(jnp.complex64), "b": PARAMS["b"]}
    expected = "double.update: `grads['w']` must be real, as in params; got complex64."
    assert update_message(grads, TypeError) == expected
    real, tx = {"z": jnp.ones(2)}, double()
    z = {"z": jnp.ones(2, jnp.complex64)}
    assert message(TypeError, tx.update, real, tx.init(z), z) == (
        "double.update: `grads['z']` must be complex, as in params; got float32."
    )


def test_other_precision_is_not_an_error():
    grads = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    double().update(grads, double().init(grads), PARAMS)
    fg.trace(0.9).update(grads, fg.trace(0.9).init(PARAMS), PARAMS)
    fg.trace(0.9).update(PARAMS, fg.trace(0.9).init(grads), grads)


# --- leaves ---


@pytest.mark.parametrize(
    ("leaf", "got"),
    [
        (jnp.arange(3), "int32"),
        (np.arange(3, dtype=np.uint8), "uint8"),
        (jnp.array([True]), "bool"),
        (True, "bool"),
        (3, "int"),
        ("text", "str"),
        (jax.random.key(0), "key<fry>"),
        (jax.random.PRNGKey(0), "uint32"),
    ],
    ids=str,
)
def test_leaves_that_cannot_be_trained(leaf, got):
    params = {"w": jnp.ones(2), "layers": [{"n": leaf}]}
    for tx in (double(), wrapped(), fg.chain(double()), fg.identity()):
        name = "chain" if isinstance(tx, fg.Chain) else type(tx).__name__
        text = message(TypeError, tx.init, params)
        assert text.startswith(
            f"{name}.init: `params['layers'][0]['n']` must be a floating or complex array, got {got}. Put None in place"
        )
        grads_text = message(TypeError, tx.update, params, (), None)
        assert grads_text.startswith(f"{name}.update: `grads['layers'][0]['n']` must be a floating")


def test_trees_of_every_kind_pass():
    class Weights(NamedTuple):
        w: object

    @fg.value
    class layer:
        w: object

    for params in (1.0, {}, {"a": None}, {1: 1.0}, [jnp.ones(2)], Weights(jnp.ones((0, 4))), layer(2.0), (1j, ())):
        for tx in (double(), wrapped(), fg.trace(0.9), fg.clip_by_global_norm(1.0)):
            updates, state = tx.update(params, tx.init(params), params)
            assert jax.tree.structure(updates) == jax.tree.structure(params)
            assert jax.tree.structure(state) == jax.tree.structure(tx.init(params))


# --- states ---


def test_state_of_another_optimizer_or_of_other_parameters():
    source = "as init makes it for these gradients"
    assert update_message(PARAMS, state=fg.trace(0.9).init(PARAMS)) == (
        f"double.update: `state` must be of type DoubleState, {source}; got type TraceState."
    )
    assert update_message(PARAMS, state=double().init(OTHER)) == (
        f"double.update: `state.sum['b'][0]` must be of shape (3,), {source}; got shape (4,)."
    )
    assert update_message(PARAMS, tx=wrapped(), state=fg.chain(double()).init(PARAMS)) == (
        f"wrapped.update: `state[1]` must be present, {source}; got nothing there."
    )
    assert message(ValueError, fg.trace(0.9).update, PARAMS, None) == (
        f"trace.update: `state` must be of type TraceState, {source}; got None."
    )
    # A schedule needs a count that the state of the constant has not.
    scheduled = fg.trace(lambda step: 0.5)
    assert message(ValueError, scheduled.update, PARAMS, fg.trace(0.9).init(PARAMS)) == (
        f"trace.update: `state.count` must be an array, {source}; got None."
    )


def test_state_of_the_other_kind_of_numbers():
    z = {"z": jnp.ones(2, jnp.complex64)}
    tx = double()
    assert message(TypeError, tx.update, {"z": jnp.ones(2)}, tx.init(z)) == (
        "double.update: `state.sum['z']` must be real, as init makes it for these gradients; got complex64."
    )


def test_arguments_in_the_wrong_order():
    tx = fg.trace(lambda step: 0.5)
    assert message(TypeError, tx.update, tx.init(PARAMS), PARAMS).startswith("trace.update: `grads.count` must be")


# --- what an update needs ---


@fg.value
class needy(fg.Transform):
    """A transform that cannot do without the value of the loss."""

    def init(self, params):
        return fg.EmptyState()

    def update(self, grads, state, params=None, *, value=None, **extra):
        return fg.tree.scale(value, grads), state

    @property
    def needs(self):
        return frozenset({"value"})


def test_missing_params():
    tx = wrapped(decay=0.1)
    assert message(ValueError, tx.update, PARAMS, tx.init(PARAMS)).startswith(
        "wrapped.update: needs `params`; call update(grads, state, params)."
    )
    assert tx.needs == {"params"}
    assert wrapped().needs == frozenset()


def test_missing_extras():
    tx = fg.chain(needy(), fg.add_decayed_weights(0.1))
    assert tx.needs == {"params", "value"}
    text = message(ValueError, tx.update, PARAMS, tx.init(PARAMS), PARAMS)
    assert text.startswith("chain.update: needs `value`; call update(grads, state, params, value=…).")
    assert "fg.chain" in text
    assert "needs `value`" in message(ValueError, tx.update, PARAMS, tx.init(PARAMS), PARAMS, value=None)
    updates, _ = needy().update({"w": 2.0}, fg.EmptyState(), value=3.0)
    assert updates == {"w": 6.0}


def test_extras_may_have_any_name():
    @fg.value
    class takes(fg.Transform):
        def init(self, params):
            return ()

        def update(self, grads, state, params=None, **extra):
            return extra, state

    extra = {"check": 1.0, "method": 2.0, "value": 3.0, "key": 4.0}
    assert takes().update(1.0, (), **extra)[0] == extra


def test_arguments_by_keyword():
    tx = double()
    updates, _ = tx.update(grads=PARAMS, state=tx.init(params=PARAMS), params=PARAMS)
    assert updates["b"][0].tolist() == [2, 2, 2]


# --- stacks outside vmap ---


def test_a_population_outside_vmap():
    population = fg.stack([wrapped(1.0), wrapped(2.0)])
    for call in (lambda: population.init(PARAMS), lambda: population.update(PARAMS, wrapped().init(PARAMS), PARAMS)):
        assert message(ValueError, call) == (
            "wrapped: `factor` has shape (2,), so this is a stack of values (fg.stack, fg.grid). "
            "Use it under jax.vmap, or take one member with fg.unstack."
        )
    inside = fg.chain(fg.identity(), population)
    assert "wrapped: `factor` has shape (2,)" in message(ValueError, inside.init, PARAMS)


# --- how the checks run ---


def test_errors_come_before_anything_is_computed():
    calls = Calls()
    tx = double(calls=calls)
    state = tx.init(PARAMS)
    for grads, error in ((OTHER, ValueError), ({"w": jnp.arange(2)}, TypeError)):
        message(error, tx.update, grads, state, PARAMS)
    assert calls.updates == 0
    message(TypeError, tx.init, {"n": 1})
    assert calls.inits == 1  # the good one


def test_errors_come_before_anything_is_compiled():
    compiled = []

    def listen(event, duration, **kwargs):
        if "backend_compile" in event:
            compiled.append(event)

    tx, state = wrapped(), wrapped().init(PARAMS)
    step = jax.jit(tx.update)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        message(ValueError, step, OTHER, state, PARAMS)
        assert compiled == []
        step(PARAMS, state, PARAMS)
        assert compiled  # the listener hears
    finally:
        jax.monitoring.clear_event_listeners()


def test_eager_updates_trace_init_once():
    calls = Calls()
    tx = double(calls=calls)
    state = tx.init(PARAMS)
    assert calls.inits == 1
    _, state = tx.update(PARAMS, state, PARAMS)
    assert calls.inits == 2  # the expected state
    for factor in (3.0, 4.0, jnp.float32(5)):  # another number has the same state
        _, state = double(factor, calls).update(PARAMS, state, PARAMS)
    assert calls.inits == 2
    assert calls.updates == 4


def test_the_expected_state_follows_shape_and_structure():
    tx = fg.trace(0.9)
    for params in ({"w": jnp.ones(2)}, {"w": jnp.ones(3)}, {"v": jnp.ones(3)}, {"v": jnp.ones(3, jnp.bfloat16)}):
        updates, _ = tx.update(params, tx.init(params), params)
        assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_parts_are_not_checked_again(monkeypatch):
    seen = []
    check_leaves = validate.check_leaves
    monkeypatch.setattr(validate, "check_leaves", lambda who, *args: (seen.append(who), check_leaves(who, *args)))
    tx = fg.chain(wrapped(), fg.chain(double()))
    state = tx.init(PARAMS)
    assert seen == ["chain.init"]
    tx.update(PARAMS, state, PARAMS)
    assert seen == ["chain.init", "chain.update", "chain.init"]  # the last for the expected state
    tx.update(PARAMS, state, PARAMS)
    assert seen[3:] == ["chain.update"]


def test_a_transform_used_inside_of_another_is_not_checked():
    """An inner transform may work on a tree of its own, such as integer leaves that the outer one made."""

    @fg.value
    class outer(fg.Transform):
        inner: fg.Transform = fg.identity()

        def init(self, params):
            return self.inner.init({"n": jnp.arange(2)})

        def update(self, grads, state, params=None, **extra):
            self.inner.update({"n": jnp.arange(2)}, state)
            return grads, state

    updates, _ = outer().update(PARAMS, outer().init(PARAMS))
    assert updates is PARAMS


def test_checks_are_on_again_after_an_exception():
    @fg.value
    class broken(fg.Transform):
        def init(self, params):
            raise RuntimeError("init")

        def update(self, grads, state, params=None, **extra):
            raise RuntimeError("update")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="init"):
            broken().init(PARAMS)
        assert "must be a floating" in message(TypeError, double().init, {"n": 1})
    state = double().init(PARAMS)
    with pytest.raises(RuntimeError, match="init"):  # while the expected state is found
        broken().update(PARAMS, state)
    assert "as in params" in message(ValueError, double().update, OTHER, state, PARAMS)

    failing = fg.stateless(lambda updates, params: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.update(PARAMS, fg.EmptyState())
    assert "as in params" in message(ValueError, double().update, OTHER, state, PARAMS)


def test_threads_are_checked_independently():
    inside = []

    def other_thread():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(message, TypeError, double().init, {"n": 1}).result()

    tx = fg.stateless(lambda updates, params: (inside.append(other_thread()), updates)[1])
    tx.update(PARAMS, fg.EmptyState())
    assert inside[0].startswith("double.init: `params['n']`")


def test_checks_run_while_tracing():
    tx, state = wrapped(), wrapped().init(PARAMS)
    for transform in (jax.jit, lambda f: lambda *args: jax.eval_shape(f, *args), jax.checkpoint):
        assert "wrapped.update: `grads['b'][0]`" in message(ValueError, transform(tx.update), OTHER, state, PARAMS)
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), OTHER)
    assert "must be of shape (3,), as in params; got shape (4,)" in message(
        ValueError, jax.vmap(lambda g: tx.update(g, state, PARAMS)[0]), batch
    )


def test_a_transform_must_define_both_methods():
    @fg.value
    class empty(fg.Transform):
        pass

    with pytest.raises(NotImplementedError, match=r"^empty must define `init\(self, params\)`"):
        empty().init(PARAMS)
    with pytest.raises(NotImplementedError, match=r"^empty must define `update\(self, grads"):
        empty().update(PARAMS, ())

    @fg.value
    class uncomposed(fg.Composed):
        pass

    with pytest.raises(NotImplementedError, match=r"^uncomposed must define `compose\(self\)`"):
        uncomposed().init(PARAMS)
