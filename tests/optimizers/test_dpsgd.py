"""Differentially private descent: exact clipping, noise of the scale that was asked for, and how one trains with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.oracles import descent

RNG = np.random.default_rng(0)
STEPS, N = 20, 5
THETA = {"w": RNG.standard_normal((2, 3)), "b": RNG.standard_normal(2)}
GRADS = {
    name: RNG.standard_normal((STEPS, N, *x.shape)) * np.logspace(-2, 2, N).reshape(N, *(1,) * x.ndim)
    for name, x in THETA.items()
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [None, 0.9])
def test_without_noise_it_is_clipped_descent(momentum, dtype):
    tx = fg.dpsgd(0.1, 1.5, 0.0, 0, momentum)

    @jax.jit
    def run(theta, grads):
        def step(carry, g):
            updates, state = tx.update(g, carry[1], carry[0])
            return (fg.apply_updates(carry[0], updates), state), None

        return jax.lax.scan(step, (theta, tx.init(theta)), grads)[0][0]

    with precision(dtype):
        found = run(*jax.tree.map(lambda x: jnp.asarray(x, dtype), (THETA, GRADS)))
    flat = np.concatenate([GRADS["b"].reshape(STEPS, N, -1), GRADS["w"].reshape(STEPS, N, -1)], axis=2)
    expected = descent.dpsgd(np.concatenate([THETA["b"], THETA["w"].ravel()]), flat, 0.1, 1.5, momentum or 0.0)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(
        np.concatenate([found["b"], found["w"].ravel()]), expected, rtol=tolerance, atol=tolerance
    )


def drawn(tx, params, steps=1, n=8):
    zeros, state = jax.tree.map(lambda p: jnp.zeros((n, *p.shape), p.dtype), params), tx.init(params)
    found = []
    for _ in range(steps):
        updates, state = tx.update(zeros, state, params)
        found.append(updates)
    return found


def is_normal(x, deviation):
    """Mean, deviation and shares within 1 and 2 deviations, each within five of its own standard errors."""
    x, n = np.asarray(x, np.float64).ravel() / deviation, x.size
    assert abs(x.mean()) < 5 / n**0.5
    assert abs(x.std() - 1) < 5 / (2 * n) ** 0.5
    for bound, share in ((1, 0.682689), (2, 0.954500)):
        assert abs((abs(x) < bound).mean() - share) < 5 * (share * (1 - share) / n) ** 0.5


def test_noise_has_the_deviation_sigma_c_over_n():
    tx = fg.differentially_private_aggregate(2.0, 1.5, key=3)
    (one, two) = drawn(tx, {"a": jnp.zeros(40_000), "b": jnp.zeros(40_000, jnp.bfloat16)}, steps=2)
    for u in (one["a"], one["b"], two["a"], two["b"]):
        assert u.dtype == jnp.float32
        is_normal(u, 3.0 / 8)
    draws = np.stack([one["a"], one["b"], two["a"], two["b"]])
    correlations = np.corrcoef(draws) - np.eye(4)
    assert np.max(np.abs(correlations)) < 5 / 40_000**0.5


def test_a_complex_entry_has_the_noise_of_two_real_ones():
    """c bounds the norm over real and imaginary parts, so that each of them needs all of the noise."""
    (u,) = drawn(fg.differentially_private_aggregate(2.0, 1.5, key=3), jnp.zeros(40_000, jnp.complex64))
    is_normal(u.real, 3.0 / 8)
    is_normal(u.imag, 3.0 / 8)


def test_the_seed_decides():
    first, same, other = (drawn(fg.dpsgd(1.0, 1.0, 1.0, seed), jnp.zeros(3))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.any(np.asarray(first) == np.asarray(other))


def test_bound_and_noise_may_be_schedules():
    tx = fg.differentially_private_aggregate(fg.piecewise_constant_schedule(1.0, {1: 0.5}), 0.0, key=0)
    params, grads = jnp.zeros(2), jnp.array([[3.0, 4.0]])
    one, state = tx.update(grads, tx.init(params))
    two, state = tx.update(grads, state)
    np.testing.assert_allclose([one, two], [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    assert int(state.count) == 2


@pytest.mark.parametrize("bad", [0.0, 1e-30, 1e30, jnp.nan, jnp.inf])
def test_one_example_moves_the_sum_by_at_most_the_bound(bad):
    tx = fg.differentially_private_aggregate(0.7, 0.0, key=0)
    params = {"w": jnp.zeros(3), "b": jnp.zeros(())}
    rest = {"w": jnp.asarray(RNG.standard_normal((4, 3)), jnp.float32), "b": jnp.ones(4)}
    one = {"w": jnp.array([[bad, 1.0, -1.0]]), "b": jnp.array([bad])}
    with_it, _ = tx.update(jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rest, one), tx.init(params), params)
    without, _ = tx.update(rest, tx.init(params), params)
    moved = fg.tree.norm(jax.tree.map(lambda a, b: 5 * a - 4 * b, with_it, without))
    assert float(moved) <= 0.7 * (1 + 1e-6)
    if not np.isfinite(bad):
        assert float(moved) < 1e-6


def test_where_no_gradients_of_examples_arrive():
    dp, params = fg.differentially_private_aggregate(1.0, 0.0, key=0), {"w": jnp.zeros((2, 3)), "b": jnp.zeros(2)}
    each = jax.tree.map(lambda p: jnp.ones((4, *p.shape)), params)

    def update(tx, grads):
        return tx.update(grads, tx.init(params), params)

    with pytest.raises(ValueError, match=r"dpsgd.update: .*grads\['b'\].*\(2,\).*behind an axis over the examples"):
        update(fg.dpsgd(0.1, 1.0, 0.0, 0), params)
    with pytest.raises(ValueError, match=r"leading axes must agree.* It takes gradients of examples"):
        update(dp, {**each, "b": jnp.ones((3, 2))})
    with pytest.raises(ValueError, match="It takes gradients of examples"):
        fg.minimize(lambda x: x**2, jnp.float32(1.0), fg.dpsgd(0.1, 1.0, 0.0, 0), max_steps=3)
    step = fg.make_step(lambda params, batch: batch["s"] * jnp.sum(params["b"]), dp)
    with pytest.raises(ValueError, match=r"make_step: `batch\['s'\]` must have a leading axis"):
        step(fg.TrainState.create(params, dp), {"s": 2.0})
    with pytest.raises(ValueError, match="empty"):
        update(dp, jax.tree.map(lambda g: g[:0], each))
    for around in (
        fg.chain(fg.clip(1.0), dp),
        fg.MultiSteps(fg.chain(dp, fg.sgd(0.1)), 2),
        fg.flatten(fg.chain(dp, fg.sgd(0.1))),
        fg.masked(dp, {"w": True, "b": False}, "keep"),
    ):
        with pytest.raises(ValueError, match="does not hand on gradients of single examples"):
            update(around, params)
    with pytest.raises(TypeError, match="integer"):
        fg.dpsgd(0.1, 1.0, 1.0, jax.random.key(0))


def test_guards_and_what_follows_get_their_own():
    """A guard looks at the gradients of examples; Adam behind the aggregation gets updates like the parameters."""
    dp = fg.differentially_private_aggregate(1.0, 0.0, key=0)
    params, grads = jnp.zeros(2), jnp.array([[0.3, 0.4], [0.1, -0.2]])
    guarded = fg.skip_nonfinite(fg.chain(dp, fg.adam(0.1)))
    updates, _ = guarded.update(grads, guarded.init(params), params)
    expected, _ = fg.adam(0.1).update(grads.mean(0), fg.adam(0.1).init(params))
    np.testing.assert_allclose(updates, expected, rtol=1e-6)
    updates, state = guarded.update(grads.at[0, 0].set(jnp.nan), guarded.init(params), params)
    assert updates.tolist() == [0.0, 0.0]
    assert int(state.skipped) == 1


X = jnp.asarray(RNG.standard_normal((24, 3)), jnp.float32)
BATCH = {"x": X, "y": X @ jnp.array([1.0, -2.0, 0.5])}
PARAMS = {"w": jnp.zeros(3), "b": jnp.zeros(())}


def one(params, example):
    error = example["x"] @ params["w"] + params["b"] - example["y"]
    return error**2, fg.Aux({"error": jnp.abs(error)})


def batch_loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


@pytest.mark.parametrize("loss", [fg.mean_loss(one), batch_loss], ids=["mean_loss", "of a batch"])
def test_make_step_takes_the_gradient_of_each_example(loss):
    tx = fg.dpsgd(0.1, 1.0, 0.3, 0)
    state = fg.TrainState.create(PARAMS, tx)
    new, metrics = jax.jit(fg.make_step(loss, tx, norms=True))(state, BATCH)
    each = fg.per_example_grad(one)(PARAMS, BATCH)
    updates, _ = tx.update(each, tx.init(PARAMS), PARAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), new.params, updates)
    plain = fg.make_step(loss, fg.sgd(0.1), norms=True)
    _, expected = plain(fg.TrainState.create(PARAMS, plain.tx), BATCH)
    assert set(metrics) == set(expected)
    for name in set(expected) - {"update_norm", "update_ratio"}:
        np.testing.assert_allclose(metrics[name], expected[name], rtol=1e-5)


def test_without_bound_and_noise_it_trains_as_sgd():
    options = {"batch_size": 8, "epochs": 3, "key": jax.random.key(0), "progress": False}
    private = fg.fit(batch_loss, PARAMS, fg.dpsgd(0.1, 1e6, 0.0, 0), BATCH, **options)
    plain = fg.fit(batch_loss, PARAMS, fg.sgd(0.1), BATCH, **options)
    np.testing.assert_allclose(private.history["loss"], plain.history["loss"], rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), private.params, plain.params)


def test_padding_counts_in_n_and_nowhere_else():
    """So that N says nothing about how many examples there were."""
    tx, loss = fg.dpsgd(0.1, 1.0, 0.0, 0), fg.mean_loss(one, weights="mask")
    few = jax.tree.map(lambda x: x[:6], BATCH)
    padded = {name: x[:8].at[6:].set(jnp.nan) for name, x in BATCH.items()} | {"mask": jnp.arange(8) < 6}
    new, metrics = fg.make_step(loss, tx)(fg.TrainState.create(PARAMS, tx), padded)
    alone, expected = fg.make_step(fg.mean_loss(one), tx)(fg.TrainState.create(PARAMS, tx), few)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 0.75 * b, rtol=1e-5), new.params, alone.params)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(metrics["error"], expected["error"], rtol=1e-6)


def test_each_example_has_a_key_and_none_a_model_state():
    def noisy(params, batch, key):
        return jnp.mean(params["b"] * jax.random.normal(key) + 0 * batch["y"])

    tx = fg.dpsgd(1.0, 1e6, 0.0, 0)
    state = fg.TrainState.create(PARAMS, tx, key=jax.random.key(1))
    _, _, grads, _ = fg.make_step(noisy, tx).advance(state, BATCH)
    assert len(set(grads["b"].tolist())) == 24

    def remembers(params, batch, model_state):
        return batch_loss(params, batch), fg.Aux(model_state=model_state + 1)

    with pytest.raises(ValueError, match=r"dpsgd takes the gradient of each example.*model state"):
        fg.make_step(remembers, tx)(fg.TrainState.create(PARAMS, tx, model_state=jnp.zeros(())), BATCH)


def test_a_population_over_noise_and_bounds():
    """Three of them under vmap, each with its own numbers; the same seed is the same noise."""
    tx = fg.stack([fg.dpsgd(0.1, 1.0, s, 0) for s in (0.0, 1.0, 2.0)])
    updates = jax.vmap(lambda tx: drawn(tx, jnp.zeros(4), n=2)[0])(tx)
    np.testing.assert_allclose(updates[2], 2 * updates[1], rtol=1e-6)
    assert np.all(np.asarray(updates[0]) == 0)
