"""Transforms for some leaves: masks, groups, frozen parts."""

import re
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform


def params():
    return {
        "enc": [{"w": jnp.full((2, 2), 2.0), "b": jnp.ones(2)}, {"w": jnp.ones((2, 1)), "b": None}],
        "out": jnp.ones(3),
    }


def grads(seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), p.dtype), params())


def same(a, b, rtol=1e-6):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-7), a, b)


def run(tx, steps=4, start=None):
    theta = params() if start is None else start
    state = tx.init(theta)
    for i in range(steps):
        updates, state = tx.update(grads(i), state, theta)
        theta = fg.apply_updates(theta, updates)
    return theta, state


def slots(state):
    return sum(x.size for x in jax.tree.leaves(state) if x.ndim)


def is_matrix(path, leaf):
    return leaf.ndim == 2


# --- the contract ---


def first_half(params):
    leaves, structure = jax.tree.flatten(params)
    return structure.unflatten([i % 2 == 0 for i in range(len(leaves))])


def halves(params):
    return jax.tree.map(lambda on: "even" if on else "odd", first_half(params))


CASES = [
    (fg.masked(fg.clip(1.0), first_half), {}),
    (fg.masked(fg.adamw(0.1, weight_decay=0.1), first_half, "zero"), {}),
    (fg.partition({"even": fg.adam(0.1), "odd": fg.sgd(0.1, momentum=0.9)}, halves), {}),
    (fg.freeze(first_half), {}),
]


@pytest.mark.parametrize(("tx", "properties"), CASES, ids=[repr(tx)[:50] for tx, _ in CASES])
def test_contract(tx, properties):
    check_transform(tx, dtypes=("float32", "bfloat16"), code=False, alike=False, **properties)


def test_repr_is_code():
    for tx in (
        fg.masked(fg.clip(1.0), {"w": True, "b": False}),
        fg.masked(fg.adam(0.1), "*/w", "zero"),
        fg.selective_transform(fg.sgd(0.1), freeze_mask=("*/b", "out")),
        fg.partition({"a": fg.adam(0.1), "b": fg.set_to_zero()}, {"x": "a", "y": "b"}),
        fg.partition({"a": fg.adam(0.1)}, fg.path_labels({"a": "*"})),
    ):
        assert eval(repr(tx), dict(vars(fg))) == tx
        assert hash(eval(repr(tx), dict(vars(fg)))) == hash(tx)


# --- masked ---


def test_a_masked_optimizer_is_the_optimizer_of_the_part():
    """The others keep their values bitwise, have no state, and do not enter the norm."""
    mask = {"enc": [True, False], "out": False}
    theta, state = run(fg.masked(fg.chain(fg.clip_by_global_norm(0.3), fg.adam(0.1)), mask, "zero"))
    part, alone = {"enc": params()["enc"][0]}, fg.chain(fg.clip_by_global_norm(0.3), fg.adam(0.1))
    alone_state = alone.init(part)
    for i in range(4):
        updates, alone_state = alone.update({"enc": grads(i)["enc"][0]}, alone_state)
        part = fg.apply_updates(part, updates)
    same(theta["enc"][0], part["enc"])
    for name in ("out",):
        assert np.array_equal(theta[name], params()[name])
    assert np.array_equal(theta["enc"][1]["w"], params()["enc"][1]["w"])
    assert slots(state) == 2 * 6


def test_an_optimizer_must_not_pass_raw_gradients_through_unnoticed():
    for inner in (fg.sgd(0.1), fg.skip_nonfinite(fg.adam(0.1)), fg.chain(fg.clip(1.0), fg.scale(-1.0)), fg.lbfgs()):
        with pytest.raises(ValueError, match=r'^masked: `outside` must be chosen where `inner` takes the step.*"zero"'):
            fg.masked(inner, {"w": True, "b": False})
        fg.masked(inner, {"w": True, "b": False}, "keep")
    for inner in (fg.clip(1.0), fg.scale_by_adam(), fg.chain(fg.trace(0.9), fg.scale(2.0)), fg.identity()):
        assert fg.masked(inner, True).outside is None


