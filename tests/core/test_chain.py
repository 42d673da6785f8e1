"""Chains, foreign transforms, transforms of functions, and named optimizers."""

import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

GRADS = {"w": jnp.array([3.0, -4.0]), "b": jnp.float32(1)}


class ForeignTransform(NamedTuple):
    """A transform as other libraries have it: a pair of functions, whose `update` takes no extras."""

    init: Any
    update: Any


def plus_one():
    return ForeignTransform(
        lambda params: jnp.int32(0),
        lambda grads, state, params=None: (jax.tree.map(lambda g: g + 1, grads), state + 1),
    )


@fg.value
class record(fg.Transform):
    """Passes gradients on, and keeps what it was called with."""

    calls: object = fg.static(default=None)

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, **extra):
        self.calls.append((params, extra))
        return grads, state


class Calls(list):
    __hash__ = object.__hash__
    __eq__ = object.__eq__


@fg.value
class recipe(fg.Composed):
    learning_rate: Any = fg.number("[0, inf)")
    momentum: Any = fg.number("[0, 1)", default=None)

    def compose(self):
        parts = [fg.scale_by_learning_rate(self.learning_rate)]
        return fg.chain(*([fg.trace(self.momentum)] if self.momentum is not None else []), *parts)


NAMES = vars(fg) | {"recipe": recipe, "plus_one": plus_one, "len": len, "max": max}


# --- chain ---


def test_parts_are_applied_in_order():
    add, double = plus_one(), fg.scale(2.0)
    for tx, expected in ((fg.chain(add, double), [8, -6]), (fg.chain(double, add), [7, -7])):
        updates, _ = tx.update(GRADS, tx.init(GRADS))
        assert updates["w"].tolist() == expected


def test_the_state_is_the_tuple_of_states():
    tx = fg.chain(fg.trace(0.5), plus_one(), fg.identity(), fg.chain(fg.scale(lambda step: 1.0)))
    state = tx.init(GRADS)
    assert type(state) is tuple
    assert type(state[0]) is fg.TraceState
    assert state[1:] == (0, fg.EmptyState(), (fg.ScaleByScheduleState(0),))
    for _ in range(2):
        _, state = tx.update(GRADS, state)
    assert state[1:] == (2, fg.EmptyState(), (fg.ScaleByScheduleState(2),))
    assert state[0].trace["w"].tolist() == [4.5, -6]


def test_an_empty_chain_changes_nothing():
    tx = fg.chain()
    assert tx.init(GRADS) == ()
    assert tx.update(GRADS, ()) == (GRADS, ())
    assert tx.update({}, tx.init({})) == ({}, ())
    assert repr(tx) == "chain()"


def test_nested_chains_are_the_same_transform():
    flat = fg.chain(fg.scale(2.0), fg.trace(0.5), fg.scale(3.0))
    nested = fg.chain(fg.chain(fg.scale(2.0), fg.trace(0.5)), fg.chain(fg.scale(3.0)))
    a, b = flat.init(GRADS), nested.init(GRADS)
    for _ in range(2):
        u, a = flat.update(GRADS, a)
        v, b = nested.update(GRADS, b)
        assert jax.tree.all(jax.tree.map(np.array_equal, u, v))


def test_chains_are_values():
    tx = fg.chain(fg.clip(1), fg.named_chain(("m", fg.trace(0.9, nesterov=True)), ("s", fg.scale(-0.1))), recipe(0.1))
    text = (
        "chain(clip(max_delta=1.0), named_chain(('m', trace(decay=0.9, nesterov=True)), ('s', scale(step_size=-0.1))), "
        "recipe(learning_rate=0.1))"
    )
    assert repr(tx) == text
    assert eval(text, dict(NAMES)) == tx
    after = jax.jit(lambda tx: tx)(tx)
    assert (after, repr(after), hash(after)) == (tx, text, hash(tx))
    assert pickle.loads(pickle.dumps(tx)) == tx
    assert [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(tx)] == [
        ".transforms[0].max_delta",
        ".transforms[1].transforms[0].decay",
        ".transforms[1].transforms[1].step_size",
        ".transforms[2].learning_rate",
    ]


def test_learning_rates_inside_of_chains_do_not_recompile():
    traces = []

    @jax.jit
    def step(tx, grads):
        traces.append(None)
        return tx.update(grads, tx.init(grads))[0]

    for rate in (0.1, 0.2):
        found = step(fg.chain(fg.clip(1.0), recipe(rate)), GRADS)
        np.testing.assert_allclose(found["w"], [-rate, rate], rtol=1e-6)
    assert len(traces) == 1


def test_params_and_extras_reach_every_part():
    calls = Calls()
    tx = fg.chain(record(calls), fg.named_chain(("a", record(calls))), fg.identity(), plus_one())
    tx.update(GRADS, tx.init(GRADS), GRADS, value=1.0, key=2)
    assert calls == [(GRADS, {"value": 1.0, "key": 2})] * 2


