"""Guards: what a bad step changes, which is nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform

RATE = fg.cosine_decay_schedule(0.1, 10)
INNERS = [
    fg.adam(0.01),
    fg.sgd(RATE, momentum=0.9),
    fg.adamw(0.01, weight_decay=0.1),
    fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(RATE, weight_decay=fg.linear_schedule(0.1, 0.0, 10))),
]
DTYPES = {INNERS[1]: ("float32", "bfloat16", "float16", "float64")}  # the others in one, which is cheap
BAD = [np.nan, np.inf, -np.inf]


def parameters():
    return {"w": jnp.ones((2, 3)), "b": (jnp.zeros(()), None), "low": jnp.ones(2, jnp.bfloat16), "none": jnp.ones(0)}


def gradients(steps, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(rng.standard_normal((steps, *p.shape)), p.dtype), parameters())


@jax.jit
def run(tx, params, grads):
    """Parameters, state, and the updates and guard's counters of all steps."""

    def step(carry, g):
        params, state = carry
        updates, state = tx.update(g, state, params)
        return (fg.apply_updates(params, updates), state), (updates, state.skipped, state.consecutive)

    (params, state), rows = jax.lax.scan(step, (params, tx.init(params)), grads)
    return params, state, rows


def spoil(grads, step, bad, place="w"):
    """One entry of the leaf at `place` made bad in one step."""
    leaf = grads[place]
    return {**grads, place: leaf.at[(step,) + (0,) * (leaf.ndim - 1)].set(bad)}


def without(grads, steps):
    return jax.tree.map(lambda g: np.delete(np.asarray(g), steps, axis=0), grads)


def same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


# --- not finite ---


@pytest.mark.parametrize("inner", INNERS, ids=lambda x: repr(x)[:40])
def test_contract_of_skip_nonfinite(inner):
    check_transform(fg.skip_nonfinite(inner), elementwise=False, dtypes=DTYPES.get(inner, ("float32",)))


@pytest.mark.parametrize("inner", INNERS, ids=lambda x: repr(x)[:40])
def test_after_a_skipped_step_all_is_as_without_it(inner):
    """Bitwise: parameters, moments, counts, schedules, and every later update."""
    tx, grads = fg.skip_nonfinite(inner), gradients(8)
    bad = spoil(spoil(spoil(grads, 0, np.nan), 4, np.inf, "low"), 5, -np.inf)
    params, state, (updates, skipped, consecutive) = run(tx, parameters(), bad)
    clean_params, clean_state, (clean_updates, clean_skipped, _) = run(tx, parameters(), without(grads, [0, 4, 5]))
    same_bits(params, clean_params)
    same_bits(state.inner_state, clean_state.inner_state)
    same_bits(without(updates, [0, 4, 5]), jax.tree.map(np.asarray, clean_updates))
    assert skipped.tolist() == [1, 1, 1, 1, 2, 3, 3, 3]
    assert consecutive.tolist() == [1, 0, 0, 0, 1, 2, 0, 0]
    assert not clean_skipped.any()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", ["w", "low"])
def test_a_bad_entry_in_any_leaf_stops_the_whole_step(bad, place):
    tx, grads = fg.skip_nonfinite(fg.adamw(0.1, weight_decay=0.1)), gradients(2)
    params = parameters()
    state = tx.update(jax.tree.map(lambda g: g[0], grads), tx.init(params), params)[1]
    spoilt = jax.tree.map(lambda g: g[1], spoil(grads, 1, bad, place))
    updates, after = tx.update(spoilt, state, params)
    same_bits(updates, jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params))
    same_bits(after.inner_state, state.inner_state)
    assert (int(after.skipped), int(after.consecutive)) == (1, 1)


def test_a_bad_entry_of_a_scalar_or_complex_leaf_is_seen():
    for g in (jnp.float32(np.nan), jnp.array([1 + 0j, complex(0, np.inf)]), jnp.array([complex(np.nan, 0)])):
        tx = fg.skip_nonfinite(fg.sgd(0.1))
        updates, state = tx.update(g, tx.init(jnp.zeros_like(g)))
        same_bits(updates, jnp.zeros_like(g))
        assert int(state.skipped) == 1


@pytest.mark.parametrize("loss", [*BAD, 1.0, None])
def test_the_value_is_looked_at_if_it_is_passed(loss):
    tx = fg.skip_nonfinite(fg.sgd(0.5))
    updates, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=None if loss is None else jnp.float32(loss))
    skipped = loss is not None and not np.isfinite(loss)
    assert updates.tolist() == [0, 0] if skipped else [-0.5, -0.5]
    assert bool(state.skipped) == skipped


def test_huge_finite_gradients_pass():
    """Their squares and sums would overflow, they do not."""
    tx = fg.skip_nonfinite(fg.sgd(1.0))
    g = jnp.full(8, 3e38)
    same_bits(tx.update(g, tx.init(g))[0], -g)