def test_two_masks_in_a_chain_are_a_partition():
    mask = fg.path_mask(is_matrix)
    split = fg.chain(fg.masked(fg.adam(0.1), mask, "keep"), fg.masked(fg.sgd(0.5), fg.complement(mask), "keep"))
    groups = fg.partition({True: fg.adam(0.1), False: fg.sgd(0.5)}, mask)
    same(run(split)[0], run(groups)[0])


def test_what_is_outside_keeps_its_digits_and_low_precision_is_widened():
    g = {"a": jnp.array([1.5, -2.0], jnp.bfloat16), "b": jnp.ones(2, jnp.float16)}
    updates, _ = fg.masked(fg.scale(2.0), {"a": False, "b": True}).update(g, fg.MaskedState(fg.EmptyState()))
    assert updates["a"].dtype == updates["b"].dtype == jnp.float32
    assert updates["a"].tolist() == [1.5, -2.0]
    assert updates["b"].tolist() == [2.0, 2.0]


def test_a_search_inside_a_mask_moves_its_part_only():
    """`value_fn` and `grad` are those of the part, with the rest where it is."""

    def f(p):
        return jnp.sum((p["x"] - 1) ** 2 * jnp.array([1.0, 30.0])) + jnp.sum((p["y"] - p["x"]) ** 2)

    start = {"x": jnp.zeros(2), "y": jnp.full(2, 5.0)}
    tx = fg.masked(fg.lbfgs(), {"x": True, "y": False}, "zero")

    @jax.jit
    def step(p, state):
        value, grad = jax.value_and_grad(f)(p)
        updates, state = tx.update(grad, state, p, value=value, grad=grad, value_fn=f)
        return fg.apply_updates(p, updates), state

    p, state = start, tx.init(start)
    for _ in range(12):
        p, state = step(p, state)
    assert p["y"].tolist() == [5, 5]
    np.testing.assert_allclose(p["x"], [3, 35 / 31], rtol=1e-4)  # where 2(x−1)·(1, 30) = 2(5−x)


def test_extras_like_the_gradients_are_reduced_on_request():
    @fg.value
    class uses_curvature(fg.Transform):
        def init(self, params):
            return fg.EmptyState()

        def update(self, grads, state, params=None, *, curvature=None, **extra):
            return jax.tree.map(lambda g, h: g / h, grads, curvature), state

    g = {"a": jnp.float32(6), "b": jnp.float32(6)}
    tx = fg.masked(uses_curvature(), {"a": True, "b": False}, mask_compatible_extra_args=True)
    updates, _ = tx.update(g, tx.init(g), curvature={"a": jnp.float32(2), "b": jnp.float32(3)})
    assert [float(updates[name]) for name in "ab"] == [3, 6]


def test_masks_that_do_not_fit():
    g = {"a": jnp.ones(2), "b": jnp.ones(2)}
    with pytest.raises(ValueError, match=r"^masked: `mask` must be a prefix of the parameters' tree"):
        fg.masked(fg.clip(1.0), {"a": True}).init(g)
    with pytest.raises(TypeError, match=r"^masked: `mask`: expected a pytree of True and False.*path_mask"):
        fg.masked(fg.clip(1.0), {"a": 1, "b": 0})
    with pytest.raises(TypeError, match=r"^masked: `mask`: expected a pytree of True and False"):
        fg.masked(fg.clip(1.0), lambda params: jax.tree.map(lambda p: "yes", params)).init(g)
    with pytest.raises(
        ValueError, match=r"^path_mask: `where` must match a path, but 'c\*' does not; there are 'a', 'b'"
    ):
        fg.masked(fg.clip(1.0), "c*").init(g)
    with pytest.raises(TypeError, match=r"^masked: expected a transform"):
        fg.masked(cast(Any, 3), True)


