"""Frozen parameters: no gradient, no state, bitwise what they were; the loss and the results see plain arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

KEY = jax.random.key(0)
BATCH = {"x": jnp.arange(12.0).reshape(4, 3) / 10, "y": jnp.arange(4.0)}


@jax.custom_vjp
def no_gradient(x):
    return x


def refuse(x):
    raise RuntimeError("a frozen array was differentiated")


no_gradient.defvjp(refuse, lambda _, g: (g,))


def params():
    encoder = ({"w": jnp.eye(3) * 0.3, "b": jnp.full(3, 0.1)}, {"w": jnp.eye(3) * 0.7, "b": jnp.zeros(3)})
    return {"encoder": encoder, "head": {"w": jnp.ones(3), "b": jnp.zeros(())}, "n": jnp.arange(2), "f": jnp.tanh}


def apply(p, x, guard=lambda x: x):
    for layer in p["encoder"]:
        x = p["f"](x @ guard(layer["w"]) + guard(layer["b"]))
    return x @ p["head"]["w"] + p["head"]["b"]


def loss(p, batch):
    return jnp.mean((apply(p, batch["x"]) - batch["y"]) ** 2)


def guarded(p, batch):
    assert not any(type(x).__name__ == "Frozen" for x in jax.tree.leaves(p, is_leaf=lambda x: x is not p))
    return jnp.mean((apply(p, batch["x"], no_gradient) - batch["y"]) ** 2)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def by_hand(steps=3):
    """Adam on the head alone, the encoder closed over."""
    p, tx = params(), fg.adam(0.1)

    def of_head(head, batch):
        return loss({**p, "head": head}, batch)

    state = fg.TrainState.create(p["head"], tx)
    return fg.train(of_head, tx, state, jax.tree.map(lambda x: jnp.stack([x] * steps), BATCH))[0].params


def check(found):
    """The encoder is bitwise the one given, the head that of `by_hand`, and all are plain."""
    same(found["encoder"], params()["encoder"])
    same(found["n"], params()["n"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found["head"], by_hand())
    assert jax.tree.structure(found) == jax.tree.structure(params())


def test_fit():
    frozen = fg.freeze(params(), "encoder/*")
    options = dict(batch_size=None, key=KEY, progress=False)
    run = fg.fit(guarded, frozen, fg.adam(0.1), BATCH, epochs=3, validation=BATCH, **options)
    check(run.params)
    same(run.best["encoder"], params()["encoder"])
    check(run.state.params)
    part = fg.fit(guarded, frozen, fg.adam(0.1), BATCH, epochs=2, validation=BATCH, **options)
    check(fg.fit(guarded, part.state, fg.adam(0.1), BATCH, epochs=3, validation=BATCH, **options).params)
    check(fg.eval_params(fg.adam(0.1), run.state.opt_state, run.state.params))


def test_train_and_its_states():
    tx = fg.adam(0.1)
    state = fg.TrainState.create(fg.freeze(params(), "encoder/*"), tx)
    assert len(jax.tree.leaves(tx.init(params()["head"]))) == len(jax.tree.leaves(state.opt_state))
    moments = fg.tree.get(state.opt_state, "mu")
    assert jax.tree.leaves(moments["encoder"]) == []
    steps = jax.tree.map(lambda x: jnp.stack([x] * 3), BATCH)
    end, _ = fg.train(guarded, tx, state, steps)
    check(end.params)
    moved = state.replace(params=jax.tree.map(lambda x: x, params()))  # plain arrays: what is frozen stays so
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    check(fg.train(guarded, tx, moved, steps)[0].params)
    rates = fg.grid(fg.adam, learning_rate=[0.1, 0.2])
    states = jax.vmap(lambda tx: fg.TrainState.create(fg.freeze(params(), "encoder/*"), tx))(rates)
    ends, _ = jax.vmap(lambda tx, state: fg.train(guarded, tx, state, steps))(rates, states)
    check(jax.tree.map(lambda x: x[0] if hasattr(x, "shape") else x, ends.params))


def test_minimize():
    frozen = fg.freeze(params(), ["encoder/0/*", lambda path, x: path.startswith("encoder/1")])
    run = fg.minimize(guarded, frozen, fg.adam(0.1), args=(BATCH,), max_steps=3)
    check(run.params)
    same(run.best["encoder"], params()["encoder"])
    numbers = fg.minimize(
        lambda p: (p["a"] * p["b"] - 6) ** 2, fg.freeze({"a": 2.0, "b": 0.0}, "a"), fg.sgd(0.125), max_steps=9
    )
    assert (float(numbers.params["a"]), float(numbers.params["b"])) == (2, 3)


def test_it_composes_with_losses_around_losses():
    frozen, options = fg.freeze(params(), "encoder/*"), dict(batch_size=None, epochs=3, key=KEY, progress=False)
    for around in (lambda f: fg.accumulate(f, 3), lambda f: fg.mixed_precision(f, "float32")):
        check(fg.fit(around(guarded), frozen, fg.adam(0.1), BATCH, **options).params)


def test_no_work_for_frozen_arrays():
    tx, wide = fg.sgd(0.1), {"a": jnp.ones((64, 64)), "b": jnp.ones((64, 64))}

    def product(p, x):
        return jnp.sum(((x @ p["a"]) @ p["b"]) ** 2)

    def flops(p):
        state = fg.TrainState.create(p, tx)
        return jax.jit(fg.make_step(product, tx)).lower(state, jnp.ones((64, 64))).compile().cost_analysis()["flops"]

    matrix_product = 2 * 64**3
    saved = flops(wide) - flops(fg.freeze(wide, "a"))
    assert saved > 1.9 * matrix_product  # the gradients of a and of x·a: two products of five


def test_freezing_twice_and_unfreezing():
    once = fg.freeze(params(), "encoder/0/*")
    twice = fg.freeze(fg.freeze(once, "encoder/0/w"), "encoder/1/*")
    assert jax.tree.structure(twice) == jax.tree.structure(fg.freeze(params(), "encoder/*"))
    plain = fg.unfreeze(twice)
    assert jax.tree.structure(plain) == jax.tree.structure(params())
    same(jax.tree.leaves(plain["encoder"]), jax.tree.leaves(params()["encoder"]))
    assert repr(fg.freeze({"w": 1.5}, "w")) == "{'w': Frozen(1.5)}"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: fg.freeze(params(), "decoder/*"),
            ValueError,
            r"^freeze: `where` must match a path, but 'decoder",
        ),
        (
            lambda: fg.freeze(params(), "n"),
            ValueError,
            r"there are 'encoder/0/b', .*'head/w'\.$",
        ),
        (lambda: fg.freeze(params(), 3), TypeError, "^freeze: `where` must be a glob"),
        (
            lambda: fg.TrainState.create(fg.freeze(params(), "*"), fg.sgd(0.1)),
            TypeError,
            "not frozen, so",
        ),
        (lambda: fg.minimize(loss, fg.freeze(params(), "*"), fg.sgd(0.1), max_steps=1), TypeError, "nothing to train"),
    ],
)
def test_mistakes(make, error, words):
    with pytest.raises(error, match=words):
        make()