def test_needs_are_collected():
    assert fg.chain(fg.clip(1.0), fg.chain(fg.add_decayed_weights(0.1))).needs == {"params"}
    assert fg.chain(fg.clip(1.0), plus_one()).needs == frozenset()


def test_eval_params_pass_through_every_part():
    @fg.value
    class shifted(fg.Transform):
        by: float = fg.number()

        def init(self, params):
            return jnp.float32(self.by)

        def update(self, grads, state, params=None, **extra):
            return grads, state

        def eval_params(self, state, params):
            return 2 * params + state

    pair = (shifted(1.0), shifted(10.0))
    for tx in (fg.chain(*pair), fg.named_chain(("z", pair[0]), ("a", pair[1]))):
        assert tx.eval_params(tx.init(0.0), 3.0) == 2 * (2 * 3 + 1) + 10
    plain = fg.chain(fg.clip(1.0), recipe(0.1))
    assert plain.eval_params(plain.init(GRADS), GRADS) is GRADS


def test_named_chains():
    tx = fg.named_chain(("z", fg.scale(2.0)), ("a", plus_one()), ("m", fg.trace(0.5)))
    state = tx.init(GRADS)
    assert list(state) == ["z", "a", "m"]
    updates, state = tx.update(GRADS, state)
    assert updates["w"].tolist() == [7, -7]
    # compiled functions return dicts in the order of their keys
    updates, state = jax.jit(tx.update)(GRADS, state)
    assert list(state) == ["a", "m", "z"]
    assert state["a"] == 2
    updates, _ = tx.update(GRADS, state)
    assert updates["w"].tolist() == [7 * 1.75, -7 * 1.75]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fg.chain(3), TypeError, r"^chain: expected a transform \(with `init` and `update`\), got 3\.$"),
        (lambda: fg.chain(recipe), TypeError, r"^chain: expected a transform, got its class `recipe`"),
        (lambda: fg.chain(fg.clip), TypeError, r"^chain: expected a transform, got its class `clip`; write clip\(…\)"),
        (lambda: fg.chain([fg.clip(1.0)]), TypeError, r"^chain: expected a transform"),
        (lambda: fg.chain((len, 3)), TypeError, r"^chain: expected a transform"),
        (lambda: fg.named_chain(("a", None)), TypeError, r"^named_chain: expected a transform .*, got None"),
        (
            lambda: fg.named_chain(fg.clip(1.0)),
            TypeError,
            r"^named_chain: expected \(name, transform\) pairs, got clip",
        ),
        (lambda: fg.named_chain((1, fg.clip(1.0))), TypeError, r"^named_chain: expected \(name, transform\) pairs"),
        (
            lambda: fg.named_chain(("a", fg.clip(1.0)), ("b", fg.clip(1.0)), ("a", fg.clip(1.0))),
            ValueError,
            r"^named_chain: names must differ, got a, b, a\.$",
        ),
    ],
)
def test_what_is_no_transform_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- transforms of other libraries ---


def test_foreign_transforms_are_held_statically():
    foreign = plus_one()
    tx = fg.chain(foreign, fg.scale(2.0))
    assert jax.tree.leaves(tx) == [2.0]
    assert tx == fg.chain(foreign, fg.scale(2.0))
    assert hash(tx) == hash(fg.chain(foreign, fg.scale(2.0)))
    assert tx != fg.chain(plus_one(), fg.scale(2.0))  # other functions
    step = jax.jit(lambda tx, grads: tx.update(grads, tx.init(grads))[0])
    assert step(tx, GRADS)["w"].tolist() == [8, -6]


def test_pairs_and_objects_are_transforms_too():
    init, update = plus_one()

    class Thing:
        def init(self, params):
            return init(params)

        def update(self, grads, state, params=None):
            return update(grads, state, params)

    for foreign in (plus_one(), (init, update), Thing()):
        tx = fg.chain(foreign)
        assert tx.update(GRADS, tx.init(GRADS))[0]["w"].tolist() == [4, -3]


def test_extras_are_filtered_by_the_signature_of_foreign_functions():
    seen = {}

    def update_with(name):
        def some(grads, state, params=None, *, value):
            seen[name] = {"value": value}
            return grads, state

        def every(grads, state, params=None, **extra_args):
            seen[name] = extra_args
            return grads, state

        def none(grads, state, params=None):
            seen[name] = {}
            return grads, state

        return {"some": some, "every": every, "none": none}[name]

    def start(params):
        return ()

    tx = fg.chain(*((start, update_with(name)) for name in ("some", "every", "none")))
    tx.update(GRADS, tx.init(GRADS), GRADS, value=1.0, key=2.0)
    assert seen == {"some": {"value": 1.0}, "every": {"value": 1.0, "key": 2.0}, "none": {}}