def test_a_mask_may_be_a_model_that_is_callable():
    @jax.tree_util.register_pytree_node_class
    class Model:
        def __init__(self, w, b):
            self.w, self.b = w, b

        def __call__(self, x):
            raise AssertionError("a mask is no function")

        def tree_flatten(self):
            return (self.w, self.b), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    updates, _ = fg.masked(fg.set_to_zero(), Model(True, False)).update(
        Model(jnp.ones(2), jnp.ones(2)), fg.MaskedState(fg.EmptyState())
    )
    assert updates.w.tolist() == [0, 0]
    assert updates.b.tolist() == [1, 1]


# --- by path ---


def test_masks_by_path():
    def chosen(where):
        return [bool(x) for x in jax.tree.leaves(fg.path_mask(where)(params()))]  # enc/0/b, enc/0/w, enc/1/w, out

    assert chosen("enc/*") == [True, True, True, False]
    assert chosen(re.compile(r"enc/\d/w")) == [False, True, True, False]
    assert chosen(is_matrix) == [False, True, True, False]
    assert chosen(["out", "*/b"]) == [True, False, False, True]
    decayed = run(fg.adamw(0.1, weight_decay=0.5, mask=["*/w"]))[0]
    same(decayed, run(fg.adamw(0.1, weight_decay=0.5, mask=fg.path_mask(is_matrix)))[0])
    same(decayed["out"], run(fg.adam(0.1))[0]["out"])


def test_groups_by_path():
    rules = {"w": re.compile(".*/w"), "first": ["enc/0/*"], "rest": "*"}
    labels = jax.tree.leaves(fg.path_labels(rules)(params()))
    assert labels == ["first", "w", "w", "rest"]  # the first rule that matches decides
    with pytest.raises(
        ValueError, match=r"^path_labels: every leaf must match a rule; these are in no group: 'enc/0/b', 'out'\.$"
    ):
        fg.path_labels({"w": "*/w"})(params())
    with pytest.raises(ValueError, match=r"^path_labels: `where` must match a path, but 'dec/\*' does not"):
        fg.path_labels({"w": "dec/*", "rest": "*"})(params())
    with pytest.raises(TypeError, match=r"^path_labels: `rules`: expected a mapping group → where, got \[3\]"):
        fg.path_labels([3])


# --- groups ---


def test_each_group_has_its_transform():
    tx = fg.partition(
        {"w": fg.chain(fg.clip_by_global_norm(0.1), fg.sgd(0.5)), "rest": fg.adam(0.1), "still": fg.set_to_zero()},
        fg.path_labels({"w": "*/w", "still": "out", "rest": "*"}),
    )
    theta, state = run(tx, 2)
    expected = {
        k: np.asarray(v, np.float64) for k, v in (("0", params()["enc"][0]["w"]), ("1", params()["enc"][1]["w"]))
    }
    for i in range(2):
        g = {k: np.asarray(grads(i)["enc"][int(k)]["w"], np.float64) for k in expected}
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))  # of this group alone
        expected = {k: expected[k] - 0.5 * g[k] * min(1, 0.1 / norm) for k in expected}
    np.testing.assert_allclose(theta["enc"][0]["w"], expected["0"], rtol=1e-6)
    np.testing.assert_allclose(theta["enc"][1]["w"], expected["1"], rtol=1e-6)
    same(theta["enc"][0]["b"], run(fg.adam(0.1), 2)[0]["enc"][0]["b"])
    assert np.array_equal(theta["out"], params()["out"])
    assert slots(state) == 2 * 2
    assert slots(state.inner_states["rest"]) == 2 * 2


def test_one_group_for_all_is_the_transform_itself():
    same(run(fg.partition({"all": fg.adam(0.1), "none": fg.sgd(0.1)}, "all"))[0], run(fg.adam(0.1))[0], 0)
    assert fg.multi_transform({1: fg.adam(0.1)}, 1) == fg.partition({1: fg.adam(0.1)}, 1)