def test_members_of_a_population_guard_separately():
    grads = gradients(4)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), spoil(grads, 1, np.nan), grads)
    tx = fg.stack([fg.skip_nonfinite(fg.adam(rate)) for rate in (0.1, 0.1)])
    params, state, _ = jax.vmap(run, in_axes=(0, None, 0))(tx, parameters(), both)
    assert state.skipped.tolist() == [1, 0]
    alone = fg.skip_nonfinite(fg.adam(0.1))
    for i, own in enumerate((without(grads, [1]), grads)):
        expected = run(alone, parameters(), own)[0]
        member = jax.tree.map(lambda x, i=i: x[i], params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(np.float32(a), np.float32(b), 1e-5), member, expected)


def test_derivatives_through_a_skipped_step_are_those_without_it():
    grads = gradients(4)

    def outcome(tx, grads):
        return fg.tree.norm(run(tx, parameters(), grads)[0])

    tx = fg.skip_nonfinite(fg.chain(fg.clip_by_global_norm(1.0), fg.adam(0.1)))
    with_bad, clean = (jax.grad(outcome)(tx, g) for g in (spoil(grads, 2, np.nan), without(grads, [2])))
    for a, b in zip(jax.tree.leaves(with_bad), jax.tree.leaves(clean), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_random_keys_in_the_state_stay_too():
    @fg.value
    class jitter(fg.Transform):
        def init(self, params):
            return jax.random.key(0)

        def update(self, grads, state, params=None, **extra):
            key, own = jax.random.split(state)
            return grads + jax.random.normal(own, grads.shape), key

    tx = fg.skip_nonfinite(jitter())
    state = tx.init(jnp.ones(2))
    assert tx.update(jnp.full(2, np.nan), state)[1].inner_state == state.inner_state
    assert tx.update(jnp.ones(2), state)[1].inner_state != state.inner_state


def test_what_is_inside_shows_through():
    tx = fg.skip_nonfinite(fg.chain(fg.clip(1.0), fg.adamw(fg.linear_schedule(0.1, 0.0, 10))))
    params = {"w": jnp.ones(2)}
    assert tx.needs == {"params"}
    with pytest.raises(ValueError, match=r"^skip_nonfinite\.update: needs `params`"):
        tx.update(params, tx.init(params))
    state = tx.init(params)
    for g in (1.0, 1.0, np.nan):
        _, state = tx.update({"w": jnp.full(2, g)}, state, params)
    assert float(fg.hyperparameters(tx, state)["inner"]["adamw"]["learning_rate"]) == pytest.approx(0.09)
    assert [int(count) for _, count in fg.tree.get_all_with_path(state, "count")] == [2, 2]


def test_parameters_to_evaluate_are_those_of_the_inner():
    @fg.value
    class doubled(fg.Transform):
        def init(self, params):
            return jnp.float32(2)

        def update(self, grads, state, params=None, **extra):
            return grads, state

        def eval_params(self, state, params):
            return params * state

    tx = fg.skip_nonfinite(doubled())
    assert float(tx.eval_params(tx.init(jnp.float32(3)), jnp.float32(3))) == 6


def test_transforms_of_other_libraries_are_welcome():
    pair = (lambda params: jnp.zeros(()), lambda grads, state, params=None: (grads, state + 1))
    tx = fg.skip_nonfinite(pair)
    _, state = tx.update(jnp.array([np.nan]), tx.init(jnp.ones(1)), value=jnp.float32(1))
    assert float(state.inner_state) == 0
    _, state = tx.update(jnp.ones(1), state, value=jnp.float32(1))
    assert float(state.inner_state) == 1
    with pytest.raises(TypeError, match=r"^skip_nonfinite: expected a transform"):
        fg.skip_nonfinite(0.1)


def test_training_goes_on_after_a_batch_that_gives_nan():
    x = jax.random.normal(jax.random.key(0), (40, 8, 3))
    y = x @ jnp.array([1.0, -2.0, 0.5])

    def loss(w, batch):
        return jnp.mean((batch[0] @ w - batch[1]) ** 2)

    bad = (x.at[7, 0, 0].set(jnp.nan), y)
    tx = fg.skip_nonfinite(fg.adam(0.1))
    state, metrics = fg.train(loss, tx, fg.TrainState.create(jnp.zeros(3), tx), bad)
    assert np.isnan(metrics["loss"]).tolist() == [i == 7 for i in range(40)]
    assert metrics["loss"][-1] < 0.1 * metrics["loss"][0]
    assert int(state.opt_state.skipped) == 1
    clean, _ = fg.train(loss, tx, fg.TrainState.create(jnp.zeros(3), tx), without((x, y), [7]))
    same_bits(state.params, clean.params)