def test_foreign_transforms_receive_params():
    tx = fg.chain((lambda params: (), lambda grads, state, params=None: (params, state)))
    assert tx.update({"w": 1.0}, tx.init({"w": 1.0}), {"w": 5.0})[0] == {"w": 5.0}


def test_own_transforms_serve_as_pairs_of_functions():
    """What another library's chain does with a transform."""
    for tx in (fg.trace(0.5), recipe(0.5, 0.9), fg.chain(fg.clip(1.0), plus_one())):
        init, update = tx
        state = init(GRADS)
        assert jax.tree.structure(update(GRADS, state, GRADS, value=1.0)[1]) == jax.tree.structure(tx.init(GRADS))
        assert (tx.init, tx.update) == (init, update)


# --- transforms made of functions ---


def test_gradient_transformation():
    def init(params):
        return jnp.int32(0)

    def update(grads, state, params=None, **extra):
        return fg.tree.scale(extra["value"], grads), state + 1

    tx = fg.GradientTransformation(init, update)
    assert jax.tree.leaves(tx) == []
    assert tx == fg.GradientTransformation(init, update)
    assert repr(tx) == "GradientTransformation(init, update)"
    updates, state = tx.update({"w": jnp.float32(2)}, tx.init({"w": 1.0}), value=3.0)
    assert (updates["w"], state) == (6.0, 1)


def test_stateless_leaf_by_leaf():
    tx = fg.stateless_with_tree_map(lambda g, p: g if p is None else g - p)
    g, p = {"w": jnp.array([3.0]), "b": None}, {"w": jnp.array([1.0]), "b": None}
    assert tx.update(g, tx.init(p), p)[0]["w"].tolist() == [2.0]
    assert tx.update(g, tx.init(p))[0]["w"].tolist() == [3.0]
    assert tx.init(p) == fg.init_empty_state(p) == fg.ClipState()


def test_stateless():
    def towards_zero(updates, params):
        return jax.tree.map(lambda u, p: u + p, updates, params)

    tx = fg.stateless(towards_zero)
    assert tx.init(GRADS) == fg.EmptyState()
    updates, state = tx.update(GRADS, fg.EmptyState(), GRADS)
    assert updates["w"].tolist() == [6, -8]
    assert state == fg.EmptyState()
    assert (tx, repr(tx)) == (fg.stateless(towards_zero), "stateless(f=towards_zero)")
    assert tx != fg.stateless(lambda updates, params: updates)


def test_identity():
    tx = fg.identity()
    assert tx.update(GRADS, tx.init(GRADS))[0] is GRADS
    assert tx == fg.identity() == eval(repr(tx), vars(fg).copy())
    assert jax.tree.leaves(tx) == []


# --- named optimizers ---


def test_composed_is_what_it_composes():
    tx, parts = recipe(0.5, 0.9), fg.chain(fg.trace(0.9), fg.scale_by_learning_rate(0.5))
    assert tx.compose() == parts
    a, b = tx.init(GRADS), parts.init(GRADS)
    for expected in ([-1.5, 2], [-1.5 * 1.9, 2 * 1.9]):
        u, a = tx.update(GRADS, a)
        v, b = parts.update(GRADS, b)
        np.testing.assert_allclose(u["w"], expected, rtol=1e-6)
        assert jax.tree.all(jax.tree.map(np.array_equal, (u, a), (v, b)))


def test_composed_speaks_of_its_own_fields():
    tx = recipe(0.1)
    assert repr(tx) == "recipe(learning_rate=0.1)"
    assert jax.tree.leaves(tx) == [0.1]
    with pytest.raises(ValueError, match=r"^recipe: `learning_rate` must be in \[0, inf\), got -1\.0"):
        recipe(-1)


def test_gradients_with_respect_to_an_optimizer_have_its_shape():
    def loss(tx):
        updates, _ = tx.update(GRADS, tx.init(GRADS))
        return updates["w"].sum()

    gradient = jax.grad(loss)(recipe(0.5, 0.9))
    assert type(gradient) is recipe
    assert gradient == recipe(1.0, 0.0)  # −Σg = 1; the first step of momentum does not know its decay


def test_an_optimizer_under_scan_keeps_its_state_fixed():
    tx = fg.chain(recipe(lambda step: 0.5, 0.9), plus_one())

    def body(carry, _):
        params, state = carry
        updates, state = tx.update(GRADS, state, params)
        return (fg.apply_updates(params, updates), state), None

    (_, state), _ = jax.lax.scan(body, (GRADS, tx.init(GRADS)), length=3)
    assert fg.tree.get_all_with_path(state, "count")[-1][1] == 3
    assert state[1] == 3