def test_groups_nest():
    inner = fg.partition({"w": fg.sgd(0.1), "b": fg.sgd(0.2)}, fg.path_labels({"w": "*/w", "b": "*/b"}))
    tx = fg.partition({"enc": inner, "out": fg.sgd(0.3)}, {"enc": "enc", "out": "out"})
    flat = fg.partition(
        {"w": fg.sgd(0.1), "b": fg.sgd(0.2), "out": fg.sgd(0.3)}, fg.path_labels({"w": "*/w", "b": "*/b", "out": "*"})
    )
    same(run(tx)[0], run(flat)[0], 0)


def test_every_leaf_must_have_a_label_with_a_transform():
    tx = fg.partition({"a": fg.sgd(0.1)}, {"enc": ["a", "b"], "out": None})
    with pytest.raises(
        ValueError,
        match=r"^partition: every leaf must have a label among 'a'; these are in no group: 'enc/1/w', 'out'\.$",
    ):
        tx.init(params())
    with pytest.raises(ValueError, match=r"^partition: `param_labels` must be a prefix of the parameters' tree"):
        fg.partition({"a": fg.sgd(0.1)}, {"enc": "a"}).init(params())
    with pytest.raises(TypeError, match=r"^partition: group 'a': expected a transform"):
        fg.partition({"a": 0.1}, "a")
    with pytest.raises(TypeError, match=r"^partition: `transforms` must be a mapping"):
        fg.partition(cast(Any, fg.sgd(0.1)), "a")


def test_what_is_inside_groups_shows_through():
    rate = fg.linear_schedule(0.1, 0.0, 10)
    tx = fg.partition({"a": fg.adamw(rate), "b": fg.skip_nonfinite(fg.sgd(0.5))}, {"x": "a", "y": "b"})
    theta = {"x": jnp.ones(2), "y": jnp.ones(2)}
    assert tx.needs == {"params"}
    assert not tx.guards
    state = tx.init(theta)
    for _ in range(3):
        _, state = tx.update(theta, state, theta)
    found = fg.hyperparameters(tx, state)
    assert float(found["a"]["learning_rate"]) == pytest.approx(0.08)
    assert found["b"]["inner"]["learning_rate"] == 0.5
    population = jax.vmap(lambda tx: tx.update(theta, tx.init(theta), theta)[0]["y"][0])(
        fg.stack([tx, fg.partition({"a": fg.adamw(rate), "b": fg.skip_nonfinite(fg.sgd(1.0))}, {"x": "a", "y": "b"})])
    )
    assert population.tolist() == [-0.5, -1.0]


def test_table_of_groups():
    tx = fg.partition({"w": fg.sgd(0.1), "rest": fg.sgd(0.2)}, fg.path_labels({"w": "*/w", "rest": "*"}))
    assert fg.group_table({**params(), "n": 3}, tx).splitlines() == [
        "path     group  parameters",
        "enc/0/b  rest            2",
        "enc/0/w  w               4",
        "enc/1/w  w               2",
        "out      rest            3",
        "-------",
        "all      rest            5",
        "all      w               6",
    ]


# --- frozen ---


def test_freeze_as_a_transform():
    theta = run(fg.chain(fg.adam(0.1), fg.freeze("enc/*")))[0]
    same(theta["enc"], params()["enc"], 0)
    same(theta["out"], run(fg.adam(0.1))[0]["out"], 0)
    with pytest.raises(TypeError, match=r"^masked: `mask`: expected a pytree of True and False"):
        fg.freeze(params())  # `where` forgotten


def test_selective_transform():
    theta, state = run(fg.selective_transform(fg.adam(0.1), freeze_mask={"enc": True, "out": False}))
    same(theta, run(fg.chain(fg.adam(0.1), fg.freeze("enc/*")))[0], 0)
    assert slots(state) == 2 * 3
    by_function = fg.selective_transform(fg.adam(0.1), freeze_mask=fg.path_mask(is_matrix))
    assert np.array_equal(run(by_function)[0]["enc"][1]["w"], params()["enc"][1]["w"])
    assert fg.complement(fg.path_mask("out"))(params())["out"] is False
